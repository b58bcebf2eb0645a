"""The PROXY protocol: what is a header, what is none, and what is left for the client."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.ports.wire import Endpoint
from ekiden.proto.haproxy import (
    MOST_V1,
    MOST_V2,
    NO_CLIENT,
    V2_SIGNATURE,
    HeaderFault,
    HeaderReader,
    ProxyHeader,
    looks_like_header,
)

LONGEST = b"PROXY TCP6 " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n"


def v2(command: int, family: int, block: bytes) -> bytes:
    return V2_SIGNATURE + bytes((command, family)) + struct.pack("!H", len(block)) + block


def v4_block(source: str, destination: str, *ports: int) -> bytes:
    return b"".join(ipaddress.ip_address(a).packed for a in (source, destination)) + struct.pack("!HH", *ports)


INET = v4_block("192.0.2.1", "198.51.100.25", 4000, 25)
INET6 = v4_block("2001:db8::1", "2001:db8::25", 4000, 25)
FOUR = ProxyHeader(Endpoint("192.0.2.1", 4000), Endpoint("198.51.100.25", 25))
SIX = ProxyHeader(Endpoint("2001:db8::1", 4000), Endpoint("2001:db8::25", 25))

GOOD = [
    (b"PROXY TCP4 192.0.2.1 198.51.100.25 4000 25\r\n", FOUR),
    (b"PROXY TCP6 2001:db8::1 2001:DB8:0::25 4000 25\r\n", SIX),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.25 4000 25\r\n", FOUR),
    (b"PROXY TCP4 192.0.2.1 198.51.100.25 0 25\r\n", FOUR._replace(source=Endpoint("192.0.2.1", 0))),
    (b"PROXY UNKNOWN\r\n", NO_CLIENT),
    (b"PROXY UNKNOWN ffff::1 whatever it is\r\n", NO_CLIENT),
    (LONGEST, ProxyHeader(*[Endpoint("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535)] * 2)),
    (v2(0x21, 0x11, INET), FOUR),
    (v2(0x21, 0x21, INET6), SIX),
    (v2(0x21, 0x11, INET + b"\x04\x00\x03abc"), FOUR),  # a TLV
    (v2(0x21, 0x11, INET + bytes(MOST_V2 - len(INET))), FOUR),
    (v2(0x21, 0x21, v4_block("::ffff:192.0.2.1", "::ffff:198.51.100.25", 4000, 25)), FOUR),
    (v2(0x20, 0x00, b""), NO_CLIENT),  # LOCAL: a health check
    (v2(0x20, 0x11, INET), NO_CLIENT),
    (v2(0x20, 0xFF, b"?"), NO_CLIENT),  # LOCAL: the family is ignored
    (v2(0x21, 0x00, b""), NO_CLIENT),
    (v2(0x21, 0x31, bytes(216)), NO_CLIENT),  # AF_UNIX
    (v2(0x21, 0x12, INET), NO_CLIENT),  # a datagram over TCP: it names nobody we could know
]
BAD = [
    b"EHLO client.example\r\n",
    b"\x16\x03\x01",
    b"PROXY\r\n",
    b"PROXX TCP4 192.0.2.1 198.51.100.25 4000 25\r\n",
    b"proxy TCP4 192.0.2.1 198.51.100.25 4000 25\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.25 4000\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.25 4000 25 9\r\n",
    b"PROXY  TCP4 192.0.2.1 198.51.100.25 4000 25\r\n",
    b"PROXY TCP4 2001:db8::1 2001:db8::25 4000 25\r\n",
    b"PROXY TCP6 192.0.2.1 198.51.100.25 4000 25\r\n",
    b"PROXY TCP4 192.0.2.256 198.51.100.25 4000 25\r\n",
    b"PROXY TCP4 192.0.2.01 198.51.100.25 4000 25\r\n",
    b"PROXY TCP4 localhost 198.51.100.25 4000 25\r\n",
    b"PROXY TCP6 fe80::1%eth0 2001:db8::25 4000 25\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.25 65536 25\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.25 -1 25\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.25 025 25\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.25 \xb2 25\r\n",
    b"PROXY UDP4 192.0.2.1 198.51.100.25 4000 25\r\n",
    b"PROXY TCP4 192.0.2.1 198.51.100.25 4000 25\n" + b" " * MOST_V1,
    b"PROXY TCP4 " + b"1" * MOST_V1,
    LONGEST[:-2] + b" \r\n",
    V2_SIGNATURE[:-1] + b"\r" + bytes(4),
    v2(0x11, 0x11, INET),  # version 1 in a header of version 2
    v2(0x22, 0x11, INET),  # neither LOCAL nor PROXY
    v2(0x21, 0x41, INET),
    v2(0x21, 0x13, INET),
    v2(0x21, 0x11, INET[:-1]),
    v2(0x21, 0x21, INET),
    V2_SIGNATURE + b"\x21\x11" + struct.pack("!H", MOST_V2 + 1),
]


@pytest.mark.parametrize(("octets", "header"), GOOD)
def test_headers(octets: bytes, header: ProxyHeader) -> None:
    reader = HeaderReader()
    assert reader.feed(octets + b"EHLO c\r\n") == header
    assert reader.taken == len(octets)


@pytest.mark.parametrize(("octets", "header"), GOOD)
def test_in_single_octets_and_cut_anywhere(octets: bytes, header: ProxyHeader) -> None:
    reader = HeaderReader()
    for at in range(len(octets) - 1):
        assert reader.feed(octets[at : at + 1]) is None
        assert reader.taken == 1
    assert reader.feed(octets[-1:] + b"EHLO") == header
    assert reader.taken == 1
    for cut in range(1, len(octets)):
        reader = HeaderReader()
        assert reader.feed(octets[:cut]) is None
        assert reader
        assert reader.feed(octets[cut:] + b"\x16") == header
        assert reader.taken == len(octets) - cut


@pytest.mark.parametrize("octets", BAD)
def test_what_is_no_header(octets: bytes) -> None:
    with pytest.raises(HeaderFault):
        HeaderReader().feed(octets)
    with pytest.raises(HeaderFault):
        _feed_singly(octets)


def _feed_singly(octets: bytes) -> None:
    reader = HeaderReader()
    for at in range(len(octets)):
        reader.feed(octets[at : at + 1])


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda more: V2_SIGNATURE + more))
def test_any_octets_however_split(octets: bytes) -> None:
    def run(*pieces: bytes) -> object:
        reader, taken = HeaderReader(), 0
        try:
            for piece in pieces:
                result = reader.feed(piece)
                taken += reader.taken
                if result is not None:
                    return result, taken
        except HeaderFault:
            return "fault"
        assert taken == len(octets) <= max(MOST_V1, MOST_V2)
        return None

    assert run(octets) == run(*(octets[at : at + 1] for at in range(len(octets))))


@given(st.ip_addresses(), st.ip_addresses(), st.integers(0, 65535), st.integers(0, 65535))
def test_both_versions_say_the_same(
    source: ipaddress.IPv4Address | ipaddress.IPv6Address,
    destination: ipaddress.IPv4Address | ipaddress.IPv6Address,
    first: int,
    second: int,
) -> None:
    if source.version != destination.version:
        return
    line = f"PROXY TCP{source.version} {source} {destination} {first} {second}\r\n".encode()
    if b"%" in line:
        return
    family = 0x11 if source.version == 4 else 0x21
    block = source.packed + destination.packed + struct.pack("!HH", first, second)
    assert HeaderReader().feed(line) == HeaderReader().feed(v2(0x21, family, block))


def test_who_looks_like_a_header() -> None:
    assert looks_like_header(b"PROXY TCP4")
    assert looks_like_header(v2(0x20, 0, b""))
    assert not looks_like_header(b"EHLO PROXY ")
