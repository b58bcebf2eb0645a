"""The ten usual causes why a letter waits (docs/queue.md): each made here, and named by the command that the page says.

The page is the list: what its code blocks show of `ekiden queue show ID` is what must be printed, `…` standing for
anything. Two workers; a site that failed rests so long that the test need not hurry.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ekiden.admin.causes import CAUSES
from ekiden.lab.certificate import write_certificate
from ekiden.lab.server import LabServer, free_ports
from tests.integration import hostile_peer, next_hops
from tests.integration.conftest import eventually
from tests.integration.hostile_peer import HostilePeer
from tests.integration.next_hops import STALL, Peer, start_patched
from tests.integration.rawsmtp import RawSmtp
from tests.integration.test_mx import name_server

pytestmark = pytest.mark.peer("nsd")

PAGE = Path(__file__).parents[2] / "docs" / "queue.md"
#: A rest that outlasts the test.
LONG_REST = "import ekiden.policy.rest as rest; rest.FIRST = 900.0"


def promised() -> dict[str, str]:
    """By a cause's name: the line that the page shows."""
    section = PAGE.read_text().partition("\n## The ten usual causes\n")[2].partition("\n## ")[0]
    found = re.findall(r"\n```\n\$ ekiden queue show ID\n  (why: [^\n]*)\n```\n\n\(`(\w+)`\)", section)
    return {name: line for line, name in found}


class House:
    def __init__(self, server: LabServer) -> None:
        self.server = server

    def send(self, domain: str) -> str:
        """The letter's id."""
        client = RawSmtp(self.server.ports["relay"])
        reply = client.letter("bob@example.test", f"carol@{domain}", b"Subject: x\r\n\r\nhello\r\n")
        client.close()
        assert reply.startswith("250"), reply
        return reply.split()[-1]

    def leg(self, letter: str) -> Any:
        return json.loads(self.server.command("queue", "show", letter, "--json").stdout)["legs"][0]

    def tried(self, domain: str) -> str:
        """A letter that has had its attempt."""
        letter = self.send(domain)
        eventually(lambda: self.leg(letter)["attempts"], f"an attempt at {domain}")
        return letter


def route(domain: str, port: int, more: str = 'tls = "none"\n') -> str:
    return f'[[route]]\nmatch = "{domain}"\nto = "smtp://127.0.0.1:{port}"\n{more}'


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("causes")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*write_certificate(folder, "127.0.0.1"))
    refusing, full = Peer({"RCPT": "451 4.7.1 greylisted, come again"}), Peer({"RCPT": "452 4.2.2 over quota"})
    plain, taking, slow = Peer(), Peer(), Peer({"CONNECT": STALL})
    smarthost = HostilePeer(("STARTTLS", "AUTH PLAIN"), {"AUTH": b"535 5.7.8 wrong password\r\n"}, context=context)
    with ExitStack() as stack:
        stack.enter_context(next_hops.serving(refusing, full, plain, taking, slow))
        stack.enter_context(hostile_peer.serving(smarthost))
        dns = stack.enter_context(name_server())
        server = LabServer(folder / "home", "example.test", workers=2)
        server.extra = (
            'relay = { trusted_networks = ["127.0.0.1/32"] }\n'
            f'dns = {{ nameservers = ["127.0.0.1:{dns}"], timeout = "3s" }}\n'
        )
        login = 'username = "us"\npassword_file = "secret"\ntls = "require"\nallow_unverified_login = true\n'
        server.tables = "".join(
            (
                route("refusing.test", refusing.port),
                route("full.test", full.port),
                route("silent.test", free_ports(1)[0]),
                route("down.test", free_ports(1)[0]),
                route("plain.test", plain.port, 'tls = "require"\n'),
                route("smarthost.test", smarthost.port, login),
                route("slow.test", slow.port),
                route("kept.test", taking.port),
                '[[site]]\nmatch = "slow.test"\nconnections = 1\n',
            )
        )
        server.prepare()
        secret = server.folder / "secret"
        secret.touch(mode=0o600)
        secret.write_text("wrong\n")
        start_patched(server, LONG_REST)
        stack.callback(server.kill)
        yield House(server)


def refused(house: House) -> str:
    return house.tried("refusing.test")


def full(house: House) -> str:
    return house.tried("full.test")


def silent(house: House) -> str:
    return house.tried("silent.test")


def until_named(house: House, domain: str, cause: str) -> str:
    """Sends letters until one of them waits for that reason: each worker has to find out first, or be told."""

    def named() -> str | None:
        letter = house.send(domain)

        def leg() -> Any:
            queued = json.loads(house.server.command("queue", "show", letter, "--json").stdout)["legs"]
            return not queued or (queued[0]["why"] != "being tried" and queued)

        legs = eventually(leg, "a letter that waits")
        return letter if isinstance(legs, list) and legs[0]["cause"] == cause else None

    return str(eventually(named, f"a letter to {domain} that waits: {cause}"))


def resting(house: House) -> str:
    return until_named(house, "down.test", "resting")


def dns(house: House) -> str:
    return house.tried("broken")


def tls(house: House) -> str:
    return house.tried("plain.test")


def login(house: House) -> str:
    return house.tried("smarthost.test")


def limits(house: House) -> str:
    """One connection, on which the greeting does not come."""
    return [house.send("slow.test") for _ in range(4)][-1]


def suspended(house: House) -> str:
    house.server.command("queue", "suspend", "kept.test", "--reason", "they asked us to pause")
    return until_named(house, "kept.test", "suspended")


def held(house: House) -> str:
    letter = house.tried("refusing.test")
    house.server.command("queue", "hold", letter, "--reason", "bob is asked")
    return letter


MAKERS = (refused, full, silent, resting, dns, tls, login, limits, suspended, held)


def test_the_page_promises_a_line_for_each_cause() -> None:
    assert list(promised()) == [cause.name for cause in CAUSES] == [make.__name__ for make in MAKERS]


@pytest.mark.parametrize(
    ("cause", "make"), list(zip(CAUSES, MAKERS, strict=True)), ids=[cause.name for cause in CAUSES]
)
def test_a_cause_is_named(house: House, cause: Any, make: Callable[[House], str]) -> None:
    letter = make(house)
    wanted = re.compile(".*".join(re.escape(part) for part in promised()[cause.name].split("…")))

    shown = ""

    def named() -> bool:
        nonlocal shown
        shown = house.server.command("queue", "show", letter).stdout
        return any(wanted.fullmatch(line.strip()) for line in shown.splitlines())

    try:
        eventually(named, f"{promised()[cause.name]!r} in `queue show`")
    except AssertionError as error:
        raise AssertionError(f"{error}, but: {shown}") from None
    assert f"  do:  {cause.step}" in shown
    assert house.leg(letter)["cause"] == cause.name


def test_sites_tells_what_takes_less_and_shape_does_too(house: House) -> None:
    for make in (resting, limits, suspended, refused):
        make(house)

    def told() -> dict[str, Any] | None:
        sites = json.loads(house.server.command("queue", "sites", "--json").stdout)
        by_hop = {hop: site for site in sites for hop in site["next_hops"]}
        return by_hop if {"route:slow.test", "route:down.test", "route:kept.test"} <= by_hop.keys() else None

    by_hop = eventually(told, "sites that take less")
    assert isinstance(by_hop, dict)
    assert by_hop["route:down.test"]["state"] == "resting"
    assert "Connection refused" in by_hop["route:down.test"]["reason"]
    assert by_hop["route:down.test"]["until"]
    assert (by_hop["route:slow.test"]["state"] in ("limits", "slots"), by_hop["route:slow.test"]["connections"]) == (
        True,
        1,
    )
    assert (by_hop["route:kept.test"]["state"], by_hop["route:kept.test"]["waiting"] > 0) == ("suspended", True)
    text = house.server.command("queue", "sites").stdout
    assert re.search(r"rests, \d+m", text)
    shape = json.loads(house.server.command("queue", "shape", "--json").stdout)
    states = {row["next_hop"]: row["state"] for row in shape["next_hops"]}
    assert (states["route:down.test"], states["route:kept.test"]) == ("resting", "suspended")
    assert states["route:refusing.test"] is None


def test_what_a_server_said_of_sites_is_forgotten_when_it_is_killed(house: House) -> None:
    suspended(house)
    resting(house)
    house.server.kill()
    try:
        sites = json.loads(house.server.command("queue", "sites", "--json").stdout)
    finally:
        start_patched(house.server, LONG_REST)
    assert [site["site"] for site in sites] == ["route:kept.test"]  # a person's word stays
