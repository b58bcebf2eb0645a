"""A network that blocks port 25, with real packets: dropped, reset, prohibited, diverted; IPv4 and IPv6 apart."""

from __future__ import annotations

import json
import smtplib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from ekiden.lab.nameserver import LabNameServer
from ekiden.lab.server import LabServer
from tests.integration.conftest import eventually
from tests.integration.namespaces import Networks, is_possible
from tests.integration.next_hops import Peer

pytestmark = pytest.mark.peer("ip", "nft", "nsd")

#: Hosts that probes ask, and sites that letters go to: each with a network of its own in both families.
KNOWN: Final = ("one", "two", "three")
SITES: Final = ("a", "b", "c")
PROVIDER, CONTROL, PROXY = "20.99.0.1", ("20.98.0.1", "2a01:98::1"), ("20.97.0.1", "2a01:97::1")
FAMILIES: Final = {"IPv4": "ipv4", "IPv6": "ipv6"}
#: How a provider blocks port 25 -> how we call it.
WAYS: Final = {
    "drop": "dropped",
    "reject with tcp reset": "reset",
    "reject with icmpx type admin-prohibited": "prohibited",
}


def addresses(number: int) -> dict[str, str]:
    return {"IPv4": f"20.{number}.0.1", "IPv6": f"2a01:{number}::1"}


ADDRESSES: Final = {name: addresses(number) for number, name in enumerate((*KNOWN, *SITES), 10)}


def host_of(name: str) -> str:
    return f"mx.{name}.test"


def records() -> list[str]:
    """`a6.test` is the site a with its IPv6 address alone, `a4.test` with the other."""
    lines = [f"control A {CONTROL[0]}", f"control AAAA {CONTROL[1]}"]
    for name, found in ADDRESSES.items():
        lines += [f"mx.{name} A {found['IPv4']}", f"mx.{name} AAAA {found['IPv6']}"]
        for digit, kind, family in (("4", "A", "IPv4"), ("6", "AAAA", "IPv6")):
            lines += [f"mx{digit}.{name} {kind} {found[family]}", f"{name}{digit} MX 1 mx{digit}.{name}"]
        lines.append(f"{name} MX 1 mx.{name}")
    return lines


def greeting(name: str) -> dict[str, str | list[str]]:
    return {"CONNECT": f"220 {name} ESMTP", "EHLO": f"250-{name}\n250 8BITMIME"}


@dataclass
class World:
    """`peers`: by name and family."""

    networks: Networks
    names: LabNameServer
    peers: dict[tuple[str, str], Peer]
    provider: Peer

    def paths(self, family: str) -> list[str]:
        return sorted(
            path for (name, one), peer in self.peers.items() if one == family and name in SITES for path in peer.paths
        )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if reason := is_possible():
        pytest.skip(reason)
    with Networks() as networks:
        peers = {
            (name, family): Peer(greeting(host_of(name)), address=address, port=25)
            for name, found in ADDRESSES.items()
            for family, address in found.items()
        }
        provider = Peer(greeting("smtp.provider.test"), address=PROVIDER, port=587)
        others = [Peer(greeting("control.test"), address=address, port=443) for address in CONTROL]
        others += [Peer(greeting("proxy.isp.test"), address=address, port=25) for address in PROXY]
        running = [*peers.values(), provider, *others]
        for peer in running:
            networks.add_address(peer.address)
        with networks.world():
            for peer in running:
                peer.start()
        names = LabNameServer(tmp_path_factory.mktemp("names") / "nsd", "test", records())
        with networks.home():
            names.start()
        try:
            yield World(networks, names, peers, provider)
        finally:
            names.stop()
            for peer in running:
                peer.stop()


@pytest.fixture
def home(world: World, tmp_path: Path) -> Iterator[LabServer]:
    """Our server, in its network; the road is open."""
    world.networks.filter()
    world.networks.divert()
    for peer in (*world.peers.values(), world.provider):
        peer.letters.clear()
    server = make_server(world, tmp_path / "home")
    with world.networks.home():
        server.prepare()
        server.add_account("postmaster")
        try:
            server.start()
            yield server
        finally:
            server.stop()


def make_server(world: World, folder: Path, *, detour: str = "", workers: int = 1) -> LabServer:
    hosts = ", ".join(f'"{host_of(name)}:25"' for name in KNOWN)
    server = LabServer(folder, "example.test", workers=workers)
    server.extra = (
        'relay = { trusted_networks = ["127.0.0.1/32"] }\n'
        f'dns = {{ nameservers = ["127.0.0.1:{world.names.port}"] }}\n'
    )
    server.tables = (
        '[delivery]\nconnect_timeout = "2s"\nretry_first = "1s"\nretry_factor = 1.0\nretry_longest = "1s"\n'
        f'[delivery.probe]\nhosts = [{hosts}]\ncontrol = ["control.test:443"]\nevery = "1s"\n'
    )
    if detour:
        server.tables += f'[delivery.detour]\nto = "{detour}"\n'
    return server


def send(server: LabServer, *recipients: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["relay"], timeout=30) as client:
        for recipient in recipients:
            client.sendmail("alice@example.test", [recipient], "Subject: post\r\n\r\nhello\r\n")


def events(server: LabServer, kind: str) -> list[dict[str, Any]]:
    lines = server.log_path.read_text().splitlines()
    return [event for line in lines if (event := json.loads(line))["event"] == kind]


def to_sites(digit: str, user: str = "bob") -> list[str]:
    return [f"{user}@{name}{digit}.test" for name in SITES]


def wait_for(server: LabServer, kind: str) -> dict[str, Any]:
    (event, *_) = eventually(lambda: events(server, kind), kind)  # type: ignore[misc]
    assert isinstance(event, dict)
    return event


def attempts(server: LabServer) -> list[int]:
    letters = json.loads(server.command("queue", "list", "--json").stdout)
    return [leg["attempts"] for letter in letters for leg in letter["legs"]]


@pytest.mark.parametrize("family", list(FAMILIES))
@pytest.mark.parametrize("way", list(WAYS))
def test_a_blocked_family_is_found_its_letters_wait_and_go_when_it_is_open(
    world: World, home: LabServer, family: str, way: str
) -> None:
    world.networks.filter(f"meta nfproto {FAMILIES[family]} tcp dport 25 {way}")
    send(home, *to_sites(family[-1]))
    blocked = wait_for(home, "road.blocked")
    assert (blocked["family"], blocked["kind"]) == (family, WAYS[way]), blocked
    counted = eventually(lambda: None not in (found := attempts(home)) and found, "the letters")
    send(home, *to_sites(family[-1], "late"))
    other = "6" if family == "IPv4" else "4"
    send(home, *to_sites(other))
    eventually(lambda: len(world.paths(f"IPv{other}")) == len(SITES), "letters over the other family")
    late = [number for number in attempts(home) if number == 0]
    assert len(late) == len(SITES), counted
    assert not events(home, "road.open")
    world.networks.filter()
    wait_for(home, "road.open")
    eventually(lambda: not attempts(home), "an empty queue")
    assert world.paths(family) == sorted([*to_sites(family[-1]), *to_sites(family[-1], "late")])
    assert len(events(home, "road.blocked")) == 1


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_proxy_that_stands_in_for_all(world: World, home: LabServer, family: str) -> None:
    address = PROXY[0] if family == "IPv4" else f"[{PROXY[1]}]"
    kind = "ip" if family == "IPv4" else "ip6"
    world.networks.divert(f"meta nfproto {FAMILIES[family]} tcp dport 25 dnat {kind} to {address}:25")
    send(home, *to_sites(family[-1]))
    blocked = wait_for(home, "road.blocked")
    assert (blocked["family"], blocked["kind"]) == (family, "foreign-banner"), blocked
    world.networks.divert()
    wait_for(home, "road.open")


def test_hosts_with_both_families_are_reached_over_the_open_one(world: World, home: LabServer) -> None:
    world.networks.filter("meta nfproto ipv4 tcp dport 25 drop")
    send(home, *to_sites("4"))
    wait_for(home, "road.blocked")
    send(home, "both@a.test")
    eventually(lambda: world.peers["a", "IPv6"].paths, "a letter over IPv6")


def test_a_network_that_is_down_is_not_blocked(world: World, home: LabServer) -> None:
    world.networks.filter("meta nfproto ipv4 tcp dport { 25, 443 } drop")
    send(home, *to_sites("4"))
    assert "network is down" in wait_for(home, "road.examined")["finding"]
    assert not events(home, "road.blocked")


def test_the_detour_takes_letters_until_the_road_is_open(world: World, tmp_path: Path) -> None:
    world.networks.filter("tcp dport 25 drop")
    world.networks.divert()
    world.provider.letters.clear()
    for peer in world.peers.values():
        peer.letters.clear()
    server = make_server(world, tmp_path / "home", detour=f"smtp://{PROVIDER}:587", workers=2)
    with world.networks.home():
        server.prepare()
        server.start()
        try:
            send(server, *to_sites("4"), *to_sites("4"), *to_sites("4"))
            wait_for(server, "road.blocked")
            eventually(lambda: len(world.provider.paths) == 9, "letters at the provider")
            assert len(events(server, "road.blocked")) == 1
            world.networks.filter()
            wait_for(server, "road.open")
            eventually(lambda: send_one(server, world), "a letter that goes directly")
        finally:
            server.stop()


def send_one(server: LabServer, world: World) -> Sequence[str]:
    """Both workers hear of it within a second."""
    send(server, "direct@a4.test")
    threading.Event().wait(0.2)
    return world.peers["a", "IPv4"].paths


def test_a_server_that_starts_again_knows_and_commands_say_why(world: World, home: LabServer) -> None:
    world.networks.filter("meta nfproto ipv4 tcp dport 25 drop")
    send(home, *to_sites("4"))
    wait_for(home, "road.blocked")
    home.stop()
    home.start()
    sessions = world.peers["a", "IPv4"].sessions
    send(home, "new@a4.test")
    eventually(lambda: "blocks port 25" in home.command("queue", "sites").stdout, "the site, with the reason")
    letters = json.loads(home.command("queue", "list", "--json").stdout)
    (letter,) = [one["letter"] for one in letters if "new@a4.test" in json.dumps(one)]
    assert "this network blocks port 25" in home.command("queue", "show", letter).stdout
    assert world.peers["a", "IPv4"].sessions == sessions
    told = home.command("events", "--name", "road.*").stdout
    assert "silently dropped" in told
