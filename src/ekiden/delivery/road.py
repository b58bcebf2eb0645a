"""A road: the hosts that a next-hop key leads to, in the order to try them, or the reason why there are none. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ekiden.policy.source import Source
from ekiden.ports.wire import Endpoint, TlsMode

ANY_SOURCE: Final = Source()


class Credentials(NamedTuple):
    """A login at a smarthost. Its `repr` keeps the secret: it could end in a log (invariant 4)."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.username!r}, …)"


class Host(NamedTuple):
    """One place to connect to. `where`: an endpoint, or a Unix socket path. `name`: for TLS and the trail.

    `opportunistic`: TLS that fails may be left away on a new connection. `credentials`: None without a login.
    `site`: the name of the set of hosts it was found in (`site_name`), the same for all hosts of a road. `source`: from
    which of our addresses. `or_ipv4`: IPv6, in a road that has IPv4 addresses, too. `policy`: what decided how its TLS
    is done, '' for the usual way (`tls_policy`). `is_secure`: DNSSEC proves what led to it. `is_plain`: in the clear,
    because its TLS failed. `by_mx`: found in the DNS, so a blocked port 25 is in its way. `is_detour`: it takes letters
    that a blocked port 25 keeps from their hosts."""

    where: Endpoint | str
    name: str
    tls: TlsMode
    opportunistic: bool = False
    lmtp: bool = False
    credentials: Credentials | None = None
    allow_unverified_login: bool = False
    site: str = ""
    source: Source = ANY_SOURCE
    or_ipv4: bool = False
    policy: str = ""
    is_secure: bool = False
    is_plain: bool = False
    by_mx: bool = False
    is_detour: bool = False

    @property
    def address(self) -> str:
        """'' for a Unix socket."""
        return self.where.address if isinstance(self.where, Endpoint) else ""

    @property
    def tlsa_name(self) -> str:
        """Where its TLSA records are (RFC 6698 §3); '' if there can be none."""
        if not isinstance(self.where, Endpoint) or not self.name or self.name.startswith("["):
            return ""
        return f"_{self.where.port}._tcp.{self.name}"

    def __str__(self) -> str:
        return f"{self.name} ({self.where})" if self.name else str(self.where)


class NoRoad(NamedTuple):
    """Why there is no host: a reply in our own words. 5xx fails the recipients, 4xx delays them."""

    code: int
    status: str
    text: str


Road = Sequence[Host] | NoRoad
