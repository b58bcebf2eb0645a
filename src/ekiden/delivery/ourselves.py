"""Who we are, as far as a name from outside could lead back to us (RFC 5321 §5.1). Called by routing."""

from __future__ import annotations

from typing import Final

from ekiden.config.model import Config
from ekiden.policy.addresses import is_special_purpose
from ekiden.policy.networks import NetworkSet, parse_address
from ekiden.ports.resolver import Resolver

_LOOPBACK: Final = NetworkSet(("127.0.0.0/8", "::1/128"))


class Ourselves:
    """By one configuration."""

    def __init__(self, config: Config) -> None:
        self._hostname = config.hostname.lower().rstrip(".")
        self._names = {self._hostname, *(source.helo.lower() for source in config.source if source.helo)}
        self._sources = tuple(source.address for source in config.source)
        self._listening = [_split_address(text) for text in config.listen.relay]

    def is_named(self, host: str) -> bool:
        return host in self._names

    async def addresses(self, resolver: Resolver, port: int) -> frozenset[str]:
        """Ours, if we listen at `port`: those configured, and when we listen on all, those that we send from and what
        our own name leads to."""
        listening = [address for address, ours in self._listening if ours == port]
        if not any(address in ("0.0.0.0", "::") for address in listening):  # noqa: S104 - compared, not bound
            return frozenset(map(_plain, listening))
        answer = await resolver.addresses(self._hostname)
        return frozenset(map(_plain, (*listening, *self._sources, *answer.addresses)))

    def stands_at(self, address: str, ours: frozenset[str]) -> bool:
        address = _plain(address)
        if address in ours:
            return True
        wildcard = "::" if ":" in address else "0.0.0.0"  # noqa: S104 - compared, not bound
        return wildcard in ours and (address in _LOOPBACK or address == wildcard) and is_special_purpose(address)


def _plain(address: str) -> str:
    """One spelling an address; IPv4-mapped IPv6 leads to the same socket as the IPv4 address in it."""
    return str(parse_address(address) or address)


def _split_address(text: str) -> tuple[str, int]:
    """`ADDRESS:PORT` or `[IPV6]:PORT`, checked when the configuration was read."""
    host, _, port = text.rpartition(":")
    return host.strip("[]").lower(), int(port)
