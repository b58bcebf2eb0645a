"""Who calls on port 25, from the pause before the greeting to the reply to RCPT, with a clock that tests move."""

from __future__ import annotations

import asyncio

import pytest

from ekiden.config.model import Callers as Keys
from ekiden.config.model import Config, Dnsbl, Relay
from ekiden.model.caller_events import CallerMarked, CallerRefused
from ekiden.model.door import Door
from ekiden.model.events import RecipientRefused, SessionClosed
from ekiden.ports.wire import Endpoint
from ekiden.session.blocklists import Blocklists
from ekiden.session.callers import MOST_KEPT, SEEN, SEEN_WITH_LETTER, Callers
from ekiden.session.relay import relay_conversation
from tests.fakes.doors import Hall, conversation, say
from tests.fakes.resolver import FakeResolver
from tests.fakes.wire import FakeWire

CLIENT = "192.0.2.1"
BAD = Dnsbl(zone="bad.test", codes={"127.0.0.2": 5}, page="https://bad.test/?{ip}")
GOOD = Dnsbl(zone="good.test", codes={"127.0.*.3": 8}, allow=True)
LETTER = b"DATA\r\n", b"Subject: hi\r\n\r\nhello\r\n.\r\n"


class House(Hall):
    """A relay door before strangers: 192.0.2.0/24 counts as the world. `resolver`: what the DNS says; 192.0.2.1 has a
    name, and is on no list."""

    def __init__(self, *lists: Dnsbl, **keys: object) -> None:
        super().__init__(
            callers=Keys(**{"strangers": ("192.0.2.0/24",)} | keys),
            dnsbl=lists,
            relay=Relay(trusted_networks=("192.0.2.77/32",)),
        )
        self.resolver = FakeResolver(
            reverse={CLIENT: ["mx.far.test"]},
            addresses={
                "mx.far.test": [CLIENT],
                **{f"2.0.0.127.{entry.zone}": ["127.0.0.2"] for entry in lists},
            },
        )
        self.callers = self.worker()

    def worker(self) -> Callers:
        lists = Blocklists(self.config.dnsbl, self.resolver, self.clock, self.tally, self.events)
        return Callers(self.config, self.resolver, lists, self.tally, self.clock, self.events)

    def list(self, zone: str = "bad.test", code: str = "127.0.0.2", client: str = CLIENT) -> None:
        name = ".".join(reversed(client.split("."))) + f".{zone}"
        self.resolver.address_records[name] = [code]

    def call(self, client: str = CLIENT, door: Door = Door.RELAY) -> FakeWire:
        """A connection; what was said first is still to be taken."""
        wire = FakeWire(relay_conversation(self.doorway(door)), peer=Endpoint(client, 40_000))
        wire.open()
        return wire

    def wait(self, wire: FakeWire, seconds: float = 2.0) -> None:
        self.clock.advance(seconds)
        wire.user.tick(self.clock.monotonic())

    async def begin(self, client: str = CLIENT, helo: bytes = b"mx.far.test") -> FakeWire:
        """Greeted, EHLO and MAIL said."""
        wire = self.call(client)
        self.wait(wire)
        assert wire.take().startswith(b"220 ")
        answer = await say(wire, b"EHLO " + helo + b"\r\nMAIL FROM:<a@far.test>\r\n")
        assert answer.endswith(b"250 2.1.0 Sender ok\r\n")
        return wire

    async def content(self) -> bytes:
        """Of the first letter."""
        content = await self.spool.content(self.offered[0].letter)
        assert content is not None
        assert content.octets is not None
        return content.octets

    async def rcpt(self, wire: FakeWire, name: bytes = b"bob@example.test") -> bytes:
        return await say(wire, b"RCPT TO:<" + name + b">\r\n")

    async def ask(self, client: str = CLIENT, **more: bytes) -> bytes:
        return await self.rcpt(await self.begin(client, **more))


async def house(*lists: Dnsbl, **keys: object) -> House:
    made = House(*lists, **keys)
    await made.add("bob")
    return made


# ---- before the greeting


async def test_a_stranger_waits_for_the_greeting_and_is_known_afterwards() -> None:
    hall = await house()
    wire = hall.call()
    hall.wait(wire, 1.0)
    assert wire.take() == b""
    hall.wait(wire, 1.0)
    assert wire.take().startswith(b"220 ")
    assert hall.call().take().startswith(b"220 "), "seen"
    assert hall.call("192.0.2.2").take() == b"", "its neighbour was not"
    hall.clock.advance(SEEN + 1)
    assert hall.call().take() == b"", "and who brought nothing is forgotten after a day"


async def test_who_brought_a_letter_is_known_for_a_month() -> None:
    hall = await house()
    wire = await hall.begin()
    assert (await hall.rcpt(wire)).startswith(b"250 ")
    for octets in LETTER:
        answer = await say(wire, octets)
    assert answer.startswith(b"250 ")
    hall.clock.advance(SEEN_WITH_LETTER - 10)
    assert hall.call().take().startswith(b"220 ")
    hall.clock.advance(20)
    assert hall.call().take() == b""


async def test_workers_know_who_was_seen_by_another() -> None:
    hall = await house()
    hall.wait(hall.call())
    hall.callers = hall.worker()
    assert hall.call().take().startswith(b"220 ")


async def test_who_speaks_before_the_greeting_is_turned_away() -> None:
    hall = await house()
    wire = hall.call()
    wire.feed(b"EHLO spam.test\r\n")
    assert wire.take().startswith(b"554 5.5.1 You spoke before the greeting")
    assert wire.closed
    event = hall.events.one(CallerRefused)
    assert (event.rule, event.client, event.door) == ("pre-greeting", CLIENT, "relay")
    wire.hang_up()
    assert not hall.events.of(SessionClosed), "one event is enough"
    assert hall.call().take() == b"", "and it is no acquaintance"
    again = hall.call()
    again.feed(b"EHLO spam.test\r\n")
    hall.events.one(CallerRefused)


async def test_who_hangs_up_while_waiting_leaves_nothing() -> None:
    hall = await house()
    wire = hall.call()
    assert not conversation(wire).ended()
    wire.hang_up()
    hall.clock.advance(5)
    conversation(wire).tick(hall.clock.monotonic())
    assert wire.take() == b""


async def test_a_server_that_stops_does_not_keep_strangers_waiting() -> None:
    hall = await house()
    wire = hall.call()
    conversation(wire).drain()
    assert wire.take().startswith(b"421 4.3.2")
    assert wire.closed


async def test_after_the_pause_the_client_has_its_whole_minute() -> None:
    hall = await house()
    wire = hall.call()
    hall.wait(wire)
    wire.take()
    hall.wait(wire, 59)
    assert wire.take() == b""
    hall.wait(wire, 1)
    assert wire.take().startswith(b"421 4.4.2")


@pytest.mark.parametrize("client", ["127.0.0.1", "10.0.0.7", "::1", "192.0.2.77"])
async def test_own_networks_and_trusted_ones_are_never_judged(client: str) -> None:
    hall = await house(BAD)
    hall.list(client=client) if ":" not in client else None
    wire = hall.call(client)
    assert wire.take().startswith(b"220 ")
    await say(wire, b"EHLO friend\r\nMAIL FROM:<a@far.test>\r\n")
    assert (await hall.rcpt(wire)).startswith(b"250 ")
    assert hall.resolver.asked == []


async def test_doors_with_logins_ask_nobody() -> None:
    hall = await house(BAD)
    assert hall.knock(Door.SUBMISSION, client=CLIENT).written
    assert hall.resolver.asked == []


async def test_no_pause_by_configuration() -> None:
    assert (await house(pause=0.0)).call().take().startswith(b"220 ")


# ---- lists


async def test_a_listed_client_is_refused_at_rcpt_and_reaches_the_postmaster() -> None:
    hall = await house(BAD)
    hall.list()
    wire = await hall.begin()
    assert await hall.rcpt(wire) == b"550 5.7.1 192.0.2.1 is listed by bad.test, see https://bad.test/?192.0.2.1\r\n"
    assert (await hall.rcpt(wire, b"nobody@example.test")).startswith(b"550 5.7.1"), "and learns nothing of recipients"
    assert (await hall.rcpt(wire, b"postmaster@example.test")).startswith(b"250 ")
    assert (await hall.rcpt(wire, b"Postmaster")).startswith(b"250 ")
    event = hall.events.one(CallerRefused)
    assert (event.rule, event.points, event.lists, event.name) == (
        "caller-refused",
        5,
        ["bad.test=127.0.0.2"],
        "mx.far.test",
    )
    assert [e.rule for e in hall.events.of(RecipientRefused)] == ["caller-refused"] * 2


async def test_the_dns_is_asked_while_the_client_waits_and_all_at_once() -> None:
    hall = await house(BAD, GOOD)
    hall.call()
    for _ in range(10):
        await asyncio.sleep(0)
    asked = [name for _, name in hall.resolver.asked]
    assert {CLIENT, "mx.far.test", "1.2.0.192.bad.test", "1.2.0.192.good.test"} <= set(asked)


async def test_what_was_asked_is_not_asked_again_at_once() -> None:
    hall = await house(BAD)
    await hall.ask()
    hall.resolver.asked.clear()
    assert (await hall.ask()).startswith(b"250 ")
    assert hall.resolver.asked == []
    hall.clock.advance(61)
    assert (await hall.ask()).startswith(b"250 ")
    assert "1.2.0.192.bad.test" in [name for _, name in hall.resolver.asked]


async def test_the_memory_of_answers_is_bounded() -> None:
    hall = await house()
    for number in range(MOST_KEPT + 10):
        await hall.callers.learn(f"192.0.{number >> 8}.{number & 255}")
    assert hall.callers.peek("192.0.0.0") is None
    assert hall.callers.peek(f"192.0.{MOST_KEPT >> 8}.9") is not None


async def test_a_list_that_answers_too_late_counts_nothing() -> None:
    hall = await house(BAD, timeout=0.001)
    hall.list()
    hall.resolver.hold("1.2.0.192.bad.test")
    wire = await hall.begin()
    wire.feed(b"RCPT TO:<bob@example.test>\r\n")
    await asyncio.wait([asyncio.ensure_future(hall.callers.learn(CLIENT))])
    assert (await say(wire, b"")).startswith(b"250 ")


async def test_a_recipient_waits_for_what_is_still_being_asked() -> None:
    hall = await house(BAD)
    hall.list()
    hall.resolver.hold("1.2.0.192.bad.test")
    wire = await hall.begin()
    assert await hall.rcpt(wire) == b""
    hall.resolver.let_go("1.2.0.192.bad.test")
    assert (await say(wire, b"")).startswith(b"550 5.7.1")


async def test_who_goes_away_meanwhile_leaves_nothing() -> None:
    hall = await house(BAD)
    hall.resolver.hold("1.2.0.192.bad.test")
    wire = await hall.begin()
    assert await hall.rcpt(wire) == b""
    wire.hang_up()
    hall.resolver.let_go("1.2.0.192.bad.test")
    await say(wire, b"") if not wire.is_lost else await asyncio.sleep(0)
    assert not hall.events.of(RecipientRefused)


async def test_a_silent_list_of_good_ones_makes_no_refusal_for_good() -> None:
    hall = await house(BAD, GOOD)
    await hall.callers.lists.check_due()
    hall.list()
    hall.resolver.fail("1.2.0.192.good.test")
    assert (await hall.ask()).startswith(b"450 4.7.1")


async def test_a_list_of_good_ones_saves() -> None:
    hall = await house(BAD, GOOD)
    hall.list()
    hall.list("good.test", "127.0.5.3")
    assert (await hall.ask()).startswith(b"250 ")


# ---- marks


async def test_weak_signs_mark_the_letter_and_refuse_nobody() -> None:
    hall = await house()
    wire = await hall.begin("192.0.2.9", helo=b"friend")
    assert (await hall.rcpt(wire)).startswith(b"250 ")
    for octets in LETTER:
        await say(wire, octets)
    event = hall.events.one(CallerMarked)
    assert event.signs == ["no-reverse-dns", "helo-no-dot"]
    content = await hall.content()
    assert b"\r\nX-Ekiden-Caller: 2 points: no-reverse-dns, helo-no-dot\r\nSubject: hi\r\n" in content


async def test_an_ordinary_letter_has_no_mark() -> None:
    hall = await house()
    wire = await hall.begin()
    await hall.rcpt(wire)
    for octets in LETTER:
        await say(wire, octets)
    assert b"X-Ekiden" not in await hall.content()
    assert not hall.events.of(CallerMarked)


async def test_another_helo_is_another_judgement() -> None:
    hall = await house(sign_weight=2)
    wire = await hall.begin(helo=b"friend")
    await hall.rcpt(wire)
    hall.events.one(CallerMarked)
    await say(wire, b"EHLO mx.far.test\r\nMAIL FROM:<a@far.test>\r\n")
    assert (await hall.rcpt(wire)).startswith(b"250 ")
    for octets in LETTER:
        await say(wire, octets)
    assert b"X-Ekiden" not in await hall.content()


async def test_a_dns_that_is_down_is_no_sign() -> None:
    hall = await house(BAD)
    hall.list()
    for name in (CLIENT, "1.2.0.192.bad.test", "2.0.0.127.bad.test"):
        hall.resolver.fail(name)
    assert (await hall.ask(helo=b"friend")).startswith(b"250 ")
    assert not hall.events.of(CallerMarked)


# ---- greylisting


async def test_greylisting_takes_the_second_try_and_trusts_the_network() -> None:
    hall = await house(greylist=True)
    assert (await hall.ask()).startswith(b"450 4.7.1 Greylisted")
    hall.clock.advance(200)
    assert (await hall.ask()).startswith(b"450 ")
    hall.clock.advance(100)
    assert (await hall.ask("192.0.2.200")).startswith(b"250 "), "a neighbour brings it"
    assert (await hall.ask("192.0.2.9")).startswith(b"250 ")
    assert [event.rule for event in hall.events.of(RecipientRefused)] == ["greylisting"] * 2


async def test_greylisting_asks_nobody_about_recipients_that_do_not_exist_and_never_the_postmaster() -> None:
    hall = await house(greylist=True)
    wire = await hall.begin()
    assert (await hall.rcpt(wire, b"nobody@example.test")).startswith(b"550 5.1.1")
    assert (await hall.rcpt(wire, b"postmaster@example.test")).startswith(b"250 ")
    assert (await hall.rcpt(wire)).startswith(b"450 ")


async def test_who_is_on_a_list_of_good_ones_is_not_greylisted() -> None:
    hall = await house(GOOD, greylist=True)
    hall.list("good.test", "127.0.5.3")
    assert (await hall.ask()).startswith(b"250 ")


async def test_a_flood_of_senders_from_one_network_is_not_remembered() -> None:
    hall = await house(greylist=True)
    judge = hall.callers.greylisted
    facts = hall.callers.peek("192.0.2.1") or await hall.callers.learn("192.0.2.1")
    for number in range(1001):
        assert judge(CLIENT, f"a{number}@far.test", "bob@example.test", facts) is not None
    hall.clock.advance(301)
    assert judge(CLIENT, "a1000@far.test", "bob@example.test", facts) is not None, "not remembered"
    assert judge(CLIENT, "a1@far.test", "bob@example.test", facts) is None


def test_defaults_are_careful() -> None:
    config = Config(hostname="-", data_dir="-")
    assert config.dnsbl == ()
    assert (config.callers.greylist, config.callers.pause) == (False, 2.0)
