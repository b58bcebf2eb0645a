"""Limits: how much an account, or an address of trusted_networks, may send. Pure.

Rules
1. A profile (`[[profile]]`) names what is counted in its keys: `messages_per_day`, `recipients_per_hour`,
   `first_time_recipients_per_day`. 0 is no limit. An account without a profile, or with one that is no longer
   configured, has that of a person.
2. Times roll: a day is the last 24 hours, and midnight means nothing.
3. What would be one more than a limit is refused for now, 450 4.7.1 with the time when it fits again, at MAIL or RCPT;
   what was taken is never refused. A message with too many recipients: 452 4.5.3 (RFC 5321 §4.5.3.1.10), the rest may
   come in another one.
4. From four fifths of a limit on it is near.

Called by `session.allowance`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ekiden.config.model import Config, Profile
from ekiden.message.date import render_minute
from ekiden.model.decision import Decision, Verdict
from ekiden.model.reply import Reply
from ekiden.policy.guards import FIRST_TIME_RECIPIENTS, SENDING_LIMITS, Guard

PERSON: Final = "person"
MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86_400.0

#: What is there without configuration. A newsletter's readers and a shop's customers can be imported.
BUILT_IN: Final = (
    Profile(name=PERSON),
    Profile(name="newsletter", messages_per_day=100_000, first_time_recipients_per_day=1000),
    Profile(name="application", messages_per_day=20_000, first_time_recipients_per_day=5000),
    # A loop of a broken printer ends here; a host that sends more has a profile of its own.
    Profile(name="network", messages_per_day=10_000, first_time_recipients_per_day=0),
)
_WINDOWS: Final = (("a", "minute", MINUTE), ("an", "hour", HOUR), ("a", "day", DAY))
#: A limit is near when it is used to so many fifths.
_NEAR_FIFTHS: Final = 4


class Limit(NamedTuple):
    """`key`: of the profile. `counted`: messages, recipients, new recipients. `per`: "a day". `most`: 1 or more."""

    key: str
    profile: str
    counted: str
    per: str
    window: float
    most: int

    @property
    def is_first_time(self) -> bool:
        return self.key.startswith("first_time")

    def is_near(self, count: int) -> bool:
        return count * 5 >= self.most * _NEAR_FIFTHS

    @property
    def guard(self) -> Guard:
        return FIRST_TIME_RECIPIENTS if self.is_first_time else SENDING_LIMITS


class Limits(NamedTuple):
    """A profile's, those that are there."""

    profile: str
    messages: tuple[Limit, ...]
    recipients: tuple[Limit, ...]
    first_time: tuple[Limit, ...]
    recipients_per_message: int


def profiles_of(config: Config) -> dict[str, Profile]:
    """By name; what is configured stands before what is built in."""
    return {profile.name: profile for profile in (*BUILT_IN, *config.profile)}


def limits_by_name(config: Config) -> dict[str, Limits]:
    return {name: limits_of(profile) for name, profile in profiles_of(config).items()}


def limits_of(profile: Profile) -> Limits:
    return Limits(
        profile.name,
        _limits(profile, "messages"),
        _limits(profile, "recipients"),
        _limits(profile, "first_time_recipients"),
        profile.recipients_per_message,
    )


def _limits(profile: Profile, counted: str) -> tuple[Limit, ...]:
    found = []
    words = counted.replace("first_time_", "new ")
    for article, per, window in _WINDOWS:
        key = f"{counted}_per_{per}"
        if most := getattr(profile, key, 0):
            found.append(Limit(key, profile.name, words, f"{article} {per}", window, most))
    return tuple(found)


def over(limit: Limit, again: float) -> Decision:
    """`again`: when one more fits, in seconds since 1970."""
    when = render_minute(again)
    reason = f"{limit.most} {limit.counted} {limit.per} are allowed ({limit.key} of the profile {limit.profile})"
    reply = Reply(
        450, "4.7.1", f"{limit.most:,} {limit.counted} {limit.per} are sent, please try again after {when}", reason
    )
    return Decision(Verdict.DEFER, limit.guard.name, reason, reply)


def over_message(limits: Limits) -> Decision:
    most = limits.recipients_per_message
    reason = f"{most} recipients a message are allowed (recipients_per_message of the profile {limits.profile})"
    reply = Reply(452, "4.5.3", "Too many recipients for one message, send the rest in another", reason)
    return Decision(Verdict.DEFER, SENDING_LIMITS.name, reason, reply)
