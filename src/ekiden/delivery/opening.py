"""Opening: from the hosts of a road to one session that is ready for letters, or to the reason why there is none.

Rules
1. Hosts are tried in the order of the road; one that failed lately comes last. A host that cannot be reached or does
   not want the session (whatever its code: it speaks about us, not about a letter) gives way to the next. When none is
   left, the reason is what a host said, if one spoke, else why it could not be reached: delayed, never failed.
2. A handshake that went on from an earlier session and fails is tried once more without. Opportunistic TLS whose
   handshake fails then is left away on a new connection, and remembered; stricter TLS never is.
3. The family that worked for a host is tried first there, for a while (`memory`); else the order of the road stands.
4. A source address that this machine does not have delays, with the key that names it: no fault of the host.
5. One connection at a time: it holds its place in the site's budget, so nothing races (DESIGN §4).
6. Each connection attempt needs leave of the site's rate (`Leave`). Without, the opening ends with `LATER`: the next
   goes on with the hosts that did not fail lately. When all of them did, that is the verdict.

Called by a site, within one task; `owner` (the site) gets the callbacks of the connection, whose `tag` is its `Line`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import groupby
from typing import Final

from ekiden.delivery.faults import Tasks
from ekiden.delivery.line import Berth, Line
from ekiden.delivery.memory import HostMemory
from ekiden.delivery.road import Host, NoRoad
from ekiden.delivery.smtp_connection import LOST, ConnectionOwner, SmtpConnection
from ekiden.model.events import Ipv6Refused
from ekiden.model.reply import Reply
from ekiden.policy.family import is_about_ipv6
from ekiden.policy.site_rules import has_family
from ekiden.policy.source import is_ipv6
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink
from ekiden.ports.wire import ConnectFailed, Connector
from ekiden.proto.smtp.client_events import ClientSettings, Phase

#: Of a host that no connection came about with (RFC 3463 §3.5: no answer from host).
UNREACHED: Final = "4.4.1"
#: Of a host whose TLS handshake failed (RFC 3463 §3.8: cryptographic failure).
NO_TLS: Final = "4.7.5"
#: The rate of the site's connections leaves none for now; there are hosts that may work.
LATER: Final = NoRoad(451, "4.4.5", "the connections a minute are used up")

#: Told what a connection to a host came to: a kind of `ConnectFailed`, `not-smtp` or '' (a mail server answered), and
#: by which name (`road_watch`).
Noted = Callable[[Host, str, str], None]

#: Asked before each connection attempt: does the rate of the site's connections allow one?
Leave = Callable[[], Awaitable[bool]]

#: Of what a peer said that is no SMTP (`proto.smtp.client`).
GARBAGE_STATUS: Final = "4.5.0"
#: What is wrong here, and says nothing about the host (RFC 3463 §3.4: system incorrectly configured).
MISCONFIGURED: Final = "4.3.5"


class Opener:
    """One a configuration. `within`: seconds for each connection attempt."""

    def __init__(
        self,
        connector: Connector,
        clock: Clock,
        tasks: Tasks,
        memory: HostMemory,
        events: EventSink,
        *,
        helo_name: str,
        within: float,
        noted: Noted = lambda host, kind, banner: None,
    ) -> None:
        self._noted = noted
        self._connector = connector
        self._clock = clock
        self._tasks = tasks
        self._memory = memory
        self._events = events
        self._helo_name = helo_name
        self._within = within

    async def open(self, hosts: Sequence[Host], owner: ConnectionOwner, berth: Berth, leave: Leave) -> NoRoad | None:
        """`berth` goes with the line. None: the session is ready (and has its letters already), or no longer needed."""
        reason: NoRoad | None = None
        told = False
        memory, now = self._memory, self._clock.monotonic()
        for host in in_order(hosts, memory, now):
            try:
                reply = await self._try_host(host, owner, berth, leave)
            except _WithoutLeave:
                return LATER if reason is None or self._may_work(hosts, reason) else reason
            if reply is None:
                memory.note_works(host.where)
                _note_family(hosts, host, memory, self._clock.monotonic())
                return None
            if host.or_ipv4 and is_about_ipv6(reply, (host.source.address,)):
                memory.prefer_ipv4(host.name, self._clock.monotonic())
                self._events.emit(Ipv6Refused(host=host.name, remote=str(host), reply=str(reply)))
            if reply.status != MISCONFIGURED:
                memory.note_failed(host.where, self._clock.monotonic())
            if reason is None or reply.status != UNREACHED or not told:  # what a host said tells more than silence
                told = reply.status != UNREACHED
                status = reply.status if reply.status.startswith("4.") else UNREACHED
                reason = NoRoad(451, status, f"{host}: {_told(host, reply)}")
        return reason

    def _may_work(self, hosts: Sequence[Host], reason: NoRoad) -> bool:
        now = self._clock.monotonic()
        return reason.status != MISCONFIGURED and not all(self._memory.has_failed(host.where, now) for host in hosts)

    async def _try_host(self, host: Host, owner: ConnectionOwner, berth: Berth, leave: Leave) -> Reply | None:
        """None: ready. Else why not. Raises _WithoutLeave."""
        if host.opportunistic and self._memory.is_plain(host.where, self._clock.monotonic()):
            return (await self._session(_in_the_clear(host), owner, berth, leave))[0]
        resumes = self._connector.resumes(host.tls)
        reply, tls_failed = await self._session(host, owner, berth, leave)
        if tls_failed and resumes:
            reply, tls_failed = await self._session(host, owner, berth, leave)
        if not (tls_failed and host.opportunistic):
            return reply
        self._memory.note_plain(host.where, self._clock.monotonic())
        return (await self._session(_in_the_clear(host), owner, berth, leave))[0]

    async def _session(
        self, host: Host, owner: ConnectionOwner, berth: Berth, leave: Leave
    ) -> tuple[Reply | None, bool]:
        """None: ready; else why not, and whether the TLS handshake failed."""
        if not await leave():
            raise _WithoutLeave
        line = Line(host, asyncio.get_running_loop().create_future(), berth)
        login, source = host.credentials, host.source
        settings = ClientSettings(
            helo_name=source.helo or self._helo_name,
            tls=host.tls,
            username=login.username if login else "",
            password=login.password if login else "",
            allow_unverified_login=host.allow_unverified_login,
            lmtp=host.lmtp,
        )
        connection = SmtpConnection(settings, owner, self._tasks.spawn, tag=line)
        try:
            await self._connector.connect(host.where, connection, host.tls, within=self._within, source=source.address)
            reply = await line.opened
        except ConnectFailed as error:
            if host.by_mx:
                self._noted(host, error.kind, "")
            if error.kind == "source":
                return _no_source(host, error), False
            is_tls = error.kind == "tls"
            return Reply(421, NO_TLS if is_tls else UNREACHED, str(error)), is_tls
        except BaseException:
            connection.abort()
            raise
        if host.by_mx:
            self._noted(host, _kind(reply, connection), connection.host)
        return reply, reply is not None and connection.tls_failed


def _kind(reply: Reply | None, connection: SmtpConnection) -> str:
    """Of a connection that stood. A refusal in SMTP is an answer."""
    if reply is None or connection.host or reply.status not in (LOST.status, GARBAGE_STATUS):
        return ""
    if reply.status == GARBAGE_STATUS:
        return "not-smtp" if reply.text.endswith(f"(at {Phase.GARBAGE})") else ""
    return "timeout" if reply.text.startswith("timed out") else "reset"


class _WithoutLeave(Exception):
    """See rule 6."""


def _in_the_clear(host: Host) -> Host:
    return host._replace(tls=host.tls._replace(allowed=False), is_plain=True)


def in_order(hosts: Sequence[Host], memory: HostMemory, now: float) -> list[Host]:
    """Rules 1 and 3."""
    ordered: list[Host] = []
    for name, addresses in groupby(hosts, key=lambda host: host.name):
        family = memory.family_of(name, now)
        ordered += sorted(addresses, key=lambda host: bool(family) and not has_family(host.address, family))
    return sorted(ordered, key=lambda host: memory.has_failed(host.where, now))


def _note_family(hosts: Sequence[Host], worked: Host, memory: HostMemory, now: float) -> None:
    """Where there is a choice."""
    ipv6 = is_ipv6(worked.address)
    if any(host.name == worked.name and host.address and is_ipv6(host.address) != ipv6 for host in hosts):
        memory.note_family(worked.name, now, ipv6=ipv6)


def _told(host: Host, reply: Reply) -> str:
    """What a host said, or what we saw of it, which has no code of its own and need not say again where."""
    if reply.status in (UNREACHED, NO_TLS):
        return reply.text.removeprefix(f"{host.where}: ")
    return str(reply)


def _no_source(host: Host, error: ConnectFailed) -> Reply:
    text = f"{host.source.said_by}: this machine cannot send from {host.source.address}: {error}"
    return Reply(451, MISCONFIGURED, text)
