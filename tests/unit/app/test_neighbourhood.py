"""What the kernel's tables say: as they look in a container, on a machine with containers, and on a plain one."""

from __future__ import annotations

from pathlib import Path

from ekiden.app.neighbourhood import Devices, read_neighbourhood
from ekiden.policy.trusted import SharedAddress

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
IN_CONTAINER = (
    HEAD + "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    "eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
)
AT_HOME = (
    HEAD + "eno1\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
    "eno1\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
    "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    "wg0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n"
)
IPV6 = (
    "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n"
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "fd000000000000000000000000000001 00000400 00000003 00000000 00000003     eth0\n"
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"
)
#: A number of this machine's own byte order, as the kernel prints it.
ADDRESSES = {"docker0": "172.17.0.1", "br0": "192.168.1.5"}


def machine(root: Path, ipv4: str, *, ipv6: str = "", bridges: tuple[str, ...] = (), inet6: str = "") -> Path:
    (root / "proc/net").mkdir(parents=True)
    (root / "proc/net/route").write_text(ipv4)
    (root / "proc/net/ipv6_route").write_text(ipv6)
    (root / "proc/net/if_inet6").write_text(inet6)
    for bridge in bridges:
        (root / "sys/class/net" / bridge / "bridge").mkdir(parents=True)
    (root / "sys/class/net/eth0").mkdir(parents=True)
    return root


def look(root: Path, driver: str = "e1000e"):
    return read_neighbourhood(str(root), Devices(lambda device: ADDRESSES.get(device, ""), lambda device: driver))


def test_in_a_container(tmp_path: Path) -> None:
    found = look(machine(tmp_path, IN_CONTAINER, ipv6=IPV6), "veth")
    assert found.gateways == {"172.17.0.1", "fd00::1"}
    assert [one.address for one in found.shared] == ["172.17.0.1", "fd00::1"]
    assert found.shared[0].what == "the gateway of this container (eth0)"


def test_a_container_is_known_by_its_mark(tmp_path: Path) -> None:
    root = machine(tmp_path, IN_CONTAINER)
    assert look(root).shared == ()
    (root / ".dockerenv").touch()
    assert [one.address for one in look(root).shared] == ["172.17.0.1"]
    assert look(root, "macvlan").shared == (), "its gateway is a router of the real network"


def test_on_a_machine_with_containers(tmp_path: Path) -> None:
    inet6 = "fd1700000000000000000000000000aa 05 40 00 80  docker0\n00000000000000000000000000000001 01 80 10 80 lo\n"
    found = look(machine(tmp_path, AT_HOME, bridges=("docker0",), inet6=inet6))
    assert found.gateways == {"192.168.1.1"}, "a VPN's half of the world has no gateway"
    assert found.shared == (
        SharedAddress("172.17.0.1", "the gateway of docker0"),
        SharedAddress("fd17::aa", "the gateway of docker0"),
    )


def test_a_bridge_to_the_real_network_is_no_gateway_of_others(tmp_path: Path) -> None:
    found = look(machine(tmp_path, AT_HOME.replace("eno1", "br0"), bridges=("br0",)))
    assert found.gateways == {"192.168.1.1"}
    assert found.shared == ()


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    assert look(tmp_path) == (frozenset(), ())
    assert look(machine(tmp_path, "nonsense\nx y\n", ipv6="a b c\n", inet6="1\n")).shared == ()


def test_this_machine_can_be_asked() -> None:
    found = read_neighbourhood()
    assert all(isinstance(address, str) for address in found.gateways)
