"""The brake: does this account suddenly behave otherwise, as if its password were stolen?

Signals (the names are stable)
    new-network   many recipients never written to before, from a network not known before the last 24 hours
    bounces       a high share of recipients that do not exist
    networks      logins from many networks within an hour: a password that is shared, or sold
    hours         letters at hours of the day at which the account never sent
    volume        far more recipients within 24 hours than on any day before

Rules
1. It needs two different signals, and never acts on `hours` and `networks` alone: a phone has two networks, and a
   person may once be awake at night.
2. It needs a baseline: 14 days and 50 letters before the last 24 hours. Until then only `volume` counts, alone, against
   `[brake] new_accounts`.
3. Nothing is learned while the brake is on. Released, what happened becomes usual; sent back, it never happened.
4. Pure: times are given. Days and hours are UTC, for an hour is only compared with itself.

Called by `spool.brake` (each few seconds and account, never a letter) and by `admin.brakes`.
"""

from __future__ import annotations

import ipaddress
from typing import Final, NamedTuple

from ekiden.model.habits import Day, Habits, Hour, Sighting

DAY: Final = 86_400.0
HOUR: Final = 3_600.0
#: Rule 2.
BASELINE_DAYS: Final = 14
BASELINE_LETTERS: Final = 50
#: Days with letters that are remembered: the month before a holiday is still there after it.
REMEMBERED_DAYS: Final = 28
#: Networks that are remembered: home, office, phone, and those of a year's journeys; the oldest go first.
REMEMBERED_NETWORKS: Final = 32
#: `new-network`: so many at least, and so many times the most of any day.
STRANGERS: Final = 20
STRANGERS_TIMES: Final = 3
#: `bounces`: so many at least, a fifth of all, and so many times the usual share. Bought lists have a third and more.
FAILED: Final = 10
FAILED_SHARE: Final = 0.2
FAILED_TIMES: Final = 4
#: `networks`: more than so many, and than ever before by two. A person has home, office and phone.
NETWORKS: Final = 3
#: `hours`: so many letters, the hours beside it counted as seen (clocks change twice a year).
LETTERS_AT_NIGHT: Final = 5
#: `volume`: so many recipients at least, and so many times the most of any day.
VOLUME: Final = 100
VOLUME_TIMES: Final = 5
#: For a new account: so many times what a day had that the postmaster released.
RELEASED_TIMES: Final = 2

#: Signals that never brake by themselves, nor one with the other (rule 1).
WEAK: Final = frozenset({"hours", "networks"})


class Signal(NamedTuple):
    """`text`: with the figures, for people."""

    name: str
    text: str


class Judgement(NamedTuple):
    """`reason`: all signals in words; '' without any. `hold`: the brake is to be set."""

    hold: bool
    signals: tuple[Signal, ...]

    @property
    def reason(self) -> str:
        return "; ".join(signal.text for signal in self.signals)


def new_habits(now: float) -> Habits:
    return Habits(since=now, hours=[0] * 24)


def has_baseline(habits: Habits, now: float) -> bool:
    return now - habits.since >= BASELINE_DAYS * DAY and habits.letters >= BASELINE_LETTERS


def learn(habits: Habits, seen: Sighting, now: float) -> None:
    """Adds what a worker saw. In place."""
    if habits.braked:  # rule 3
        return
    roll(habits, now)
    hour = _this_hour(habits, now)
    hour.letters += seen.letters
    hour.recipients += seen.recipients
    hour.failed += seen.failed
    for network, strangers in seen.networks.items():
        first = _came_from(habits, network, now)
        hour.first_time += strangers
        if now - first < DAY:
            hour.strange += strangers
    hour.networks = max(hour.networks, _networks_now(habits, now))


def roll(habits: Habits, now: float) -> None:
    """What is older than 24 hours becomes habit (rule 2 of `model.habits`). In place."""
    oldest = int(now // HOUR) - 24
    while habits.recent and habits.recent[0].hour <= oldest:
        _fold(habits, habits.recent.pop(0))


def judge(habits: Habits, now: float, *, new_accounts: int) -> Judgement:
    """After `learn`. `new_accounts`: recipients within 24 hours of an account without baseline; 0: as many as it
    likes."""
    today = _sum(habits.recent)
    if not has_baseline(habits, now):
        limit = max(new_accounts, RELEASED_TIMES * _most(habits, "recipients"))
        if not new_accounts or today.recipients <= limit:
            return Judgement(hold=False, signals=())
        text = f"{today.recipients} recipients within 24 hours, and too little is known of the account yet"
        return Judgement(hold=True, signals=(Signal("volume", text),))
    found = (
        _new_network(habits, today, now),
        _bounces(habits, today),
        _many_networks(habits, today),
        _hours(habits),
        _volume(habits, today),
    )
    signals = tuple(signal for signal in found if signal is not None)
    strong = any(signal.name not in WEAK for signal in signals)
    return Judgement(hold=strong and len(signals) >= 2, signals=signals)


def set_brake(habits: Habits, reason: str, now: float) -> None:
    habits.braked, habits.reason, habits.told = now, reason, False


def lift_brake(habits: Habits, now: float, *, honest: bool) -> bool:
    """Rule 3; False if it was not on. `honest`: it was the owner, and may do so again."""
    if not habits.braked:
        return False
    recent, habits.recent = habits.recent, []
    if honest:
        for hour in recent:
            _fold(habits, hour)
        habits.networks = {name: (min(first, now - DAY), last) for name, (first, last) in habits.networks.items()}
    else:
        before = habits.braked - DAY
        habits.networks = {name: seen for name, seen in habits.networks.items() if seen[0] < before}
    habits.braked, habits.reason, habits.told = 0.0, "", False
    return True


# -- signals ---------------------------------------------------------------------------------------------------------


def _new_network(habits: Habits, today: Hour, now: float) -> Signal | None:
    usual = _most(habits, "first_time")
    if today.strange < max(STRANGERS, STRANGERS_TIMES * usual):
        return None
    new = [network for network, (first, _) in habits.networks.items() if now - first < DAY]
    where = f" ({', '.join(new[:3])})" if new else ""
    return Signal(
        "new-network",
        f"from a network never seen before{where} {today.strange} recipients that it never wrote to before, "
        f"at most {usual} a day until now",
    )


def _bounces(habits: Habits, today: Hour) -> Signal | None:
    tried = max(today.recipients, today.failed)
    before = sum(day.recipients for day in habits.days)
    usual = sum(day.failed for day in habits.days) / before if before else 0.0
    if today.failed < FAILED or today.failed < tried * max(FAILED_SHARE, min(FAILED_TIMES * usual, 0.9)):
        return None
    share = round(100 * today.failed / tried)
    shares = f"({share} %, usually {round(100 * usual)} %)"
    return Signal("bounces", f"{today.failed} of {tried} recipients were refused or came back {shares}")


def _many_networks(habits: Habits, today: Hour) -> Signal | None:
    usual = _most(habits, "networks")
    if today.networks <= max(NETWORKS, usual + 1):
        return None
    return Signal("networks", f"logins from {today.networks} networks within an hour, at most {usual} until now")


def _hours(habits: Habits) -> Signal | None:
    seen = habits.hours
    for hour in habits.recent:
        at = hour.hour % 24
        if hour.letters >= LETTERS_AT_NIGHT and not (seen[at] or seen[at - 1] or seen[(at + 1) % 24]):
            return Signal("hours", f"{hour.letters} letters at {at:02d}:00 UTC, when it never sent before")
    return None


def _volume(habits: Habits, today: Hour) -> Signal | None:
    usual = _most(habits, "recipients")
    if today.recipients < max(VOLUME, VOLUME_TIMES * usual):
        return None
    return Signal("volume", f"{today.recipients} recipients within 24 hours, at most {usual} a day until now")


# -- counting --------------------------------------------------------------------------------------------------------


def _this_hour(habits: Habits, now: float) -> Hour:
    """A clock that was set back adds to the latest hour there is."""
    number = int(now // HOUR)
    if not habits.recent or habits.recent[-1].hour < number:
        habits.recent.append(Hour(number))
    return habits.recent[-1]


def _fold(habits: Habits, hour: Hour) -> None:
    habits.letters += hour.letters
    habits.hours[hour.hour % 24] += hour.letters
    number = hour.hour // 24
    if not habits.days or habits.days[-1].day < number:
        habits.days.append(Day(number))
        del habits.days[:-REMEMBERED_DAYS]
    day = habits.days[-1]
    day.letters += hour.letters
    day.recipients += hour.recipients
    day.first_time += hour.first_time
    day.failed += hour.failed
    day.networks = max(day.networks, hour.networks)


def _sum(hours: list[Hour]) -> Hour:
    total = Hour(0)
    for hour in hours:
        total.letters += hour.letters
        total.recipients += hour.recipients
        total.first_time += hour.first_time
        total.strange += hour.strange
        total.failed += hour.failed
        total.networks = max(total.networks, hour.networks)
    return total


def _most(habits: Habits, field: str) -> int:
    return max((getattr(day, field) for day in habits.days), default=0)


def _came_from(habits: Habits, network: str, now: float) -> float:
    """Notes it; when it was first seen."""
    first = habits.networks.pop(network, (now, now))[0]
    habits.networks[network] = (min(first, now), now)  # the latest stands last
    while len(habits.networks) > REMEMBERED_NETWORKS:
        del habits.networks[next(iter(habits.networks))]
    return min(first, now)


def _networks_now(habits: Habits, now: float) -> int:
    """Within an hour, wide ones: a carrier gives a phone another /24 at every other mast."""
    return len({_wide(network) for network, (_, last) in habits.networks.items() if now - last < HOUR})


def _wide(network: str) -> str:
    """The /16 or /32 of a /24 or /48."""
    parsed = ipaddress.ip_network(network)
    return str(parsed.supernet(new_prefix=16 if parsed.version == 4 else 32))
