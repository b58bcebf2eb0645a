"""What is kept of events that come again and again: the first ones, and how many followed.

Rules
1. A login that succeeds is kept five times an hour for the same account, client and door: a program that fetches every
   minute says nothing new.
2. Of everything else, 100 of one name from one client network (/24, /64) within a minute; 600 if there is no client.
   So one attacker fills neither the disk nor the page that a person reads.
3. When a window is over, one `event.repeated` says how many were left out. The log has them all.
4. At most `MOST_KEYS` windows are held; when there are more, they are ended early.

Called by `telemetry.keeping`, in its thread.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Final, NamedTuple

from ekiden.model.events import Event, EventRepeated, LoginSucceeded

MOST_KEYS: Final = 20_000


class Window(NamedTuple):
    """So many of a kind are kept within so many seconds."""

    seconds: float
    most: int


LOGINS: Final = Window(3600.0, 5)
CLIENTS: Final = Window(60.0, 100)
OTHERS: Final = Window(60.0, 600)


class _Count:
    __slots__ = ("begin", "count", "first", "window")

    def __init__(self, begin: float, window: Window, first: EventRepeated) -> None:
        self.begin = begin
        self.window = window
        self.first = first
        self.count = 0


class Thinning:
    """Times are seconds since 1970; a clock that jumps back ends all windows."""

    def __init__(self) -> None:
        self._counts: dict[tuple[object, ...], _Count] = {}

    def passes(self, event: Event, now: float) -> bool:
        """Whether it is kept."""
        key, window = _key(event)
        count = self._counts.get(key)
        if count is None:
            count = self._counts[key] = _Count(now, window, _repeated(event))
        count.count += 1
        return count.count <= count.window.most

    def over(self, now: float, *, all_of_them: bool = False) -> Iterator[EventRepeated]:
        """Ends windows; call it before `passes`, now and then."""
        early = all_of_them or len(self._counts) > MOST_KEYS
        for key, count in list(self._counts.items()):
            lasted = now - count.begin
            if not early and 0 <= lasted < count.window.seconds:
                continue
            del self._counts[key]
            if (more := count.count - count.window.most) > 0:
                first = count.first
                yield EventRepeated(
                    name=first.name, times=more, seconds=max(round(lasted, 1), 0.0), client=first.client,
                    account=first.account, door=first.door, level=first.level,
                )  # fmt: skip

    def __len__(self) -> int:
        return len(self._counts)


def _key(event: Event) -> tuple[tuple[object, ...], Window]:
    if isinstance(event, LoginSucceeded):
        return (LoginSucceeded, event.account, event.client, event.door), LOGINS
    client = getattr(event, "client", "")
    return (type(event), _network(client)), CLIENTS if client else OTHERS


def _repeated(event: Event) -> EventRepeated:
    name = str(event.__struct_config__.tag)
    if isinstance(event, LoginSucceeded):
        return EventRepeated(
            name=name, times=0, seconds=0.0, client=event.client, account=event.account, door=event.door
        )
    network = _network_text(getattr(event, "client", ""))
    return EventRepeated(name=name, times=0, seconds=0.0, client=network, level=event.level)


def _network(client: str) -> object:
    """Equal for clients of one network."""
    if ":" not in client:
        return client.rpartition(".")[0]
    try:
        return socket.inet_pton(socket.AF_INET6, client.partition("%")[0])[:8]
    except OSError:
        return client


def _network_text(client: str) -> str:
    try:
        prefix = 64 if ":" in client else 24
        return str(ipaddress.ip_network(f"{client.partition('%')[0]}/{prefix}", strict=False))
    except ValueError:
        return client
