"""How the hosts of a road are protected: what the `[[site]]` says, and what the other side promises (DANE, MTA-STS).

Rules
1. Only hosts found in the DNS: the targets of a route are the postmaster's word, and so is their `tls`.
2. `none` asks nobody. Otherwise the stricter of the postmaster's word and the other side's promise counts; nothing is
   ever sent under less (opportunistic TLS alone may be left away, `opening` rule 2).
3. DANE (RFC 7672 §2.2): asked for where the MX records and the addresses of the host are secure, and nowhere else. A
   question that fails makes the host unusable for now: somebody may be in the line, or the zone is broken; letters wait
   (§2.1.1). Usable records replace the authorities of the Web also where `verify` is asked for; records of which none
   is usable ask for TLS without proof (§2.2).
4. MTA-STS (RFC 8461): a policy that is enforced leaves out hosts that it does not name, and wants the names of the
   others proven. A host with usable TLSA records is proven by those: DANE wins (§2). A policy in testing changes
   nothing.
5. Domains whose hosts are protected otherwise share no connection, though they share the budget: `Host.policy` says
   which way it is, and is part of the site's name.

deviates RFC 7672 §2.2.2: of an MX host that is a CNAME only the name in the MX record is asked about, not the name that
it leads to. RFC 5321 §5.1 has no CNAME there, and a host is never less protected for it than without DANE.
tests/unit/delivery/test_tls_policy.py

Called by `routing`, once a road.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from ekiden.delivery.road import Host, NoRoad, Road
from ekiden.model.tlsa import usable
from ekiden.policy.mta_sts import StsPolicy
from ekiden.ports.resolver import Resolver, Status, TlsaAnswer

OPPORTUNISTIC: Final = "opportunistic"
#: What a host is called that is protected by its TLSA records.
DANE: Final = "DANE"
#: And by its domain's policy.
MTA_STS: Final = "MTA-STS"


async def protect(hosts: Sequence[Host], tls: str, resolver: Resolver, policy: StsPolicy | None = None) -> Road:
    """`tls`: of the `[[site]]`. `policy`: of the domain, if one is in force."""
    road = await _by_site_and_dane(hosts, tls, resolver)
    if policy is None or policy.mode != "enforce" or tls == "none" or isinstance(road, NoRoad):
        return road
    return _with_sts(road, policy)


async def _by_site_and_dane(hosts: Sequence[Host], tls: str, resolver: Resolver) -> Road:
    if tls == "none":
        return [_in_clear(host) for host in hosts]
    strict = [host if tls == OPPORTUNISTIC else _required(host, verify=tls == "verify", policy=tls) for host in hosts]
    names = list(dict.fromkeys(host.tlsa_name for host in hosts if host.is_secure and host.tlsa_name))
    if not names:
        return strict
    answers = dict(zip(names, await asyncio.gather(*map(resolver.tlsa, names)), strict=True))
    kept = [_with_dane(host, answers) for host in strict if not _is_unsure(host, answers)]
    if kept:
        return kept
    detail = next(answer.detail for answer in answers.values() if answer.status is Status.FAILED)
    return NoRoad(451, "4.4.3", f"how to prove the name of the mail host (DANE) could not be asked: {detail}")


def _is_unsure(host: Host, answers: Mapping[str, TlsaAnswer]) -> bool:
    answer = answers.get(host.tlsa_name) if host.is_secure else None
    return answer is not None and answer.status is Status.FAILED


def _with_dane(host: Host, answers: Mapping[str, TlsaAnswer]) -> Host:
    answer = answers.get(host.tlsa_name) if host.is_secure else None
    if answer is None or answer.status is not Status.OK or not answer.secure:
        return host
    records = usable(answer.records)
    if not records:
        return host if host.tls.required else _required(host, verify=False, policy="DANE without usable records")
    return _required(host, verify=True, policy=DANE)._replace(
        tls=host.tls._replace(required=True, verify=True, tlsa=records)
    )


def _with_sts(hosts: Sequence[Host], policy: StsPolicy) -> Road:
    kept = [
        host if host.tls.tlsa else _required(host, verify=True, policy=MTA_STS)
        for host in hosts
        if host.tls.tlsa or policy.covers(host.name)
    ]
    if kept:
        return kept
    names = ", ".join(dict.fromkeys(host.name for host in hosts))
    return NoRoad(451, "4.7.5", f"the domain's MTA-STS policy allows none of its mail hosts: {names}")


def _required(host: Host, *, verify: bool, policy: str) -> Host:
    tls = host.tls._replace(required=True, verify=verify, name=host.tls.name or host.address)
    return host._replace(tls=tls, opportunistic=False, policy=policy)


def _in_clear(host: Host) -> Host:
    return host._replace(tls=host.tls._replace(allowed=False), opportunistic=False, policy="none")
