"""Guards at the doors, from bytes to the reply, with a clock that tests move."""

from __future__ import annotations

from itertools import count

import pytest

from ekiden.config.model import Config, Limits, Relay
from ekiden.model.door import Door
from ekiden.model.events import GuardActed, SessionClosed
from ekiden.policy.crowding import exempt
from ekiden.policy.trusted import Neighbourhood, SharedAddress
from ekiden.session.crowd import Crowd
from ekiden.session.guard_report import MOST_A_MINUTE, PAUSE, GuardReport
from ekiden.storage.memory.tally import MemoryTally
from ekiden.telemetry.counts import LiveCounts
from tests.fakes.clock import FakeClock
from tests.fakes.doors import Hall, say
from tests.fakes.events import CollectingSink

CONFIG = Config(hostname="-", data_dir="-", relay=Relay(trusted_networks=("10.0.0.0/8",)))
NEIGHBOURHOOD = Neighbourhood(frozenset({"172.18.0.1"}), (SharedAddress("172.17.0.1", "the gateway of docker0"),))
BEGIN = b"EHLO client.test\r\nMAIL FROM:<a@far.test>\r\n"


_names = count()


@pytest.fixture
async def hall() -> Hall:
    hall = Hall(limits=Limits(unknown_recipients=3, errors=1000))
    await hall.add("bob")
    return hall


async def try_names(hall: Hall, tries: int, *, client: str = "192.0.2.1") -> list[bytes]:
    """The codes of so many unknown recipients in one session, with one that exists behind them."""
    wire = hall.knock(Door.RELAY, client=client)
    await say(wire, BEGIN)
    codes = [(await say(wire, b"RCPT TO:<nobody%d@example.test>\r\n" % next(_names)))[:3] for _ in range(tries)]
    assert (await say(wire, b"RCPT TO:<bob@example.test>\r\n"))[:3] == b"250", "who exists is reached as ever"
    return codes


# ---- unknown recipients


async def test_after_a_few_unknown_recipients_further_ones_learn_no_more(hall) -> None:
    assert await try_names(hall, 6) == [b"550"] * 3 + [b"450"] * 3
    event = hall.events.one(GuardActed)
    assert (event.guard, event.who, event.client) == ("unknown-recipients", "192.0.2.0/24", "192.0.2.1")
    assert event.reason == "4 unknown recipients in one session, 3 are allowed"


async def test_a_network_that_comes_again_and_again_is_one(hall) -> None:
    for number in range(10):
        assert await try_names(hall, 3, client=f"192.0.2.{number}") == [b"550"] * 3
    assert await try_names(hall, 2, client="192.0.2.99") == [b"450"] * 2
    assert await try_names(hall, 2, client="192.0.3.1") == [b"550"] * 2
    hall.clock.advance(3600 * 8 / 7)
    assert await try_names(hall, 1, client="192.0.2.99") == [b"550"]


async def test_one_address_that_is_wrong_is_one_however_often_it_is_tried(hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, BEGIN)
    for _ in range(40):
        assert (await say(wire, b"RCPT TO:<Old@example.test>\r\n"))[:3] == b"550"


async def test_trusted_networks_and_logins_see_which_address_is_wrong(hall) -> None:
    assert await try_names(hall, 9, client="10.0.0.7") == [b"550"] * 9


async def test_where_many_share_an_address_only_the_session_counts(hall) -> None:
    hall.shared = exempt(CONFIG, NEIGHBOURHOOD)
    for _ in range(12):
        assert await try_names(hall, 3, client="172.17.0.1") == [b"550"] * 3
    assert await try_names(hall, 5, client="172.17.0.1") == [b"550"] * 3 + [b"450"] * 2


async def test_strangers_who_want_to_relay_are_no_harvesters(hall) -> None:
    wire = hall.knock(Door.RELAY)
    await say(wire, BEGIN)
    for number in range(9):
        assert (await say(wire, b"RCPT TO:<a%d@else.test>\r\n" % number))[:3] == b"550"


# ---- connections


class Entrance:
    def __init__(self, **limits: int) -> None:
        self.clock = FakeClock()
        self.events = CollectingSink()
        self.tally = MemoryTally(self.clock)
        self.counts = LiveCounts()
        self.limits = Limits(**limits)
        self.crowd = self.worker(self.tally)

    def worker(self, tally: MemoryTally) -> Crowd:
        return Crowd(tally, GuardReport(tally, self.events, self.counts), self.limits, exempt(CONFIG, NEIGHBOURHOOD))

    def rule(self, address: str) -> str:
        return self.crowd.enter(Door.RELAY, address).rule


def test_connections_of_an_address_and_of_its_network() -> None:
    house = Entrance(connections_per_address=2, connections_per_network=5)
    assert [house.rule("192.0.2.1") for _ in range(4)] == ["room"] * 2 + ["connections-address"] * 2
    assert [house.rule("192.0.2.2"), house.rule("192.0.2.3"), house.rule("192.0.2.4")] == ["room"] * 3
    assert house.rule("192.0.2.5") == "connections-network"
    assert house.rule("192.0.3.5") == "room"
    house.crowd.leave("192.0.2.1")
    assert house.rule("192.0.2.5") == "room", "what was refused is not counted"
    told = house.events.of(GuardActed)
    assert [(event.guard, event.who) for event in told] == [
        ("connections-address", "192.0.2.1"),
        ("connections-network", "192.0.2.0/24"),
    ]
    house.counts.tick()
    counted = {"connections-address": 2, "connections-network": 1}
    assert house.counts.take() == {"guards": counted}, "each time, told or not"


@pytest.mark.parametrize("address", ["10.1.2.3", "127.0.0.1", "::1", "172.17.0.1", "172.18.0.1"])
def test_who_speaks_for_many_is_exempt(address) -> None:
    house = Entrance(connections_per_address=1, connections_per_network=1)
    assert [house.rule(address) for _ in range(9)] == ["exempt"] * 9


def test_other_loopback_addresses_are_not() -> None:
    house = Entrance(connections_per_address=1)
    assert [house.rule("127.0.0.2") for _ in range(2)] == ["room", "connections-address"]


def test_workers_count_together_and_a_dead_one_gives_back() -> None:
    house = Entrance(connections_per_address=3)
    second = MemoryTally(house.clock, house.tally)
    crowd = house.worker(second)
    for _ in range(3):
        assert crowd.enter(Door.RELAY, "192.0.2.1").accepted
    assert house.rule("192.0.2.1") == "connections-address"
    second.die()
    assert house.rule("192.0.2.1") == "room"


def test_without_limits_nobody_is_counted() -> None:
    house = Entrance(connections_per_address=0, connections_per_network=0)
    assert [house.rule("192.0.2.1") for _ in range(300)] == ["room"] * 300
    assert house.tally.inside("at:192.0.2.1") == 0
    house.crowd.leave("192.0.2.1")
    assert house.tally.inside("at:192.0.2.1") == 0


# ---- what is told


def test_a_flood_is_told_in_a_few_lines() -> None:
    house = Entrance(connections_per_address=1)
    for number in range(500):
        for _ in range(3):
            house.rule(f"192.{number >> 8}.{number & 255}.1")
    assert len(house.events.of(GuardActed)) == MOST_A_MINUTE


def test_who_goes_on_is_told_again_after_a_while() -> None:
    house = Entrance(connections_per_address=1)
    for _ in range(11):
        house.rule("192.0.2.1")
        house.clock.advance(PAUSE / 5)
    assert len(house.events.of(GuardActed)) == 2


# ---- the tarpit


async def test_strangers_wait_for_a_refusal_and_others_do_not() -> None:
    hall = Hall(limits=Limits(tarpit=5.0), relay=Relay(trusted_networks=("10.0.0.0/8",)))
    await hall.add("bob")
    for client, waits in (("192.0.2.1", [5.0, 5.0]), ("10.0.0.7", [])):
        hall.waits.clear()
        wire = hall.knock(Door.RELAY, client=client)
        await say(wire, BEGIN)
        no, yes = b"RCPT TO:<nobody@example.test>\r\n", b"RCPT TO:<bob@example.test>\r\n"
        replies = (await say(wire, no + yes + no)).splitlines()
        assert [reply[:3] for reply in replies] == [b"550", b"250", b"550"], "what comes meanwhile waits its turn"
        assert hall.waits == waits


async def test_without_a_tarpit_nobody_waits(hall) -> None:
    await try_names(hall, 6)
    assert hall.waits == []


# ---- slow senders


async def test_a_slow_sender_is_told_why(hall) -> None:
    wire = hall.knock(Door.RELAY)
    assert wire.user.too_slow()
    assert (await say(wire, b"")).startswith(b"421 4.4.2 Too little came")
    assert wire.closed
    wire.settle()
    assert hall.events.one(SessionClosed).reason == "slow"
