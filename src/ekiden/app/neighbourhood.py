"""What the kernel says about our own network: default gateways, and addresses behind which many clients may stand.

    neighbourhood = read_neighbourhood()        # policy/trusted.py decides with it

Rules
1. In a container the default gateway is a machine's bridge: clients of published ports may all come from its address
   (Docker's userland proxy, rootless containers, IPv6 to a container without it). That we are in one is told by the
   device behind the default route (`veth`, `tun`), or by the marks that engines leave.
2. On a machine with containers, its own addresses on their bridges are such addresses, too. A bridge that carries the
   default route is none: that is how machines with virtual ones reach their network.
3. What cannot be read is left out: a machine without /proc has no container engine that we know.
4. It is read at start, at each reload and by `config check`. A gateway that comes later is known after a reload.

Called by `app.config_check` and `app.compose`.
"""

from __future__ import annotations

import array
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from ekiden.policy.trusted import Neighbourhood, SharedAddress

#: Left by Docker, Podman, and systemd-nspawn or LXC.
CONTAINER_MARKS: Final = (".dockerenv", "run/.containerenv", "run/systemd/container")
#: Drivers of devices that lead out of a container, and of those that lead to a real network from within one.
_INSIDE: Final = frozenset({"veth", "tun"})
_OUTSIDE: Final = frozenset({"macvlan", "ipvlan"})

_RTF_UP: Final = 0x1
_RTF_GATEWAY: Final = 0x2
_SIOCGIFADDR: Final = 0x8915
_SIOCETHTOOL: Final = 0x8946
_ETHTOOL_GDRVINFO: Final = 0x3


class Gateway(NamedTuple):
    address: str
    device: str


class Devices(NamedTuple):
    """How a device is asked: its IPv4 address and its driver, '' where there is none."""

    ipv4: Callable[[str], str]
    driver: Callable[[str], str]


def read_neighbourhood(root: str = "/", devices: Devices | None = None) -> Neighbourhood:
    """`root`: where proc and sys are."""
    devices = devices or Devices(_ipv4_address, _driver)
    base = Path(root)
    gateways = [*_ipv4_gateways(_read(base / "proc/net/route")), *_ipv6_gateways(_read(base / "proc/net/ipv6_route"))]
    shared = [*_container_gateways(base, gateways, devices), *_bridges(base, gateways, devices)]
    return Neighbourhood(frozenset(gateway.address for gateway in gateways), tuple(shared))


def _container_gateways(base: Path, gateways: list[Gateway], devices: Devices) -> Iterator[SharedAddress]:
    marked = any((base / mark).exists() for mark in CONTAINER_MARKS)
    for address, device in gateways:
        driver = devices.driver(device)
        if driver in _INSIDE or (marked and driver not in _OUTSIDE):
            yield SharedAddress(address, f"the gateway of this container ({device})")


def _bridges(base: Path, gateways: list[Gateway], devices: Devices) -> Iterator[SharedAddress]:
    uplinks = {gateway.device for gateway in gateways}
    with suppress(OSError):
        names = sorted(path.parent.name for path in (base / "sys/class/net").glob("*/bridge"))
        ipv6 = list(_ipv6_addresses(_read(base / "proc/net/if_inet6")))
        for name in names:
            if name in uplinks:
                continue
            addresses = [devices.ipv4(name), *(address for device, address in ipv6 if device == name)]
            yield from (SharedAddress(address, f"the gateway of {name}") for address in addresses if address)


def _read(path: Path) -> list[list[str]]:
    """Lines in words; [] if it cannot be read."""
    try:
        return [line.split() for line in path.read_text(encoding="ascii", errors="replace").splitlines()]
    except OSError:
        return []


def _ipv4_gateways(lines: list[list[str]]) -> Iterator[Gateway]:
    """/proc/net/route: Iface Destination Gateway Flags RefCnt Use Metric Mask …; addresses as this machine's words."""
    for words in lines[1:]:
        if len(words) < 8 or words[1] != "00000000" or words[7] != "00000000":
            continue
        if int(words[3], 16) & (_RTF_UP | _RTF_GATEWAY) == _RTF_UP | _RTF_GATEWAY:
            yield Gateway(socket.inet_ntoa(struct.pack("=I", int(words[2], 16))), words[0])


def _ipv6_gateways(lines: list[list[str]]) -> Iterator[Gateway]:
    """/proc/net/ipv6_route: destination length source length next-hop metric refcnt use flags device."""
    for words in lines:
        if len(words) == 10 and words[0].strip("0") == "" and words[1] == "00" and int(words[8], 16) & _RTF_GATEWAY:
            yield Gateway(str(ipaddress.IPv6Address(int(words[4], 16))), words[9])


def _ipv6_addresses(lines: list[list[str]]) -> Iterator[tuple[str, str]]:
    """/proc/net/if_inet6: address index length scope flags device."""
    for words in lines:
        if len(words) == 6:
            yield words[5], str(ipaddress.IPv6Address(int(words[0], 16)))


def _ipv4_address(device: str) -> str:
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        answer = fcntl.ioctl(asking, _SIOCGIFADDR, struct.pack("256s", device.encode()[:15]))
        return socket.inet_ntoa(answer[20:24])
    return ""


def _driver(device: str) -> str:
    """ethtool(8) -i: the kernel's name for what is behind a device."""
    info = array.array("B", struct.pack("I", _ETHTOOL_GDRVINFO) + bytes(4096))
    request = struct.pack("16sP", device.encode()[:15], info.buffer_info()[0]) + bytes(16)
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        fcntl.ioctl(asking, _SIOCETHTOOL, request)
        return info.tobytes()[4:36].split(b"\0")[0].decode("ascii", "replace")
    return ""
