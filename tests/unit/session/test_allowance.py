"""Limits of accounts and trusted networks, from bytes to the reply, with a clock that tests move."""

from __future__ import annotations

import base64
from itertools import count

from ekiden.config.model import Config, Profile, Relay, Restrict
from ekiden.model.door import Door
from ekiden.model.events import LimitNear, LimitReached
from ekiden.session.doorway import Doorway
from ekiden.session.submission import SubmissionSession
from ekiden.storage.memory.known_recipients import MemoryKnownRecipients
from tests.fakes.doors import PASSWORD, Hall, conversation, say
from tests.fakes.wire import FakeWire

DAY = 86_400.0
_names = count()


def hall_with(**limits: int) -> Hall:
    given = {"messages_per_day": 0, "first_time_recipients_per_day": 0}
    return Hall(profile=(Profile(name="person", **(given | limits)),))


async def log_in(hall: Hall, name: str = "alice") -> FakeWire:
    if await hall.directory.account(f"{name}@example.test") is None:
        await hall.add(name)
    wire = hall.knock(Door.SUBMISSIONS)
    secret = base64.b64encode(f"\0{name}@example.test\0{PASSWORD}".encode())
    await say(wire, b"EHLO client.test\r\n")
    assert (await say(wire, b"AUTH PLAIN " + secret + b"\r\n"))[:3] == b"235"
    return wire


async def send(wire: FakeWire, *recipients: str, sender: str = "alice@example.test") -> bytes:
    """The code of the first command that was refused, or of the letter."""
    for line in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{path}>" for path in recipients or ["a@far.test"]), "DATA"):
        reply = await say(wire, line.encode() + b"\r\n")
        if reply[:1] not in b"23":
            await say(wire, b"RSET\r\n")
            return line[:4].encode() + b" " + reply[:9].replace(b"-", b" ")
    return (await say(wire, f"From: <{sender}>\r\n\r\nhello\r\n.\r\n".encode()))[:3]


def stranger() -> str:
    return f"new{next(_names)}@far.test"


# ---- messages


async def test_exactly_so_many_messages_and_then_when_to_come_back() -> None:
    hall = hall_with(messages_per_hour=5)
    wire = await log_in(hall)
    assert [await send(wire) for _ in range(5)] == [b"250"] * 5
    reply = await say(wire, b"MAIL FROM:<alice@example.test>\r\n")
    assert reply.startswith(b"450-4.7.1 5 messages an hour are sent, please try again after 20")
    assert reply.endswith(b"(messages_per_hour of the profile person)\r\n")
    assert hall.events.one(LimitNear).count == 4
    told = hall.events.one(LimitReached)
    assert (told.who, told.limit, told.allowed) == ("alice@example.test", "messages_per_hour", 5)
    hall.clock.advance(told.again - hall.clock.now())
    assert await send(wire) == b"250", "what it said was true"


async def test_who_tries_again_and_again_waits_no_longer() -> None:
    hall = hall_with(messages_per_minute=2)
    wire = await log_in(hall)
    assert [await send(wire) for _ in range(30)] == [b"250"] * 2 + [b"MAIL 450 4.7.1"] * 28
    hall.clock.advance(60 * 8 / 7)
    assert [await send(wire) for _ in range(3)] == [b"250"] * 2 + [b"MAIL 450 4.7.1"]


async def test_midnight_means_nothing() -> None:
    hall = hall_with(messages_per_day=10)
    wire = await log_in(hall)
    hall.clock.advance(DAY - hall.clock.now() % DAY - 600)  # ten minutes to midnight
    assert [await send(wire) for _ in range(10)] == [b"250"] * 10
    hall.clock.advance(3600)
    assert await send(wire) == b"MAIL 450 4.7.1"
    hall.clock.advance(DAY * 8 / 7)
    assert await send(wire) == b"250"


async def test_sessions_and_workers_share_the_count_and_never_take_one_place_twice() -> None:
    hall = hall_with(messages_per_day=10)
    wires = [await log_in(hall) for _ in range(8)]
    assert [await send(wires[0]) for _ in range(7)] == [b"250"] * 7
    for wire in wires:  # all of them have passed MAIL when the last places are taken
        assert (await say(wire, b"MAIL FROM:<alice@example.test>\r\n"))[:3] == b"250"
    codes = [(await say(wire, b"RCPT TO:<a@far.test>\r\n"))[:3] for wire in wires]
    assert codes == [b"250"] * 3 + [b"450"] * 5


async def test_a_session_that_was_far_from_the_limit_takes_no_place_that_others_took() -> None:
    hall = hall_with(messages_per_day=10)
    first, others = await log_in(hall), await log_in(hall)
    assert await send(first) == b"250"
    assert [await send(others) for _ in range(9)] == [b"250"] * 9
    assert await send(first) == b"RCPT 450 4.7.1"
    assert await send(first) == b"MAIL 450 4.7.1", "and it knows now"


async def test_accounts_do_not_share() -> None:
    hall = hall_with(messages_per_day=1)
    assert await send(await log_in(hall)) == b"250"
    assert await send(await log_in(hall, "bob"), sender="bob@example.test") == b"250"


async def test_a_message_that_has_no_recipient_is_none() -> None:
    hall = hall_with(messages_per_day=2)
    wire = await log_in(hall)
    for _ in range(9):
        await say(wire, b"MAIL FROM:<alice@example.test>\r\nRCPT TO:<nobody@example.test>\r\nRSET\r\n")
    assert [await send(wire) for _ in range(3)] == [b"250"] * 2 + [b"MAIL 450 4.7.1"]


async def test_far_from_the_limit_a_message_costs_one_step() -> None:
    hall = hall_with(messages_per_day=1000)
    wire = await log_in(hall)
    assert await send(wire) == b"250"
    steps: list[str] = []
    for verb in ("add", "count", "recall", "remember"):
        real = getattr(hall.tally, verb)
        setattr(hall.tally, verb, lambda *args, real=real, verb=verb: steps.append(verb) or real(*args))
    assert await send(wire) == b"250"
    assert steps == ["add"]


# ---- recipients


async def test_recipients_of_a_message() -> None:
    hall = hall_with(recipients_per_message=2)
    wire = await log_in(hall)
    assert await send(wire, "a@far.test", "b@far.test", "b@FAR.test") == b"250", "the same one is one"
    assert await send(wire, "a@far.test", "b@far.test", "c@far.test") == b"RCPT 452 4.5.3"


async def test_recipients_of_all_messages() -> None:
    hall = hall_with(recipients_per_hour=5)
    wire = await log_in(hall)
    assert await send(wire, "a@far.test", "b@far.test", "c@far.test") == b"250"
    assert await send(wire, "a@far.test", "b@far.test", "c@far.test") == b"RCPT 450 4.7.1"
    assert hall.events.one(LimitReached).limit == "recipients_per_hour"


async def test_recipients_that_are_new() -> None:
    hall = hall_with(first_time_recipients_per_day=3)
    wire = await log_in(hall)
    friends = [stranger() for _ in range(3)]
    assert [await send(wire, friend) for friend in friends] == [b"250"] * 3
    assert await send(wire, stranger()) == b"RCPT 450 4.7.1"
    assert [await send(wire, friend) for friend in friends * 2] == [b"250"] * 6, "known ones are taken"
    hall.clock.advance(DAY * 8 / 7)
    assert await send(wire, stranger()) == b"250"


async def test_imported_recipients_are_not_new() -> None:
    hall = hall_with(first_time_recipients_per_day=1)
    readers = [stranger() for _ in range(20)]
    await hall.known_recipients.add("alice@example.test", readers)
    assert await send(await log_in(hall), *readers) == b"250"


async def test_a_new_recipient_counts_once_however_often_it_is_tried() -> None:
    hall = hall_with(first_time_recipients_per_day=2)
    wire = await log_in(hall)
    friend = stranger()
    for _ in range(5):
        await say(wire, f"MAIL FROM:<alice@example.test>\r\nRCPT TO:<{friend}>\r\nRSET\r\n".encode())
    assert [await send(wire, stranger()) for _ in range(2)] == [b"250", b"RCPT 450 4.7.1"]


async def test_whoever_a_held_letter_goes_to_is_not_known_yet() -> None:
    hall = hall_with(first_time_recipients_per_day=9)
    wire = await log_in(hall)
    friend = stranger()
    await say(wire, f"MAIL FROM:<alice@example.test>\r\nRCPT TO:<{friend}>\r\n".encode())
    session = conversation(wire)._session
    assert isinstance(session, SubmissionSession)
    assert session._transaction is not None
    session._transaction.hold_reason = "a guard said so"
    assert (await say(wire, b"DATA\r\n"))[:3] == b"354"
    assert (await say(wire, b"From: <alice@example.test>\r\n\r\nhello\r\n.\r\n"))[:3] == b"250"
    assert not await hall.known_recipients.knows("alice@example.test", friend)
    assert await send(wire, friend) == b"250"
    assert await hall.known_recipients.knows("alice@example.test", friend)


async def test_who_must_be_asked_for_is_asked_for() -> None:
    hall = hall_with(first_time_recipients_per_day=1)
    hall.known_recipients = MemoryKnownRecipients(cached=False)
    wire = await log_in(hall)
    friend = stranger()
    assert await send(wire, friend, friend) == b"250"
    assert await send(wire, friend) == b"250"
    assert await send(wire, stranger()) == b"RCPT 450 4.7.1"


# ---- profiles and networks


def doorway_of(**config: object) -> Doorway:
    return Hall(**config).doorway(Door.RELAY)


def test_profiles_that_are_there() -> None:
    limits = doorway_of().sending_limits
    assert [(name, limit.messages[-1].most) for name, limit in limits.items()] == [
        ("person", 1000),
        ("newsletter", 100_000),
        ("application", 20_000),
        ("network", 10_000),
    ]
    assert limits["person"].first_time[0].most == 200
    assert not limits["network"].first_time
    assert Config(hostname="-", data_dir="-").relay.profile == "network"


async def test_an_account_has_the_limits_of_its_profile_and_a_person_s_without_one() -> None:
    hall = Hall(profile=(Profile(name="shop", messages_per_day=2), Profile(name="person", messages_per_day=1)))
    await hall.add("shop", profile="shop")
    await hall.add("gone", profile="no-longer-there")
    for name, most in (("shop", 2), ("gone", 1), ("alice", 1)):
        wire = await log_in(hall, name)
        codes = [await send(wire, sender=f"{name}@example.test") for _ in range(3)]
        assert codes == [b"250"] * most + [b"MAIL 450 4.7.1"] * (3 - most)


async def test_each_address_of_a_trusted_network_has_limits() -> None:
    network = Profile(name="printers", messages_per_day=2, first_time_recipients_per_day=1)
    hall = Hall(profile=(network,), relay=Relay(trusted_networks=("10.0.0.0/24",), profile="printers"))
    await hall.add("alice")
    for client in ("10.0.0.7", "10.0.0.8"):
        wire = hall.knock(Door.RELAY, client=client)
        await say(wire, b"EHLO printer.test\r\n")
        sent = [await send(wire, stranger(), sender="printer@far.test") for _ in range(3)]
        assert sent == [b"250"] * 2 + [b"RCPT 450 4.7.1"]
        assert await send(wire, "alice@example.test", sender="x@far.test") == b"250", "as from any stranger"


async def test_strangers_are_not_counted_here() -> None:
    hall = Hall(profile=(Profile(name="network", messages_per_day=1),))
    await hall.add("alice")
    wire = hall.knock(Door.RELAY)
    await say(wire, b"EHLO far.test\r\n")
    assert [await send(wire, "alice@example.test", sender="x@far.test") for _ in range(3)] == [b"250"] * 3


# ---- where to


async def replies(hall: Hall, wire: FakeWire, *recipients: str, sender: str = "alice@example.test") -> list[bytes]:
    await say(wire, f"RSET\r\nMAIL FROM:<{sender}>\r\n".encode())
    return [(await say(wire, f"RCPT TO:<{path}>\r\n".encode()))[:3] for path in recipients]


async def test_an_account_sends_only_where_it_may() -> None:
    rules = (
        Restrict(name="interns", account=("Alice@example.test",), allow=("example.test", "*.far.test")),
        Restrict(name="nobody", account=("*",), deny=("bad.far.test", "worse.test")),
    )
    hall = Hall(restrict=rules)
    wire = await log_in(hall)
    paths = ("alice@example.test", "a@x.FAR.test", "a@far.test", "a@bad.far.test", "a@[192.0.2.9]", "Postmaster")
    assert await replies(hall, wire, *paths) == [b"250", b"250", b"550", b"550", b"550", b"250"]
    reply = await say(wire, b"RCPT TO:<a@else.test>\r\n")
    assert reply.startswith(b"550-5.7.1 You may not send to else.test (restriction interns)\r\n550 5.7.1 Whoever")
    bob = await log_in(hall, "bob")
    assert await replies(hall, bob, "a@else.test", "a@worse.test", sender="bob@example.test") == [b"250", b"550"]


async def test_profiles_and_networks_are_bound_too_and_strangers_are_not() -> None:
    rules = (
        Restrict(name="printers", network=("10.0.0.0/24",), allow=("partner.test",)),
        Restrict(name="shops", profile=("application",), deny=("*",)),
    )
    hall = Hall(restrict=rules, relay=Relay(trusted_networks=("10.0.0.0/24",)))
    await hall.add("alice")
    await hall.add("shop", profile="application")
    wire = hall.knock(Door.RELAY, client="10.0.0.7")
    await say(wire, b"EHLO printer.test\r\n")
    paths = ("a@partner.test", "a@far.test", "alice@example.test")
    assert await replies(hall, wire, *paths, sender="x@far.test") == [b"250", b"550", b"250"]
    shop = await log_in(hall, "shop")
    assert await replies(hall, shop, "a@partner.test", sender="shop@example.test") == [b"550"]
    alice = await log_in(hall, "alice")
    assert await replies(hall, alice, "a@far.test") == [b"250"]
