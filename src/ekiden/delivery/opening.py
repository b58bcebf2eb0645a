"""Opening: from the hosts of a road to one session that is ready for letters, or to the reason why there is none.

Rules
1. Hosts are tried in the order of the road; one that failed lately comes last. A host that cannot be reached or does
   not want the session (whatever its code: it speaks about us, not about a letter) gives way to the next. When none is
   left, the reason is what a host said, if one spoke, else why it could not be reached: delayed, never failed.
2. Opportunistic TLS whose handshake fails is left away on a new connection, and remembered; stricter TLS never is.
3. The family that worked for a host is tried first there, for a while (`memory`); else the order of the road stands.
4. A source address that this machine does not have delays, with the key that names it: no fault of the host.
5. One connection at a time: it holds its place in the site's budget, so nothing races (DESIGN §4).

Called by a site, within one task; `owner` (the site) gets the callbacks of the connection, whose `tag` is its `Line`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from ekiden.delivery.faults import Tasks
from ekiden.delivery.line import Berth, Line
from ekiden.delivery.memory import HostMemory
from ekiden.delivery.routing import Host, NoRoad
from ekiden.delivery.smtp_connection import ConnectionOwner, SmtpConnection
from ekiden.model.reply import Reply
from ekiden.policy.family import is_about_ipv6
from ekiden.policy.site_rules import has_family
from ekiden.policy.source import is_ipv6
from ekiden.ports.clock import Clock
from ekiden.ports.wire import ConnectFailed, Connector
from ekiden.proto.smtp.client_events import ClientSettings

#: Of a host that no connection came about with (RFC 3463 §3.5: no answer from host).
UNREACHED: Final = "4.4.1"
#: What is wrong here, and says nothing about the host (RFC 3463 §3.4: system incorrectly configured).
MISCONFIGURED: Final = "4.3.5"


class Opener:
    """One a configuration. `within`: seconds for each connection attempt."""

    def __init__(
        self, connector: Connector, clock: Clock, tasks: Tasks, memory: HostMemory, *, helo_name: str, within: float
    ) -> None:
        self._connector = connector
        self._clock = clock
        self._tasks = tasks
        self._memory = memory
        self._helo_name = helo_name
        self._within = within

    async def open(self, hosts: Sequence[Host], owner: ConnectionOwner, berth: Berth) -> NoRoad | None:
        """`berth` goes with the line. None: the session is ready (and has its letters already), or no longer needed."""
        reason: NoRoad | None = None
        told = False
        memory, now = self._memory, self._clock.monotonic()
        for host in in_order(hosts, memory, now):
            reply = await self._try_host(host, owner, berth)
            if reply is None:
                memory.note_works(host.where)
                _note_family(hosts, host, memory, self._clock.monotonic())
                return None
            if host.or_ipv4 and is_about_ipv6(reply, (host.source.address,)):
                memory.prefer_ipv4(host.name, self._clock.monotonic())
            if reply.status != MISCONFIGURED:
                memory.note_failed(host.where, self._clock.monotonic())
            if reason is None or reply.status != UNREACHED or not told:  # what a host said tells more than silence
                told = reply.status != UNREACHED
                reason = NoRoad(451, reply.status if reply.status.startswith("4.") else "4.4.1", f"{host}: {reply}")
        return reason

    async def _try_host(self, host: Host, owner: ConnectionOwner, berth: Berth) -> Reply | None:
        """None: ready. Else why not."""
        if host.opportunistic and self._memory.is_plain(host.where, self._clock.monotonic()):
            return await self._session(_in_the_clear(host), owner, berth, [])
        tls_failed: list[bool] = []
        reply = await self._session(host, owner, berth, tls_failed)
        if reply is None or not (tls_failed and host.opportunistic):
            return reply
        self._memory.note_plain(host.where, self._clock.monotonic())
        return await self._session(_in_the_clear(host), owner, berth, [])

    async def _session(self, host: Host, owner: ConnectionOwner, berth: Berth, tls_failed: list[bool]) -> Reply | None:
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
            if error.kind == "source":
                return _no_source(host, error)
            return Reply(421, "4.7.5" if error.kind == "tls" else UNREACHED, str(error))
        except BaseException:
            connection.abort()
            raise
        if reply is not None and connection.tls_failed:
            tls_failed.append(True)
        return reply


def _in_the_clear(host: Host) -> Host:
    return host._replace(tls=host.tls._replace(allowed=False))


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


def _no_source(host: Host, error: ConnectFailed) -> Reply:
    text = f"{host.source.said_by}: this machine cannot send from {host.source.address}: {error}"
    return Reply(451, MISCONFIGURED, text)
