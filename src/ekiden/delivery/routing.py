"""Routing: from a next-hop key to the hosts to try, in order, or to the reason why there are none.

Rules
1. A route's targets are tried as written; their names are looked up, special-purpose addresses included: they are the
   postmaster's word (invariant 10), and so is the target of a rerouted letter (`via:URL`), which has no login. What is
   wrong with either is never the sender's fault: delayed.
2. MX by RFC 5321 §5.1: preference, chance among equals, the domain's own address when it has no MX; a null MX
   (RFC 7505 §3) refuses for good. Hosts as far from the domain as we are, or farther, are dropped, so that no letter
   comes back to us; when none is left, the letter loops (554 5.4.6).
3. What a name from outside leads to must be a public address, or allowed: else 550 5.4.4.
4. A failing resolver delays (451 4.4.3); a name that does not exist fails (550 5.1.2).
5. Families alternate within a host; nobody races (DESIGN §4): a race would exceed a budget of one connection. What a
   `[[site]]` does not want of them is left out.
6. How hosts found in the DNS are protected is decided in `tls_policy`.
7. Each host says from which of our addresses it is reached, and by which name (`policy.source`).
8. While port 25 is blocked for a family, MX hosts are reached over the other one; where there is none, by the detour,
   if there is one. Without it the hosts stay as they are, and `ways` keeps their letters. The postmaster's own targets
   are never touched.

Called by a site when it opens a connection; never per letter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Final

from ekiden.config.model import Config, Route
from ekiden.delivery.ourselves import Ourselves
from ekiden.delivery.road import Credentials, Host, NoRoad, Road
from ekiden.delivery.site_name import route_site_name, site_name
from ekiden.delivery.sts import StsPolicies
from ekiden.delivery.tls_policy import protect
from ekiden.model.envelope import MX_PREFIX, ROUTE_PREFIX, VIA_PREFIX
from ekiden.policy.addresses import may_connect
from ekiden.policy.detour import DETOUR, detour_route
from ekiden.policy.mta_sts import StsPolicy
from ekiden.policy.networks import NetworkSet
from ekiden.policy.route_match import route_name
from ekiden.policy.site_rules import has_family, rules_for
from ekiden.policy.source import Given, Sources, is_ipv6
from ekiden.policy.target import Target, is_address, parse_target
from ekiden.ports.clock import Random
from ekiden.ports.resolver import AddressAnswer, MxRecord, Resolver, Status
from ekiden.ports.wire import Endpoint, TlsMode

#: MX hosts looked at. A domain can list hundreds; what counts is the best few (Postfix: 5 addresses at most).
MX_HOSTS: Final = 16
#: Addresses tried for one connection. More would hold the letters of the site longer than a retry would.
ADDRESSES: Final = 10


class Routing:
    """The roads of one configuration. `secrets`: password of each route with a username, by the route's name."""

    def __init__(
        self,
        config: Config,
        secrets: Mapping[str, Credentials],
        resolver: Resolver,
        random: Random,
        sts: StsPolicies | None = None,
        is_blocked: Callable[[str], bool] = lambda address: False,
    ) -> None:
        """`is_blocked`: port 25 is, for MX hosts with addresses of that family (rule 8)."""
        self._resolver = resolver
        self._sts = sts
        self._random = random
        self._port = config.delivery.mx_port
        self._allowed = NetworkSet(config.delivery.allow_addresses)
        self._routes = {route_name(route): route for route in reversed(config.route)}  # the first of equals wins
        self._secrets = dict(secrets)
        self._ourselves = Ourselves(config)
        self._config = config
        self._sources = Sources(config)
        self._is_blocked = is_blocked
        self._detour = detour_route(config)

    async def road(self, key: str) -> Road:
        """`key`: a next-hop key other than `local`. Never empty. Raises ValueError for a key of no known form."""
        found = await self._find(key)
        return found if isinstance(found, NoRoad) else await self._with_rules(key, found)

    async def _find(self, key: str) -> Road:
        if key.startswith(ROUTE_PREFIX):
            return await self._by_route(key.removeprefix(ROUTE_PREFIX))
        if key.startswith(VIA_PREFIX):
            url = key.removeprefix(VIA_PREFIX)
            return await self._targets(Route(match="", to=(url,)), f"the target {url}", None)
        if not key.startswith(MX_PREFIX):
            raise ValueError(f"no next-hop key: {key!r}")
        domain = key.removeprefix(MX_PREFIX)
        if domain.startswith("["):
            return await self._by_literal(domain)
        return await self._by_mx(domain)

    async def _with_rules(self, key: str, hosts: Sequence[Host]) -> Road:
        """What the `[[site]]` and the route say of all hosts: family, protection and source address."""
        names = dict.fromkeys(host.name or str(host.where) for host in hosts)
        rules = rules_for(self._config, next_hop=key, hosts=list(names))
        fitting = [host for host in hosts if has_family(host.address, rules.family)]
        if not fitting:
            wanted = f'[[site]] "{rules.name}" allows {rules.family} alone'
            return NoRoad(451, "4.4.4", f"{', '.join(names)}: no such address, and {wanted}")
        if key.startswith(MX_PREFIX) and any(self._is_blocked(host.address) for host in fitting):
            open_ = [host for host in fitting if not self._is_blocked(host.address)]
            if not open_ and self._detour is not None:
                return await self._by_detour(self._detour)
            fitting = open_ or fitting
        route = self._routes.get(key.removeprefix(ROUTE_PREFIX)) if key.startswith(ROUTE_PREFIX) else None
        given = (
            Given(route.source if route else (), f'source of [[route]] "{key.removeprefix(ROUTE_PREFIX)}"'),
            Given(rules.source, f'source of [[site]] "{rules.name}"'),
        )
        choose = self._sources.choose
        road: Road = fitting[:ADDRESSES]
        if key.startswith(MX_PREFIX):
            policy = await self._policy(key.removeprefix(MX_PREFIX), rules.tls)
            road = await protect(fitting[:ADDRESSES], rules.tls, self._resolver, policy)
        if isinstance(road, NoRoad):
            return road
        has_ipv4 = any("." in host.address for host in fitting)
        return [
            host._replace(source=choose(host.address, *given), or_ipv4=has_ipv4 and is_ipv6(host.address))
            for host in road
        ]

    async def _by_detour(self, detour: Route) -> Road:
        """Rule 8. How the domain wants its own hosts protected does not count for a server that is not its own."""
        credentials = self._secrets.get(DETOUR) if detour.username else None
        if detour.username and credentials is None:
            return NoRoad(451, "4.3.5", f"the password of {DETOUR} could not be read")
        hosts = await self._targets(detour, "the detour", credentials)
        if isinstance(hosts, NoRoad):
            return hosts
        given = Given(detour.source, f"source of {DETOUR}")
        return [
            host._replace(source=self._sources.choose(host.address, given), is_detour=True)
            for host in hosts[:ADDRESSES]
        ]

    async def _policy(self, domain: str, tls: str) -> StsPolicy | None:
        if self._sts is None or tls == "none" or domain.startswith("["):
            return None
        return await self._sts.policy(domain)

    # -- routes ------------------------------------------------------------------------------------------------------

    async def _by_route(self, name: str) -> Road:
        route = self._routes.get(name)
        if route is None:
            return NoRoad(451, "4.3.5", f"the route {name} is no longer configured")
        credentials = self._secrets.get(name) if route.username else None
        if route.username and credentials is None:
            return NoRoad(451, "4.3.5", f"the password of the route {name} could not be read")
        return await self._targets(route, f"the route {name}", credentials)

    async def _targets(self, route: Route, called: str, credentials: Credentials | None) -> Road:
        """`called`: for the reason, when there is no host."""
        hosts: list[Host] = []
        reasons: list[str] = []
        for url in route.to:
            try:
                target = parse_target(url)
            except ValueError as error:
                reasons.append(str(error))
                continue
            wheres = [target.path] if target.path else await self._endpoints(target, reasons)
            site = route_site_name(route)
            hosts.extend(_route_host(route, target, where, credentials)._replace(site=site) for where in wheres)
        return hosts or NoRoad(451, "4.4.3", "; ".join(reasons) or f"{called} has no target")

    async def _endpoints(self, target: Target, reasons: list[str]) -> Sequence[Endpoint]:
        if target.is_address:
            return [Endpoint(target.host, target.port)]
        if target.host == "localhost":  # RFC 6761 §6.3: no question for the DNS
            return [Endpoint("127.0.0.1", target.port), Endpoint("::1", target.port)]
        answer = await self._resolver.addresses(target.host)
        if answer.status is not Status.OK:
            reasons.append(answer.detail or f"{target.host} has no address")
        return [Endpoint(address, target.port) for address in alternate(answer.addresses)]

    # -- from outside ------------------------------------------------------------------------------------------------

    async def _by_literal(self, domain: str) -> Road:
        """RFC 5321 §4.1.3: `[192.0.2.1]`, `[IPv6:2001:db8::1]`."""
        address = domain.strip("[]").removeprefix("ipv6:")
        if not is_address(address):
            return NoRoad(550, "5.1.2", f"{domain} is no address that mail can be sent to")
        answer = AddressAnswer(Status.OK, (address,))
        return await self._judge([(MxRecord(0, domain), answer)])

    async def _by_mx(self, domain: str) -> Road:
        mx = await self._resolver.mx(domain)
        if mx.status is Status.FAILED:
            return NoRoad(451, "4.4.3", mx.detail or f"the DNS could not be asked for {domain}")
        if mx.status is Status.NOT_FOUND:
            if not mx.exists:
                return NoRoad(550, "5.1.2", f"the domain {domain} does not exist")
            return await self._implicit(domain, secure=mx.secure)
        if all(not record.host for record in mx.records):
            return NoRoad(556, "5.1.10", f"the domain {domain} takes no mail (null MX)")
        named = [record for record in mx.records if record.host and not is_address(record.host.strip("[]"))]
        if not named:  # RFC 5321 §5.1: the data of an MX record is a name
            host = next(record.host for record in mx.records if record.host)
            return NoRoad(550, "5.4.4", f"{domain} names the address {host} where the name of a host belongs")
        records = self._order(named)
        answers = await asyncio.gather(*(self._resolver.addresses(record.host) for record in records))
        return await self._judge(list(zip(records, answers, strict=True)), mx.records, secure=mx.secure)

    async def _implicit(self, domain: str, *, secure: bool) -> Road:
        """RFC 5321 §5.1: without MX records the domain's own address is its mail host, with preference 0."""
        answer = await self._resolver.addresses(domain)
        if answer.status is Status.NOT_FOUND:
            return NoRoad(550, "5.1.2", f"the domain {domain} has neither MX nor address")
        return await self._judge([(MxRecord(0, domain), answer)], secure=secure)

    def _order(self, records: list[MxRecord]) -> list[MxRecord]:
        keyed = [(record.preference, self._random.uniform(0, 1), record.host) for record in records]
        return [MxRecord(preference, host) for preference, _, host in sorted(keyed)[:MX_HOSTS]]

    async def _judge(
        self,
        found: list[tuple[MxRecord, AddressAnswer]],
        records: Sequence[MxRecord] | None = None,
        *,
        secure: bool = False,
    ) -> Road:
        """`records`: all there are; they name the site, also when only some of them are looked at. `secure`: DNSSEC
        proves them."""
        records = records or [record for record, _ in found]
        ours = await self._ourselves.addresses(self._resolver, self._port)
        us = self._ourselves
        mine = [record.preference for record in records if us.is_named(record.host)]
        mine += [
            r.preference for r, answer in found if any(us.stands_at(address, ours) for address in answer.addresses)
        ]
        if mine:
            found = [(record, answer) for record, answer in found if record.preference < min(mine)]
            records = [record for record in records if record.preference < min(mine)]
            if not found:
                return NoRoad(554, "5.4.6", "the mail for this domain would come back to this server")
        return self._hosts(found, site_name(record.host for record in records if record.host), secure=secure)

    def _hosts(self, found: list[tuple[MxRecord, AddressAnswer]], site: str, *, secure: bool) -> Road:
        hosts: list[Host] = []
        forbidden: list[str] = []
        failed: list[str] = []
        for record, answer in found:
            if answer.status is Status.FAILED:
                failed.append(answer.detail or f"the DNS could not be asked for {record.host}")
            for address in alternate(answer.addresses):
                if may_connect(address, self._allowed):
                    tls = TlsMode(name="" if record.host.startswith("[") else record.host)
                    where = Endpoint(address, self._port)
                    is_secure = secure and answer.secure
                    hosts.append(
                        Host(where, record.host, tls, opportunistic=True, site=site, is_secure=is_secure, by_mx=True)
                    )
                else:
                    forbidden.append(f"{record.host} has the special-purpose address {address}")
        if hosts:
            return hosts
        if failed:
            return NoRoad(451, "4.4.3", failed[0])
        if forbidden:
            return NoRoad(550, "5.4.4", forbidden[0])
        return NoRoad(550, "5.4.4", f"no mail host of the domain has an address (tried {found[0][0].host})")


def _route_host(route: Route, target: Target, where: Endpoint | str, credentials: Credentials | None) -> Host:
    policy = route.tls or ("verify" if route.username else "opportunistic")
    if target.path:
        tls = TlsMode(allowed=False)
    else:
        tls = TlsMode(
            implicit=target.implicit_tls,
            required=target.implicit_tls or policy in ("require", "verify"),
            verify=policy == "verify",
            allowed=target.implicit_tls or policy != "none",
            name=target.host,
        )
    return Host(
        where,
        target.host,
        tls,
        opportunistic=tls.allowed and not tls.required,
        lmtp=target.lmtp,
        credentials=credentials,
        allow_unverified_login=route.allow_unverified_login,
    )


def alternate(addresses: Iterable[str]) -> list[str]:
    """IPv6, IPv4, IPv6, …, each family in the order it came."""
    given = list(addresses)
    families = ([a for a in given if ":" in a], [a for a in given if ":" not in a])
    return [address for address in chain.from_iterable(zip_longest(*families)) if address is not None]
