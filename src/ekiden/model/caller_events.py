"""Events about who calls on port 25, and about the lists that say so. Grade A; rules as in `model.events`."""

from __future__ import annotations

import msgspec

from ekiden.model.events import Event


class CallerRefused(Event, tag="caller.refused", kw_only=True):
    """Another server was turned away or put off for who it is. `rule`: pre-greeting (it spoke before the greeting),
    caller-refused, caller-deferred or caller-unsure; `points`, `lists` (the DNS lists that it is on) and `signs`: what
    was counted; `name`: of its address, if it leads back. Told once in ten minutes for each client."""

    session: str
    door: str
    client: str
    rule: str
    reason: str = ""
    points: int = 0
    lists: list[str] = msgspec.field(default_factory=list)
    signs: list[str] = msgspec.field(default_factory=list)
    name: str = ""
    helo: str = ""
    reply: str = ""


class CallerMarked(Event, tag="caller.marked", kw_only=True):
    """A letter is taken from a server that something speaks against. Fields and times as of `caller.refused`."""

    session: str
    door: str
    client: str
    rule: str
    reason: str = ""
    points: int = 0
    lists: list[str] = msgspec.field(default_factory=list)
    signs: list[str] = msgspec.field(default_factory=list)
    name: str = ""
    helo: str = ""
    reply: str = ""


class ListOff(Event, tag="list.off", kw_only=True):
    """A DNS list does not do what each list must (RFC 5782 §5) and is not believed until it does. `family`: for IPv4 or
    IPv6 clients."""

    zone: str
    family: str
    reason: str
    level: str = msgspec.field(default_factory=lambda: "warning")  # written into the line, as in model.events


class ListOn(Event, tag="list.on", kw_only=True):
    """A DNS list that was off is well again."""

    zone: str
    family: str
