"""Tools: the ports and shared objects that Delivery is composed of, by app (and by tests, with fakes)."""

from __future__ import annotations

from typing import NamedTuple

from ekiden.accounts.quotas import Quotas
from ekiden.delivery.budget import CONNECTIONS
from ekiden.delivery.sts import StsPolicies
from ekiden.model.ids import IdSequence
from ekiden.ports.clock import Clock, Random
from ekiden.ports.directory import Directory
from ekiden.ports.events import EventSink
from ekiden.ports.mailboxes import Mailboxes
from ekiden.ports.resolver import Resolver
from ekiden.ports.road_memory import RoadMemory
from ekiden.ports.slots import Slots
from ekiden.ports.spool import Spool
from ekiden.ports.wakeup import Wakeup
from ekiden.ports.wire import Connector
from ekiden.spool.notices import Notices
from ekiden.spool.window import Window


class Tools(NamedTuple):
    """`ids`: of this incarnation; the names of our reports come from it. `workers`: how many deliver here.
    `connections`: that this worker may have open at once. `sts`: None asks no domain for its MTA-STS policy. `road`:
    None never judges port 25 blocked. `notices`: None tells nobody. `quotas`: None knows no full mailbox."""

    spool: Spool
    window: Window
    resolver: Resolver
    connector: Connector
    directory: Directory
    mailboxes: Mailboxes
    events: EventSink
    clock: Clock
    random: Random
    ids: IdSequence
    slots: Slots
    wakeup: Wakeup
    workers: int = 1
    connections: int = CONNECTIONS
    sts: StsPolicies | None = None
    road: RoadMemory | None = None
    notices: Notices | None = None
    quotas: Quotas | None = None
