"""One question to the DNS: over UDP, over TCP if the answer was cut, from one nameserver to the next. Grade C.

Rules
1. `ask` never raises but for cancellation: what goes wrong is a FAILED finding, with the reason for the trail.
2. Rounds over all nameservers with a growing patience; a nameserver that answers with an error (SERVFAIL, REFUSED,
   nonsense) is not asked again; when none is left, the question has failed at once.
3. A CNAME whose target did not come along is asked for (`MAX_CNAMES`); recursive servers do that themselves.
4. EDNS with 1232 octets (no fragments, DNS flag day 2020); a server that cannot (FORMERR, NOTIMP) is asked without
   (RFC 6891 §7).
5. Each question asks for the AD bit (RFC 6840 §5.7), and only a nameserver on this machine is believed it.

Importing this module imports dnspython (150 ms), so net.resolver does it when a resolver is made.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Sequence
from typing import Any, Final

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver

from ekiden.model.tlsa import Tlsa
from ekiden.net.dns_finding import Finding, failed
from ekiden.ports.resolver import MxRecord, Status
from ekiden.ports.wire import Endpoint

#: How long the first round waits for each nameserver, in seconds; doubled each round.
FIRST_PATIENCE: Final = 1.5
#: RFC 1034 §3.6.2 wants chains short; resolvers in the field stop at 8 to 16.
MAX_CNAMES: Final = 8
_PAYLOAD: Final = 1232
#: More tries than that within one deadline mean that sending itself fails at once (no route): do not spin.
_MAX_ROUNDS: Final = 8


async def ask(servers: Sequence[Endpoint], name: str, kind: str, *, timeout: float) -> Finding:  # noqa: ASYNC109
    """`kind`: A, AAAA, MX, TXT, TLSA or PTR. `timeout`: seconds for all tries together."""
    try:
        question = dns.name.from_text(name)
    except dns.exception.DNSException:
        return Finding(Status.NOT_FOUND, exists=False, detail=f"{name!r} cannot be a name in the DNS")
    try:
        async with asyncio.timeout(timeout):
            return await _follow(servers, question, kind)
    except TimeoutError:
        return failed(f"{name} {kind}: no answer from {_listed(servers)} within {timeout:g} s")
    except Exception as error:
        return failed(f"{name} {kind}: {type(error).__name__}: {error}")


async def _follow(servers: Sequence[Endpoint], name: dns.name.Name, kind: str) -> Finding:
    asked = name
    ttl: float | None = None
    secure = True
    for _ in range(MAX_CNAMES):
        response = await _response(servers, asked, kind)
        if isinstance(response, str):
            return failed(f"{_text(name)} {kind}: {response}")
        secure = secure and bool(response.flags & dns.flags.AD)
        try:
            chain = response.resolve_chaining()
        except dns.message.ChainTooLong:  # a loop, within one answer
            break
        if chain.answer is not None or chain.cnames or response.authority:
            ttl = chain.minimum_ttl if ttl is None else min(ttl, chain.minimum_ttl)
        if chain.answer is not None:
            values = tuple(_VALUE[kind](record) for record in chain.answer)
            return Finding(Status.OK, values, ttl=ttl, secure=secure)
        if response.rcode() == dns.rcode.NXDOMAIN:
            detail = f"{_text(name)} does not exist"
            return Finding(Status.NOT_FOUND, exists=False, detail=detail, ttl=ttl, secure=secure)
        if not chain.cnames or _has_soa(response):
            return Finding(Status.NOT_FOUND, detail=f"{_text(name)} has no {kind}", ttl=ttl, secure=secure)
        asked = chain.canonical_name
    return failed(f"{_text(name)} {kind}: more than {MAX_CNAMES} CNAMEs in a row")


async def _response(servers: Sequence[Endpoint], name: dns.name.Name, kind: str) -> dns.message.QueryMessage | str:
    """The first usable response (NOERROR or NXDOMAIN), or why there is none. Ends by the caller's timeout."""
    left, patience, trouble = list(servers), FIRST_PATIENCE, "no nameserver is configured"
    for _ in range(_MAX_ROUNDS):
        for server in list(left):
            response = await _one_try(server, name, kind, patience)
            if isinstance(response, dns.message.QueryMessage):
                return response
            if response:
                trouble = response
                left.remove(server)
            else:
                trouble = f"no answer from {server}"
        if not left:
            break
        patience *= 2
    return trouble


async def _one_try(server: Endpoint, name: dns.name.Name, kind: str, patience: float) -> dns.message.QueryMessage | str:
    """A usable response; '' for silence; else what is wrong with the server."""
    for edns in (True, False):
        query = dns.message.make_query(name, kind, use_edns=0 if edns else False, payload=_PAYLOAD)
        query.flags |= dns.flags.AD
        try:
            response, _ = await dns.asyncquery.udp_with_fallback(
                query, server.address, patience, server.port, ignore_unexpected=True, ignore_errors=True
            )
        except dns.exception.Timeout:
            return ""
        except (dns.exception.DNSException, OSError, EOFError) as error:
            return f"{server}: {type(error).__name__}: {error}"
        code = response.rcode()
        if code in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) and isinstance(response, dns.message.QueryMessage):
            if not ipaddress.ip_address(server.address).is_loopback:
                response.flags &= ~dns.flags.AD
            return response
        if not (edns and code in (dns.rcode.FORMERR, dns.rcode.NOTIMP)):
            break
    return f"{dns.rcode.to_text(code)} from {server}"


def _has_soa(response: dns.message.Message) -> bool:
    return any(rrset.rdtype == dns.rdatatype.SOA for rrset in response.authority)


def _text(name: dns.name.Name) -> str:
    """Contract of the port: lower case, no trailing dot; the root is ''."""
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


def _listed(servers: Sequence[Endpoint]) -> str:
    return ", ".join(str(server) for server in servers)


_VALUE: Final[dict[str, Callable[[Any], Any]]] = {
    "A": lambda record: str(record.address),
    "AAAA": lambda record: str(record.address),
    "MX": lambda record: MxRecord(int(record.preference), _text(record.exchange)),
    "TXT": lambda record: b"".join(record.strings),
    "PTR": lambda record: _text(record.target),
    "TLSA": lambda record: Tlsa(int(record.usage), int(record.selector), int(record.mtype), bytes(record.cert)),
}
