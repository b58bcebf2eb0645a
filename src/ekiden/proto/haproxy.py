"""The PROXY protocol, versions 1 and 2 (haproxy.org, proxy-protocol.txt): octets in, the client's address out. No I/O.

    reader = HeaderReader()
    result = reader.feed(octets)     # None: more is needed; else ProxyHeader
    reader.taken                     # how many octets of the last feed belong to the header

Rules
1. Nothing is guessed: the header is exactly what the specification says, or `HeaderFault` is raised.
2. LOCAL, UNKNOWN, AF_UNSPEC, AF_UNIX and datagrams name no client: `source` and `destination` are None, and the
   connection's own addresses count.
3. Limits: 107 octets of version 1 (its own), `MOST_V2` of version 2. TLVs are skipped.
4. Octets behind the header are never touched: they are the client's.

Called by `net.door_wire` and `net.porch`, for listed proxies alone; `looks_like_header` tells when a stranger tries.
"""

from __future__ import annotations

import ipaddress
from typing import Final, NamedTuple

from ekiden.ports.wire import Endpoint

V1_BEGINNING: Final = b"PROXY "
V2_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
#: "PROXY TCP6 ", two addresses of 39, two ports of 5, blanks, CRLF.
MOST_V1: Final = 107
#: Signature, version and command, family and protocol, length.
_V2_FIXED: Final = 16
#: Addresses and TLVs: a TLS certificate's name, a cloud's identifiers; 536 octets are what all senders keep to.
MOST_V2: Final = 4096
#: Family and protocol -> octets of one address.
_V2_ADDRESS: Final = {0x11: 4, 0x21: 16}
#: AF_UNSPEC, AF_INET, AF_INET6, AF_UNIX with UNSPEC, STREAM, DGRAM.
_V2_KNOWN: Final = frozenset(family << 4 | protocol for family in range(4) for protocol in range(3))
_LOCAL: Final = 0x20
_PROXY: Final = 0x21


class ProxyHeader(NamedTuple):
    """`source`: the client. `destination`: where it connected to. None: the connection's own addresses count."""

    source: Endpoint | None
    destination: Endpoint | None


class HeaderFault(Exception):
    """It is no PROXY header; `str()` says why, for the event."""


class HeaderMissing(HeaderFault):
    """What came begins in no way that a header does."""


NO_CLIENT: Final = ProxyHeader(None, None)


def looks_like_header(octets: bytes) -> bool:
    """What no mail client says first."""
    return octets.startswith((V1_BEGINNING, V2_SIGNATURE))


class HeaderReader:
    """One header. Holds at most `MOST_V2` octets and a few."""

    __slots__ = ("_buffer", "taken")

    def __init__(self) -> None:
        self._buffer = b""
        self.taken = 0

    def __bool__(self) -> bool:
        """Something of it has come."""
        return bool(self._buffer)

    def feed(self, octets: bytes) -> ProxyHeader | None:
        """Raises HeaderFault as soon as it cannot become a header any more."""
        before = len(self._buffer)
        buffer = self._buffer + octets
        end = _end(buffer)
        kept = buffer if end is None else buffer[:end]
        self._buffer = kept
        self.taken = len(kept) - before
        if end is None:
            return None
        return _parse_v1(kept) if kept.startswith(V1_BEGINNING) else _parse_v2(kept)


def _end(buffer: bytes) -> int | None:
    """Where the header ends; None if that is not there yet."""
    if buffer.startswith(V1_BEGINNING[: len(buffer)]):
        found = buffer.find(b"\r\n", 0, MOST_V1)
        if found >= 0:
            return found + 2
        if len(buffer) >= MOST_V1:
            raise HeaderFault(f"version 1: no line of at most {MOST_V1} octets")
        return None
    if not buffer.startswith(V2_SIGNATURE[: len(buffer)]):
        raise HeaderMissing("neither version 1 nor version 2 begins so")
    if len(buffer) < _V2_FIXED:
        return None
    length = int.from_bytes(buffer[14:16], "big")
    if length > MOST_V2:
        raise HeaderFault(f"version 2: {length} octets, and {MOST_V2} are allowed")
    end = _V2_FIXED + length
    return end if len(buffer) >= end else None


def _parse_v1(line: bytes) -> ProxyHeader:
    words = line[:-2].split(b" ")
    if words[1:2] == [b"UNKNOWN"]:  # the rest of the line is to be ignored
        return NO_CLIENT
    if len(words) != 6 or words[1] not in (b"TCP4", b"TCP6"):
        raise HeaderFault("version 1: expected PROXY TCP4 or TCP6, two addresses and two ports")
    version = 4 if words[1] == b"TCP4" else 6
    return ProxyHeader(
        Endpoint(_address(words[2], version), _port(words[4])), Endpoint(_address(words[3], version), _port(words[5]))
    )


def _address(word: bytes, version: int) -> str:
    try:
        text = word.decode("ascii")
        address = ipaddress.ip_address(text)
    except ValueError:
        raise HeaderFault("version 1: an address is none") from None
    if address.version != version or "%" in text:
        raise HeaderFault("version 1: an address is not of the family that was said")
    return _plain(address)


def _port(word: bytes) -> int:
    if not (word.isdigit() and len(word) <= 5 and int(word) <= 65535) or (word[:1] == b"0" and word != b"0"):
        raise HeaderFault("version 1: a port is none")
    return int(word)


def _parse_v2(header: bytes) -> ProxyHeader:
    command, family = header[12], header[13]
    if command not in (_LOCAL, _PROXY):
        raise HeaderFault("version 2: neither LOCAL nor PROXY")
    if command == _LOCAL:
        return NO_CLIENT
    if family not in _V2_KNOWN:
        raise HeaderFault("version 2: unknown family or protocol")
    size = _V2_ADDRESS.get(family)
    if size is None:
        return NO_CLIENT
    block = header[_V2_FIXED:]
    if len(block) < 2 * size + 4:
        raise HeaderFault("version 2: too short for its addresses")
    source, destination = block[:size], block[size : 2 * size]
    ports = block[2 * size : 2 * size + 4]
    return ProxyHeader(
        Endpoint(_plain(ipaddress.ip_address(source)), int.from_bytes(ports[:2], "big")),
        Endpoint(_plain(ipaddress.ip_address(destination)), int.from_bytes(ports[2:], "big")),
    )


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """IPv4-mapped IPv6 is IPv4 (invariant 3)."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
