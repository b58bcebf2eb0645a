"""DnsResolver: the Resolver port over the DNS, with a cache. Grade C.

Rules
1. No method raises but for cancellation; every failure is a FAILED answer with a reason. Without a readable
   /etc/resolv.conf, or with none named in it, everything is FAILED: letters wait, the server runs.
2. Answers and negatives are cached (net.dns_cache); identical questions that are under way are joined, and go on when
   the one who asked first gives up.
3. Answered without the DNS: IP addresses and address literals, `localhost` (RFC 6761 §6.3), `.invalid` (§6.4) and
   `.onion` (RFC 7686 §2).
4. Search domains and /etc/hosts are not consulted: for mail, names are complete and public, and a host whose address
   is only known to this machine is written as an address in its `[[route]]`.

Made by app.compose, one a worker, on the worker's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Final

from ekiden.model.mailbox import domain_key
from ekiden.net.dns_cache import FAILURE_TTL, MIN_TTL, TtlCache, clamp_ttl
from ekiden.net.dns_finding import Finding, failed
from ekiden.ports.clock import Clock
from ekiden.ports.resolver import AddressAnswer, MxAnswer, NameAnswer, Status, TextAnswer, TlsaAnswer
from ekiden.ports.wire import Endpoint

#: Questions under way at once: each holds a socket. More wait, within their timeout.
MAX_IN_FLIGHT: Final = 256
#: resolv.conf(5): MAXNS.
_MAX_SYSTEM_SERVERS: Final = 3
_PORT: Final = 53
_NO_SUCH_NAME: Final = Finding(Status.NOT_FOUND, exists=False, detail="this name never exists in the DNS")

Key = tuple[str, str]


class DnsResolver:
    """Implements ports.resolver.Resolver. `nameservers`: `ADDRESS:PORT` or `[IPV6]:PORT`; none: the system's.

    `within`: seconds a question may take, all tries together. Making one imports dnspython."""

    def __init__(
        self,
        nameservers: Sequence[str],
        *,
        within: float,
        clock: Clock,
        resolv_conf: str = "/etc/resolv.conf",
    ) -> None:
        from ekiden.net import dns_query  # slow to import, and only workers need it

        self._query = dns_query.ask
        self._servers = [_endpoint(text) for text in nameservers] or system_nameservers(resolv_conf)
        self._within = within
        self._clock = clock
        self._cache: TtlCache[Key, Finding] = TtlCache()
        self._pending: dict[Key, asyncio.Task[Finding]] = {}
        self._in_flight = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def mx(self, domain: str) -> MxAnswer:
        name = domain_key(domain)
        if _literal(name) or _is_localhost(name):
            return MxAnswer(Status.NOT_FOUND, detail=f"{name} has no MX")
        found = await self._find("MX", name)
        return MxAnswer(found.status, found.values, found.exists, found.detail, found.secure)

    async def addresses(self, host: str) -> AddressAnswer:
        name = domain_key(host)
        if literal := _literal(name):
            return AddressAnswer(Status.OK, (literal,))
        if _is_localhost(name):
            return AddressAnswer(Status.OK, ("127.0.0.1", "::1"))
        four, six = await asyncio.gather(self._find("A", name), self._find("AAAA", name))
        if addresses := four.values + six.values:
            secure = all(part.secure for part in (four, six) if part.values)
            return AddressAnswer(Status.OK, addresses, secure=secure)
        worse = six if six.status is Status.FAILED else four
        status = Status.FAILED if Status.FAILED in (four.status, six.status) else Status.NOT_FOUND
        return AddressAnswer(status, detail=worse.detail, secure=four.secure and six.secure)

    async def ipv4(self, host: str) -> AddressAnswer:
        name = domain_key(host)
        if literal := _literal(name):
            return AddressAnswer(Status.OK, (literal,)) if ":" not in literal else AddressAnswer(Status.NOT_FOUND)
        if _is_localhost(name):
            return AddressAnswer(Status.OK, ("127.0.0.1",))
        found = await self._find("A", name)
        return AddressAnswer(found.status, found.values, found.detail, found.secure)

    async def txt(self, name: str) -> TextAnswer:
        found = await self._find("TXT", domain_key(name))
        return TextAnswer(found.status, found.values, found.detail)

    async def tlsa(self, name: str) -> TlsaAnswer:
        found = await self._find("TLSA", domain_key(name))
        return TlsaAnswer(found.status, found.values, found.detail, found.secure)

    async def reverse(self, address: str) -> NameAnswer:
        literal = _literal(address)
        if not literal:
            return NameAnswer(Status.NOT_FOUND, detail=f"{address!r} is no IP address")
        found = await self._find("PTR", ip_address(literal).reverse_pointer)
        return NameAnswer(found.status, found.values, found.detail)

    async def close(self) -> None:
        """Ends what is under way: whoever waits gets FAILED."""
        tasks = list(self._pending.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _find(self, kind: str, name: str) -> Finding:
        if not name or not name.isascii() or name.endswith((".invalid", ".onion")) or name in ("invalid", "onion"):
            return _NO_SUCH_NAME
        key = (kind, name)
        found = self._cache.get(key, self._clock.monotonic())
        if found is not None:
            return found
        task = self._pending.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._ask(key))
            self._pending[key] = task
            task.add_done_callback(lambda _: self._pending.pop(key, None))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            current = asyncio.current_task()
            if task.cancelled() and current is not None and not current.cancelling():
                return failed(f"{name} {kind}: the resolver was closed")
            raise

    async def _ask(self, key: Key) -> Finding:
        kind, name = key
        if not self._servers:
            return failed(f"{name} {kind}: no nameserver is known (see [dns] nameservers)")
        try:
            async with asyncio.timeout(self._within):
                await self._in_flight.acquire()
        except TimeoutError:
            return failed(f"{name} {kind}: too many questions to the DNS are waiting")
        try:
            found = await self._query(self._servers, name, kind, timeout=self._within)
        finally:
            self._in_flight.release()
        self._cache.put(key, found, ttl=_time_to_live(found), octets=found.octets, now=self._clock.monotonic())
        return found


def _time_to_live(found: Finding) -> float:
    if found.status is Status.FAILED:
        return FAILURE_TTL
    if found.ttl is None:  # a negative without SOA: RFC 2308 §5 says not to cache it; the shortest joins a burst
        return MIN_TTL
    return clamp_ttl(found.ttl, negative=found.status is Status.NOT_FOUND)


def system_nameservers(path: str) -> list[Endpoint]:
    """The `nameserver` lines of a resolv.conf(5), at most three; [] if it cannot be read."""
    try:
        lines = Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    named = [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]
    return [Endpoint(address, _PORT) for address in named if _literal(address.partition("%")[0])][:_MAX_SYSTEM_SERVERS]


def _endpoint(text: str) -> Endpoint:
    """`192.0.2.1:53`, `[2001:db8::1]:53`; the port may be left out. Raises ValueError."""
    address, _, port = text.rpartition(":")
    if text.endswith("]") or (text.count(":") != 1 and not text.startswith("[")):
        address, port = text, str(_PORT)
    return Endpoint(str(ip_address(address.strip("[]"))), int(port))


def _is_localhost(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost")


def _literal(name: str) -> str:
    """The address that `name` is, as `192.0.2.1`, `[192.0.2.1]`, `[IPv6:…]` (RFC 5321 §4.1.3), or ''."""
    inner = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if inner[:5].lower() == "ipv6:":
        inner = inner[5:]
    try:
        address = ip_address(inner)
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)
