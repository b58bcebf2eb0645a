"""A door's gate, and what sessions tell it."""

from __future__ import annotations

import pytest

from ekiden.accounts.bans import BanBook
from ekiden.config.model import DoorRules, Doors, Limits, Relay
from ekiden.model.door import Door
from ekiden.model.events import DoorRefused, DoorWrong
from ekiden.policy.networks import NetworkSet
from ekiden.ports.bans import Ban
from ekiden.session.crowd import Crowd
from ekiden.session.gate import DoorGate
from ekiden.session.guard_report import GuardReport
from ekiden.session.knocks import KnockBook
from ekiden.storage.memory.bans import MemoryBans
from ekiden.storage.memory.known_pairs import MemoryKnownPairs
from ekiden.storage.memory.tally import MemoryTally
from tests.fakes.clock import FakeClock
from tests.fakes.doors import Hall, say
from tests.fakes.events import CollectingSink
from tests.fakes.pop3_house import Pop3House

RULES = DoorRules(deny=("192.0.2.0/24",), proxies=("198.51.100.7",))


def gate(door: Door, rules: DoorRules = RULES) -> tuple[DoorGate, CollectingSink]:
    events = CollectingSink()
    return DoorGate(door, rules, KnockBook(FakeClock(), events)), events


def test_who_is_not_admitted_is_told_and_noted() -> None:
    relay, events = gate(Door.RELAY)
    assert relay.enter("203.0.113.1") is None
    assert relay.enter("192.0.2.1") == b"554 5.7.1 Your address may not use this door\r\n"
    event = events.one(DoorRefused)
    assert (event.door, event.client, event.rule) == ("relay", "192.0.2.1", "denied")
    assert gate(Door.POP3)[0].enter("192.0.2.1") == b"-ERR Your address may not use this door\r\n"


@pytest.mark.parametrize(
    ("door", "refusal"),
    [
        (Door.RELAY, b"421 4.7.0 Too many connections from your address, please try again later\r\n"),
        (Door.POP3, b"-ERR [SYS/TEMP] Too many connections from your address, please try again later\r\n"),
    ],
)
def test_who_has_too_many_connections_is_told_at_every_door(door: Door, refusal: bytes) -> None:
    clock, events = FakeClock(), CollectingSink()
    tally = MemoryTally(clock)
    crowd = Crowd(tally, GuardReport(tally, events), Limits(connections_per_address=2), NetworkSet(()))
    first, second = (DoorGate(each, RULES, KnockBook(clock, events), crowd) for each in (door, Door.SUBMISSIONS))
    assert first.enter("192.0.2.1") == gate(door)[0].enter("192.0.2.1"), "who is denied is not counted"
    assert second.enter("203.0.113.1") is None
    assert second.enter("203.0.113.1") is None
    assert first.enter("203.0.113.1") == refusal
    second.left("203.0.113.1")
    assert first.enter("203.0.113.1") is None


async def banning(door: Door) -> tuple[DoorGate, CollectingSink]:
    clock, events, store = FakeClock(), CollectingSink(), MemoryBans()
    tally = MemoryTally(clock)
    bans = BanBook(store, tally, MemoryKnownPairs(), clock, events)
    for network in ("203.0.113.0/24", "198.51.100.7/32"):
        await store.put(Ban(network, clock.now(), None, "root"))
    made = DoorGate(door, RULES, KnockBook(clock, events), None, bans)
    assert made.enter("203.0.113.1") is None
    bans.refresh()
    return made, events


@pytest.mark.parametrize(
    ("door", "refusal"),
    [
        (Door.SUBMISSIONS, b"421 4.7.0 Logins from your address are refused for now\r\n"),
        (Door.POP3, b"-ERR [SYS/TEMP] Logins from your address are refused for now\r\n"),
    ],
)
async def test_who_is_banned_is_kept_from_doors_with_a_login(door: Door, refusal: bytes) -> None:
    made, events = await banning(door)
    assert made.enter("203.0.113.1") == refusal
    assert not made.still_welcome("203.0.113.1"), "nor may it stay"
    assert made.enter("203.0.114.1") is None
    assert made.enter("198.51.100.7") is None, "a listed proxy speaks for everybody"
    assert events.one(DoorRefused).rule == "banned"


async def test_mail_on_port_25_is_never_banned() -> None:
    made, events = await banning(Door.RELAY)
    assert made.enter("203.0.113.1") is None
    assert made.still_welcome("203.0.113.1")
    assert events.of(DoorRefused) == []


def test_what_who_speaks_in_the_clear_is_told() -> None:
    assert gate(Door.SUBMISSIONS)[0].tls_first.startswith(b"554 5.7.0 This door speaks TLS from the first byte")
    assert b"587" in gate(Door.SUBMISSIONS)[0].tls_first
    assert gate(Door.POP3S)[0].tls_first.startswith(b"-ERR This door speaks TLS from the first byte")
    assert b"110" in gate(Door.POP3S)[0].tls_first


def test_only_listed_proxies_must_send_a_header() -> None:
    relay, _ = gate(Door.RELAY)
    assert relay.expects_header("198.51.100.7")
    assert not relay.expects_header("198.51.100.8")


async def test_a_proxy_itself_is_never_trusted() -> None:
    hall = Hall(relay=Relay(trusted_networks=("10.0.0.0/24",)), doors=Doors(relay=DoorRules(proxies=("10.0.0.5/32",))))
    for client, code in (("10.0.0.4", b"250"), ("10.0.0.5", b"550"), ("::ffff:10.0.0.5", b"550")):
        wire = hall.knock(Door.RELAY, client=client)
        await say(wire, b"EHLO c\r\nMAIL FROM:<a@far.test>\r\n")
        assert (await say(wire, b"RCPT TO:<b@far.test>\r\n")).startswith(code), client


@pytest.mark.parametrize(
    ("door", "command", "reply", "what"),
    [
        (Door.RELAY, b"AUTH PLAIN AGEAYg==", b"502-5.5.1", "login"),
        (Door.SUBMISSIONS, b"MAIL FROM:<a@far.test>", b"530-5.7.0", "no-login"),
        (Door.SUBMISSION, b"MAIL FROM:<a@far.test>", b"530-5.7.0", "no-login"),
        (Door.SUBMISSIONS, b"STARTTLS", b"503 5.5.1 TLS is on already", "starttls"),
        (Door.RELAY, b"CAPA", b"500 5.5.1", "pop3"),
        (Door.SUBMISSIONS, b"USER alice", b"500 5.5.1", "pop3"),
        (Door.RELAY, b"GET / HTTP/1.1", b"421 4.7.0", "http"),
    ],
)
async def test_smtp_sessions_tell_of_wrong_doors(door: Door, command: bytes, reply: bytes, what: str) -> None:
    hall = Hall()
    wire = hall.knock(door)
    await say(wire, b"EHLO c\r\n")
    assert (await say(wire, command + b"\r\n")).startswith(reply)
    event = hall.events.one(DoorWrong)
    assert (event.door, event.client, event.what) == (door.value, "192.0.2.1", what)


async def test_starttls_twice_is_only_a_mistake() -> None:
    hall = Hall()
    wire = hall.knock(Door.SUBMISSION)
    await say(wire, b"EHLO c\r\nSTARTTLS\r\n")
    wire.finish_tls()
    assert (await say(wire, b"EHLO c\r\nSTARTTLS\r\n")).endswith(b"leave STARTTLS out\r\n")
    assert hall.events.of(DoorWrong) == []


async def test_pop3_sessions_tell_of_wrong_doors() -> None:
    house = await Pop3House().begin()
    visit = house.visit(tls=False)
    assert "465" in await visit.say("EHLO client.example")
    assert house.events.one(DoorWrong).what == "smtp"
    await visit.say("GET / HTTP/1.1", "Host: x")
    assert [event.what for event in house.events.of(DoorWrong)] == ["smtp", "http"]
    assert visit.wire.closed


async def test_stls_twice_is_only_a_mistake() -> None:
    house = await Pop3House().begin()
    assert "leave STLS out" in await house.visit().say("STLS")
    assert house.events.of(DoorWrong) == []
