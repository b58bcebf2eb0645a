"""DnsResolver against a DNS server on loopback: every answer is a value, no failure an exception."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ekiden.net.dns_cache import FAILURE_TTL
from ekiden.net.resolver import DnsResolver, system_nameservers
from ekiden.ports.resolver import MxRecord, Status
from tests.fakes.clock import FakeClock
from tests.fakes.dns_server import DnsServer, error, garbage, no_edns, silence, truncated

ZONE = """
example.test.       60 IN MX 20 mx2.Example.test.
example.test.       60 IN MX 10 mx1.example.test.
mx1.example.test.   60 IN A 192.0.2.1
mx1.example.test.   60 IN A 192.0.2.2
mx1.example.test.   60 IN AAAA 2001:db8::1
mx2.example.test.   60 IN A 192.0.2.3
null.test.          60 IN MX 0 .
alias.test.         60 IN CNAME mx1.example.test.
partial.test.       60 IN CNAME alias.test.
partial-loop.test.  60 IN CNAME partial-loop2.test.
partial-loop2.test. 60 IN CNAME partial-loop.test.
spf.test.           60 IN TXT "v=spf1 " "-all"
spf.test.           60 IN TXT "other"
nodata.test.        60 IN TXT "only text"
xn--zckzah.test.    60 IN A 192.0.2.9
1.2.0.192.in-addr.arpa. 60 IN PTR MX1.example.test.
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 60 IN PTR mx1.example.test.
"""


@pytest_asyncio.fixture(loop_scope="function")
async def server() -> AsyncIterator[DnsServer]:
    async with DnsServer(ZONE).running() as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def resolver(server: DnsServer, clock: FakeClock) -> DnsResolver:
    return DnsResolver([server.address], within=5.0, clock=clock)


async def test_mx(resolver: DnsResolver) -> None:
    answer = await resolver.mx("EXAMPLE.test.")
    assert answer.status is Status.OK
    assert sorted(answer.records) == [MxRecord(10, "mx1.example.test"), MxRecord(20, "mx2.example.test")]


async def test_null_mx(resolver: DnsResolver) -> None:
    assert (await resolver.mx("null.test")).records == (MxRecord(0, ""),)


async def test_nxdomain_and_nodata_are_told_apart(resolver: DnsResolver) -> None:
    missing, empty = await resolver.mx("missing.test"), await resolver.mx("nodata.test")
    assert (missing.status, missing.exists) == (Status.NOT_FOUND, False)
    assert (empty.status, empty.exists) == (Status.NOT_FOUND, True)


async def test_addresses_of_both_families(resolver: DnsResolver) -> None:
    answer = await resolver.addresses("mx1.example.test")
    assert answer.status is Status.OK
    assert answer.addresses == ("192.0.2.1", "192.0.2.2", "2001:db8::1")
    assert (await resolver.addresses("mx2.example.test")).addresses == ("192.0.2.3",)
    assert (await resolver.addresses("missing.test")).status is Status.NOT_FOUND


@pytest.mark.parametrize("name", ["alias.test", "partial.test"])
async def test_cname_is_followed_even_when_the_server_leaves_it_to_us(resolver: DnsResolver, name: str) -> None:
    assert (await resolver.addresses(name)).addresses == ("192.0.2.1", "192.0.2.2", "2001:db8::1")


async def test_addresses_of_ipv4_alone_are_one_question(server: DnsServer, resolver: DnsResolver) -> None:
    answer = await resolver.ipv4("Alias.test")
    assert (answer.status, set(answer.addresses)) == (Status.OK, {"192.0.2.1", "192.0.2.2"})
    assert [kind for _, kind in server.asked] == ["A"]
    assert (await resolver.ipv4("nodata.test")).status is Status.NOT_FOUND
    assert (await resolver.ipv4("[IPv6:2001:db8::1]")).status is Status.NOT_FOUND
    assert (await resolver.ipv4("192.0.2.7")).addresses == ("192.0.2.7",)


async def test_cname_loop_fails(resolver: DnsResolver) -> None:
    assert (await resolver.addresses("partial-loop.test")).status is Status.FAILED


async def test_txt_strings_are_joined(resolver: DnsResolver) -> None:
    assert sorted((await resolver.txt("spf.test")).texts) == [b"other", b"v=spf1 -all"]


@pytest.mark.parametrize("address", ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"])
async def test_reverse(resolver: DnsResolver, address: str) -> None:
    assert (await resolver.reverse(address)).names == ("mx1.example.test",)


async def test_reverse_of_no_address(resolver: DnsResolver, server: DnsServer) -> None:
    assert (await resolver.reverse("mx1.example.test")).status is Status.NOT_FOUND
    assert server.asked == []


async def test_u_labels_are_asked_as_a_labels(resolver: DnsResolver) -> None:
    assert (await resolver.addresses("テスト.test")).addresses == ("192.0.2.9",)


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("192.0.2.1", ("192.0.2.1",)),
        ("[192.0.2.1]", ("192.0.2.1",)),
        ("[IPv6:2001:db8:0::1]", ("2001:db8::1",)),
        ("::ffff:192.0.2.7", ("192.0.2.7",)),
        ("localhost", ("127.0.0.1", "::1")),
        ("a.localhost", ("127.0.0.1", "::1")),
    ],
)
async def test_what_needs_no_dns(
    resolver: DnsResolver, server: DnsServer, name: str, addresses: tuple[str, ...]
) -> None:
    assert (await resolver.addresses(name)).addresses == addresses
    assert (await resolver.mx(name)).status is Status.NOT_FOUND
    assert server.asked == []


@pytest.mark.parametrize(
    "name", ["", "x.invalid", "y.onion", "a..test", "x" * 64 + ".test", "a." * 128 + "test", "é\u0000.test"]
)
async def test_names_that_cannot_be(resolver: DnsResolver, server: DnsServer, name: str) -> None:
    answer = await resolver.mx(name)
    assert (answer.status, answer.exists) == (Status.NOT_FOUND, False)
    assert server.asked == []


async def test_answers_are_cached_for_their_ttl(resolver: DnsResolver, server: DnsServer, clock: FakeClock) -> None:
    await resolver.mx("example.test")
    clock.advance(59)
    await resolver.mx("Example.Test")
    assert len(server.asked) == 1
    clock.advance(2)
    await resolver.mx("example.test")
    assert len(server.asked) == 2


async def test_negatives_are_cached_for_the_soa_minimum(
    resolver: DnsResolver, server: DnsServer, clock: FakeClock
) -> None:
    await resolver.mx("missing.test")
    clock.advance(299)
    await resolver.mx("missing.test")
    assert len(server.asked) == 1
    clock.advance(2)
    await resolver.mx("missing.test")
    assert len(server.asked) == 2


async def test_servfail_is_failed_and_soon_asked_again(
    resolver: DnsResolver, server: DnsServer, clock: FakeClock
) -> None:
    server.manners["example.test"] = error(2)
    answer = await resolver.mx("example.test")
    assert answer.status is Status.FAILED
    assert "SERVFAIL" in answer.detail
    assert len(server.asked) == 1  # a nameserver that says so is not asked again and again
    del server.manners["example.test"]
    assert (await resolver.mx("example.test")).status is Status.FAILED
    clock.advance(FAILURE_TTL)
    assert (await resolver.mx("example.test")).status is Status.OK


async def test_one_family_failing_does_not_hide_the_other(resolver: DnsResolver, server: DnsServer) -> None:
    server.manners["mx1.example.test"] = lambda query, octets: octets if query.q.qtype == 1 else error(2)(query, octets)
    assert (await resolver.addresses("mx1.example.test")).addresses == ("192.0.2.1", "192.0.2.2")
    server.manners["nodata.test"] = server.manners["mx1.example.test"]
    assert (await resolver.addresses("nodata.test")).status is Status.FAILED


async def test_silence_is_failed_when_the_time_is_over(server: DnsServer, clock: FakeClock) -> None:
    server.manners["example.test"] = silence
    resolver = DnsResolver([server.address], within=0.2, clock=clock)
    answer = await resolver.mx("example.test")
    assert answer.status is Status.FAILED
    assert "within 0.2 s" in answer.detail


async def test_garbage_is_failed(server: DnsServer, clock: FakeClock) -> None:
    server.manners["example.test"] = garbage
    resolver = DnsResolver([server.address], within=0.2, clock=clock)
    assert (await resolver.mx("example.test")).status is Status.FAILED


async def test_a_cut_answer_is_fetched_over_tcp(resolver: DnsResolver, server: DnsServer) -> None:
    server.manners["example.test"] = truncated
    assert len((await resolver.mx("example.test")).records) == 2
    assert server.tcp_asked == [("example.test", "MX")]


async def test_a_server_without_edns_is_asked_without(resolver: DnsResolver, server: DnsServer) -> None:
    server.manners["example.test"] = no_edns
    assert len((await resolver.mx("example.test")).records) == 2


async def test_the_next_nameserver_is_asked(server: DnsServer, clock: FakeClock) -> None:
    async with DnsServer(ZONE).running() as broken:
        broken.manners["example.test"] = error(5)
        resolver = DnsResolver([broken.address, server.address], within=5.0, clock=clock)
        assert (await resolver.mx("example.test")).status is Status.OK
        assert broken.asked == server.asked


async def test_nobody_listens(clock: FakeClock) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    resolver = DnsResolver([f"127.0.0.1:{port}"], within=0.3, clock=clock)
    assert (await resolver.mx("example.test")).status is Status.FAILED


async def test_identical_questions_are_joined(resolver: DnsResolver, server: DnsServer) -> None:
    server.gate = asyncio.Event()
    first = asyncio.ensure_future(resolver.mx("example.test"))
    others = [asyncio.ensure_future(resolver.mx("example.test")) for _ in range(20)]
    while not server.asked:
        await asyncio.sleep(0)
    first.cancel()  # who asked first gives up; the question goes on for the rest
    await asyncio.gather(first, return_exceptions=True)
    server.gate.set()
    answers = await asyncio.gather(*others)
    assert {answer.status for answer in answers} == {Status.OK}
    assert server.asked == [("example.test", "MX")]


async def test_close_lets_nobody_wait(resolver: DnsResolver, server: DnsServer) -> None:
    server.gate = asyncio.Event()
    waiting = asyncio.ensure_future(resolver.mx("example.test"))
    while not server.asked:
        await asyncio.sleep(0)
    await resolver.close()
    assert (await waiting).status is Status.FAILED


@pytest.mark.parametrize("content", [None, "", "search example.test\n", "nameserver\nnameserver not-an-address\n"])
async def test_without_a_nameserver_all_is_failed(tmp_path: Path, clock: FakeClock, content: str | None) -> None:
    path = tmp_path / "resolv.conf"
    if content is not None:
        path.write_text(content)
    resolver = DnsResolver([], within=5.0, clock=clock, resolv_conf=str(path))
    assert (await resolver.mx("example.test")).status is Status.FAILED
    assert (await resolver.addresses("mx1.example.test")).status is Status.FAILED
    assert (await resolver.addresses("localhost")).status is Status.OK


def test_system_nameservers(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(
        "# c\nsearch x\nnameserver 192.0.2.1\n nameserver 2001:db8::1 # y\n"
        "nameserver fe80::1%eth0\nnameserver 192.0.2.4\n"
    )
    assert [server.address for server in system_nameservers(str(path))] == ["192.0.2.1", "2001:db8::1", "fe80::1%eth0"]


@pytest.mark.parametrize("text", ["192.0.2.1:x", "dns.example.test:53", ":53"])
def test_a_nameserver_that_is_no_address_is_refused(text: str, clock: FakeClock) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the configuration has said it better before
        DnsResolver([text], within=1, clock=clock)
