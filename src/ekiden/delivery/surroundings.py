"""Surroundings: what all sites of one configuration share. Made by `dispatch`, used by `site` and `ways`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ekiden.delivery.attempt import Attempt
from ekiden.delivery.barrier import NotNow
from ekiden.delivery.budget import Budget
from ekiden.delivery.faults import Faults, Tasks
from ekiden.delivery.memory import HostMemory
from ekiden.delivery.opening import Opener
from ekiden.delivery.road import Host
from ekiden.delivery.routing import Routing
from ekiden.ports.clock import Clock, Random
from ekiden.ports.events import EventSink
from ekiden.ports.slots import Slots


class Surroundings(NamedTuple):
    """`share`: of so many connections what one worker may have. `finished`: an
    attempt is decided. `put_back`: attempts that go back to the store, due at that time (seconds since 1970) and for
    that reason. `barred`: the barrier of a site has changed. `proven`: names of sites that took a session lately.
    `blocked`: why no host of a road may be tried, while port 25 is blocked and there is no detour; '' if one may."""

    opener: Opener
    routing: Routing
    clock: Clock
    events: EventSink
    random: Random
    tasks: Tasks
    faults: Faults
    budget: Budget
    memory: HostMemory
    slots: Slots
    ring: Callable[[], None]
    share: Callable[[int], int]
    finished: Callable[[Attempt], None]
    put_back: Callable[[Sequence[Attempt], float, NotNow], None]
    barred: Callable[[Any], None]  # takes a `site.Site`; naming it would make a cycle of the two modules
    proven: dict[str, float]
    blocked: Callable[[Sequence[Host]], str] = lambda road: ""
