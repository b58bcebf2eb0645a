"""policy.brake: what looks like a stolen password, and what does not."""

from __future__ import annotations

import msgspec
import pytest

from ekiden.model.habits import Habits, Sighting
from ekiden.policy.brake import (
    DAY,
    HOUR,
    REMEMBERED_DAYS,
    REMEMBERED_NETWORKS,
    has_baseline,
    judge,
    learn,
    lift_brake,
    new_habits,
    roll,
    set_brake,
)

#: A Thursday, 00:00 UTC.
START = 1_767_225_600.0
HOME, AWAY = "192.0.2.0/24", "198.51.100.0/24"


def person(days: int = 30, letters: int = 4) -> tuple[Habits, float]:
    """Sends at 9 and at 14 o'clock from home, now and then to somebody new. And when: midnight after the last day."""
    habits = new_habits(START)
    for day in range(days):
        for hour in (9, 14):
            learn(habits, sent(letters // 2, new=int(hour == 9)), START + day * DAY + hour * HOUR)
    return habits, START + days * DAY


def sent(letters: int, *, new: int = 0, network: str = HOME, failed: int = 0, recipients: int = 0) -> Sighting:
    """To one recipient each, unless `recipients` says how many."""
    return Sighting(letters, recipients or letters, failed, {network: new})


def names(habits: Habits, now: float, new_accounts: int = 500) -> tuple[bool, list[str]]:
    judgement = judge(habits, now, new_accounts=new_accounts)
    assert bool(judgement.reason) == bool(judgement.signals)
    return judgement.hold, [signal.name for signal in judgement.signals]


def test_an_ordinary_month_brakes_nobody():
    habits, now = person()
    assert has_baseline(habits, now)
    assert names(habits, now) == (False, [])
    learn(habits, sent(6, new=3), now + 9 * HOUR)
    assert names(habits, now + 9 * HOUR) == (False, [])


def test_a_thief_at_work_is_seen():
    habits, now = person()
    when = now + 10 * HOUR
    learn(habits, sent(150, new=150, network=AWAY, failed=40), when)
    hold, found = names(habits, when)
    assert hold
    assert found == ["new-network", "bounces", "volume"]
    reason = judge(habits, when, new_accounts=500).reason
    assert "(198.51.100.0/24) 150 recipients that it never wrote to before, at most 1 a day until now" in reason
    assert "40 of 152 recipients were refused or came back (26 %, usually 0 %)" in reason
    assert "152 recipients within 24 hours, at most 4 a day until now" in reason


@pytest.mark.parametrize(
    ("seen", "at", "signal"),
    [
        (sent(25, new=25, network=AWAY), 10, "new-network"),
        (sent(40, failed=12), 10, "bounces"),
        (sent(120), 10, "volume"),
        (sent(6), 3, "hours"),
    ],
)
def test_one_signal_alone_brakes_nobody(seen, at, signal):
    habits, now = person()
    learn(habits, seen, now + at * HOUR)
    assert names(habits, now + at * HOUR) == (False, [signal])


def phone(habits: Habits, now: float, networks: int = 6) -> None:
    for number in range(networks):
        learn(habits, Sighting(networks={f"203.{number}.113.0/24": 0}), now)


def test_hours_and_networks_alone_brake_nobody_even_together():
    habits, now = person()
    phone(habits, now + 3 * HOUR)
    learn(habits, sent(9), now + 3 * HOUR)
    assert names(habits, now + 3 * HOUR) == (False, ["networks", "hours"])


def test_networks_that_a_carrier_hands_out_are_one():
    habits, now = person()
    for number in range(30):
        learn(habits, Sighting(networks={f"203.0.{number}.0/24": 0, f"2001:db8:{number}::/48": 0}), now)
    assert names(habits, now) == (False, [])


@pytest.mark.parametrize(
    "seen",
    [sent(9, failed=10, recipients=20), sent(9, new=30, network=AWAY, recipients=30)],
)
def test_a_weak_signal_with_a_strong_one_brakes(seen):
    habits, now = person()
    learn(habits, seen, now + 3 * HOUR)
    hold, found = names(habits, now + 3 * HOUR)
    assert hold
    assert "hours" in found


def test_hours_beside_those_that_were_seen_are_no_signal():
    habits, now = person()
    for hour in (8, 10, 13, 15):
        learn(habits, sent(20), now + hour * HOUR)
    assert names(habits, now + 15 * HOUR) == (False, [])


@pytest.mark.parametrize(("days", "letters"), [(13, 40), (20, 2)])
def test_without_a_baseline_only_volume_counts(days, letters):
    habits, now = person(days, letters)
    assert not has_baseline(habits, now)
    learn(habits, sent(200, new=200, network=AWAY, failed=100), now + 3 * HOUR)
    assert names(habits, now + 3 * HOUR) == (False, [])
    learn(habits, sent(1, recipients=301), now + 4 * HOUR)
    assert names(habits, now + 4 * HOUR) == (True, ["volume"])
    assert names(habits, now + 4 * HOUR, new_accounts=0) == (False, [])


def test_the_flood_itself_is_no_baseline():
    habits = new_habits(START)
    learn(habits, sent(1), START)
    now = START + 40 * DAY
    learn(habits, sent(400, new=400, network=AWAY), now)
    assert not has_baseline(habits, now)


def test_an_account_that_always_sends_much_goes_on():
    habits, now = person(30, 2000)
    learn(habits, sent(2500, new=3), now + 9 * HOUR)
    assert names(habits, now + 9 * HOUR) == (False, [])


def test_what_is_a_day_old_is_usual_and_midnight_forgets_nothing():
    habits, now = person()
    learn(habits, sent(60, new=30, network=AWAY), now + 23 * HOUR)
    learn(habits, sent(60, new=30, network=AWAY), now + 25 * HOUR)
    assert names(habits, now + 25 * HOUR) == (True, ["new-network", "hours", "volume"])
    roll(habits, now + 50 * HOUR)
    assert habits.recent == []
    assert names(habits, now + 50 * HOUR) == (False, [])


def braked() -> tuple[Habits, float]:
    habits, now = person()
    when = now + 10 * HOUR
    learn(habits, sent(150, new=150, network=AWAY, failed=40), when)
    set_brake(habits, "why", when)
    return habits, when


def test_nothing_is_learned_while_the_brake_is_on():
    habits, when = braked()
    before = msgspec.json.encode(habits)
    learn(habits, sent(500, network="203.0.113.0/24"), when + 5)
    assert msgspec.json.encode(habits) == before


def test_released_it_is_usual():
    habits, when = braked()
    assert lift_brake(habits, when + HOUR, honest=True)
    assert not lift_brake(habits, when + HOUR, honest=True)
    assert (habits.braked, habits.reason, habits.told) == (0.0, "", False)
    learn(habits, sent(150, new=150, network=AWAY, failed=20), when + HOUR)
    assert names(habits, when + HOUR) == (False, [])


def test_sent_back_it_never_happened():
    habits, when = braked()
    letters = habits.letters
    lift_brake(habits, when + HOUR, honest=False)
    assert habits.letters == letters
    assert AWAY not in habits.networks
    assert HOME in habits.networks
    learn(habits, sent(150, new=150, network=AWAY), when)
    assert names(habits, when) == (True, ["new-network", "volume"])


def test_a_new_account_that_was_released_may_do_so_again():
    habits = new_habits(START)
    learn(habits, sent(600), START)
    assert names(habits, START) == (True, ["volume"])
    set_brake(habits, "why", START)
    lift_brake(habits, START + HOUR, honest=True)
    learn(habits, sent(1100), START + DAY)
    assert names(habits, START + DAY) == (False, [])


def test_habits_stay_small():
    habits = new_habits(START)
    for day in range(400):
        seen = Sighting(1000, 5000, 3, {f"10.{day % 250}.{n}.0/24": 20 for n in range(3)})
        learn(habits, seen, START + day * DAY + (day % 24) * HOUR)
    assert len(habits.days) == REMEMBERED_DAYS
    assert len(habits.networks) == REMEMBERED_NETWORKS
    assert len(msgspec.msgpack.encode(habits)) < 2500


def test_a_clock_that_is_set_back_loses_nothing():
    habits, now = person()
    learn(habits, sent(5), now)
    learn(habits, sent(5), now - 40 * DAY)
    assert sum(hour.letters for hour in habits.recent) >= 10
