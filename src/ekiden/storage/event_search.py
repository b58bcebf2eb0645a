"""What an event is found by, the same for all engines. Pure. Called by the engines of `ports.event_store`."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from ekiden.ports.event_store import EventEntry, EventQuery

#: The graver, the higher; what is not known is taken for 'info'.
LEVELS: Final = {"info": 0, "warning": 1, "error": 2}
#: IPv4 addresses are ordered among IPv6 ones as ::ffff:0:0/96.
_MAPPED: Final = bytes(10) + b"\xff\xff"


def address_key(client: str) -> bytes:
    """16 octets that are ordered as addresses are; b'' for what is no address. A network counts as its first one."""
    try:
        network = ip_network(client.partition("%")[0], strict=False)
    except ValueError:
        return b""
    return _octets(network, last=False)


def key_range(network: str) -> tuple[bytes, bytes]:
    """The first and last key of an address or network. Raises ValueError."""
    parsed = ip_network(network, strict=False)
    return _octets(parsed, last=False), _octets(parsed, last=True)


def name_range(name: str) -> tuple[str, str]:
    """`login.*`, or a name alone: from here (included) to there (not)."""
    prefix = name.removesuffix("*")
    if prefix == name:
        return name, name + "\0"
    return prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\U0010ffff"


def meets(entry: EventEntry, query: EventQuery) -> bool:
    """Everything but `limit` and `after`."""
    key = address_key(entry.client)
    return (
        (query.since is None or entry.time >= query.since)
        and (query.until is None or entry.time < query.until)
        and (not query.account or entry.account.lower() == query.account.lower())
        and (not query.networks or any(low <= key <= high for low, high in map(key_range, query.networks)))
        and (not query.names or any(_named(entry.name, name) for name in query.names))
        and (not query.door or entry.door == query.door)
        and (not query.letter or entry.letter == query.letter)
        and LEVELS.get(entry.level, 0) >= LEVELS.get(query.level, 0)
    )


def _named(name: str, wanted: str) -> bool:
    return name.startswith(wanted[:-1]) if wanted.endswith("*") else name == wanted


def _octets(network: IPv4Network | IPv6Network, *, last: bool) -> bytes:
    address = network.broadcast_address if last else network.network_address
    return address.packed if address.version == 6 else _MAPPED + address.packed
