"""Probes: well-known MX hosts are asked whether they answer, to find out whether this network blocks port 25.

Rules
1. A probe connects as a letter would (from the same source address), reads the greeting, says EHLO and QUIT, and sends
   nothing else. TLS is not begun: what counts is who answers, and whether STARTTLS is offered.
2. Hosts at another port than `mx_port` say nothing of that port and are left out, so a lab never asks the world.
3. A control host is only connected to.
4. All of a family are asked at once, one address a host; what takes longer than `WITHIN` has timed out.

Called by `road_watch`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Final, NamedTuple

from ekiden.config.model import Config
from ekiden.delivery.smtp_connection import SmtpConnection
from ekiden.model.reply import Reply
from ekiden.model.road_block import Family, family_of
from ekiden.policy.road_block import Finding, Probe, judge
from ekiden.policy.source import Sources
from ekiden.policy.target import is_address
from ekiden.ports.resolver import Resolver
from ekiden.ports.wire import ConnectFailed, Connector, Endpoint, TlsMode, Wire
from ekiden.proto.smtp.client_events import ClientSettings, Phase, Transaction, TransactionEnded

#: Seconds that a host has for connecting, greeting and EHLO together. Large providers take one.
WITHIN: Final = 15.0
_IN_THE_CLEAR: Final = TlsMode(allowed=False)


class Examined(NamedTuple):
    finding: Finding
    probes: list[Probe]
    controls: list[Probe]

    @property
    def evidence(self) -> tuple[str, ...]:
        return (*map(str, self.probes), *(f"{control} (control)" for control in self.controls))


class Prober:
    """Of one configuration."""

    def __init__(self, connector: Connector, resolver: Resolver, config: Config) -> None:
        self._connector = connector
        self._resolver = resolver
        self._sources = Sources(config)
        self._hostname = config.hostname
        self._within = min(WITHIN, config.delivery.connect_timeout)
        probe = config.delivery.probe
        self._hosts = [one for one in map(_split, probe.hosts) if one[1] == config.delivery.mx_port]
        self._controls = [_split(text) for text in probe.control]
        self._turn = 0

    @property
    def can_judge(self) -> bool:
        return bool(self._hosts)

    async def examine(self, family: Family) -> Examined:
        """Asks them all (rule 4)."""
        probes = await self._all(self._hosts, family, is_control=False)
        controls = await self._all(self._controls, family, is_control=True)
        return Examined(judge(probes, controls), probes, controls)

    async def ask_one(self, family: Family) -> Probe | None:
        """Another host each time; None: no host has an address of that family."""
        for _ in self._hosts:
            self._turn = (self._turn + 1) % len(self._hosts)
            if (probe := await self._ask(self._hosts[self._turn], family, is_control=False)) is not None:
                return probe
        return None

    async def _all(self, hosts: Sequence[tuple[str, int]], family: Family, *, is_control: bool) -> list[Probe]:
        found = await asyncio.gather(*(self._ask(host, family, is_control=is_control) for host in hosts))
        return [probe for probe in found if probe is not None]

    async def _ask(self, host: tuple[str, int], family: Family, *, is_control: bool) -> Probe | None:
        name, port = host
        addresses: Sequence[str] = (name,) if is_address(name) else (await self._resolver.addresses(name)).addresses
        address = next((one for one in addresses if family_of(one) is family), None)
        if address is None:
            return None
        where = Endpoint(address, port)
        probe = Probe(name, address)
        try:
            async with asyncio.timeout(self._within):
                return await (self._reach(where, probe) if is_control else self._greet(where, probe))
        except TimeoutError:
            return probe._replace(kind="timeout", text=f"no answer within {self._within:g} s")
        except ConnectFailed as error:
            return probe._replace(kind=error.kind, text=str(error).removeprefix(f"{where}: "))

    async def _greet(self, where: Endpoint, probe: Probe) -> Probe:
        owner = _Greeting(probe)
        source = self._sources.choose(where.address)
        settings = ClientSettings(source.helo or self._hostname, _IN_THE_CLEAR)
        connection = SmtpConnection(settings, owner, _no_tasks)
        try:
            await self._connector.connect(where, connection, _IN_THE_CLEAR, within=self._within, source=source.address)
            return await owner.answer
        finally:
            if not connection.is_closed:
                connection.quit() if owner.is_answered else connection.abort()

    async def _reach(self, where: Endpoint, probe: Probe) -> Probe:
        source = self._sources.choose(where.address).address
        await self._connector.connect(where, _Knock(), _IN_THE_CLEAR, within=self._within, source=source)
        return probe._replace(text="connected")


class _Greeting:
    """The ConnectionOwner of one probe; the first callback that knows decides."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        self.answer: asyncio.Future[Probe] = asyncio.get_running_loop().create_future()

    @property
    def is_answered(self) -> bool:
        return self.answer.done() and not self.answer.cancelled()

    def on_ready(self, connection: SmtpConnection) -> None:
        starttls = "STARTTLS" in connection.extensions
        said = "offers STARTTLS" if starttls else "does not offer STARTTLS"
        text = f"answers as {connection.host or 'nobody'} and {said}"
        self._decide(self._probe._replace(banner=connection.host, starttls=starttls, text=text))

    def on_free(self, connection: SmtpConnection) -> None:
        """Nothing is sent."""

    def on_transaction_ended(self, connection: SmtpConnection, ended: TransactionEnded) -> None:
        """Nothing was sent."""

    def on_refused(self, connection: SmtpConnection, reply: Reply, phase: Phase) -> None:
        if phase is Phase.GARBAGE:
            self._decide(self._probe._replace(kind="not-smtp", text=f"does not speak SMTP: {reply.text}"))
        else:
            self._decide(self._probe._replace(text=f"answers {reply}"))

    def on_closed(self, connection: SmtpConnection, unknown: list[Transaction], reason: Reply) -> None:
        self._decide(self._probe._replace(kind="reset", text=f"connected, then: {reason.text}"))

    def _decide(self, probe: Probe) -> None:
        if not self.answer.done():
            self.answer.set_result(probe)


class _Knock:
    """The WireUser of a control connection: it closes at once."""

    def connected(self, wire: Wire) -> None:
        wire.close()

    def received(self, data: bytes) -> None:
        """Not asked for."""

    def tls_started(self) -> None:
        """Never begun."""

    def writable(self, ok: bool) -> None:  # noqa: FBT001 - a callback with one fact
        """Nothing is written."""

    def ended(self) -> bool:
        return False

    def lost(self, error: Exception | None) -> None:
        """As it should be."""

    def tick(self, now: float) -> None:
        """It is closed already."""


def _split(text: str) -> tuple[str, int]:
    """`[2001:db8::1]:25` or `name:25`; the configuration's check has seen it."""
    host, _, port = text.rpartition(":")
    return host.strip("[]").lower(), int(port)


def _no_tasks(coroutine: Coroutine[object, object, None]) -> object:
    coroutine.close()
    raise RuntimeError("a probe has no content to read")
