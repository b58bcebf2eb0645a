"""A DNS server on loopback for tests, with manners that real ones have on bad days. Packets are made by dnslib."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from dnslib import QTYPE, RR, SOA, DNSHeader, DNSRecord

Mutate = Callable[[DNSRecord, bytes], bytes | None]


class DnsServer:
    """`zone`: text in zone-file form. `manners`: name -> function(query, right answer) -> octets to send, or None for
    silence; it is asked for UDP only. `asked`: (name, type) in order; `tcp_asked`: those that came over TCP."""

    def __init__(self, zone: str, soa_minimum: int = 300) -> None:
        self.records: list[Any] = list(RR.fromZone(zone))
        self.manners: dict[str, Mutate] = {}
        self.asked: list[tuple[str, str]] = []
        self.tcp_asked: list[tuple[str, str]] = []
        self.gate: asyncio.Event | None = None
        self.port = 0
        self._soa = SOA("ns.test.", "root.test.", (1, 3600, 600, 86400, soa_minimum))
        self._waiting: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def answer(self, query: DNSRecord) -> bytes:
        name = str(query.q.qname).lower()
        kind = QTYPE[query.q.qtype]
        self.asked.append((name.rstrip("."), kind))
        reply = query.reply()
        known = False
        while True:
            mine = [record for record in self.records if str(record.rname).lower() == name]
            known = known or bool(mine)
            cname = next((record for record in mine if QTYPE[record.rtype] == "CNAME"), None)
            for record in mine:
                if QTYPE[record.rtype] == kind:
                    reply.add_answer(record)
            if cname is None or kind == "CNAME":
                break
            reply.add_answer(cname)
            if "partial" in name:
                return bytes(reply.pack())
            name = str(cname.rdata).lower()
        if not any(QTYPE[record.rtype] == kind for record in reply.rr):
            reply.add_auth(RR("test.", QTYPE.SOA, ttl=3600, rdata=self._soa))
            if not known:
                reply.header.rcode = 3
        return bytes(reply.pack())

    async def handle_udp(self, data: bytes, send: Callable[[bytes], None]) -> None:
        query = DNSRecord.parse(data)
        octets: bytes | None = self.answer(query)
        assert octets is not None
        manner = self.manners.get(str(query.q.qname).lower().rstrip("."))
        if manner is not None:
            octets = manner(query, octets)
        if self.gate is not None:
            await self.gate.wait()
        if octets is not None:
            send(octets)

    async def handle_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            size = int.from_bytes(await reader.readexactly(2), "big")
            query = DNSRecord.parse(await reader.readexactly(size))
            octets = self.answer(query)
            self.tcp_asked.append(self.asked[-1])
            writer.write(len(octets).to_bytes(2, "big") + octets)
            await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[DnsServer]:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self.handle_tcp, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        outer = self

        class Udp(asyncio.DatagramProtocol):
            def connection_made(self, transport: Any) -> None:
                self.transport = transport

            def datagram_received(self, data: bytes, addr: Any) -> None:
                task = loop.create_task(outer.handle_udp(data, lambda octets: self.transport.sendto(octets, addr)))
                outer._waiting.add(task)
                task.add_done_callback(outer._waiting.discard)

        transport, _ = await loop.create_datagram_endpoint(Udp, local_addr=("127.0.0.1", self.port))
        try:
            yield self
        finally:
            transport.close()
            for task in list(self._waiting):
                task.cancel()
            server.close()
            await server.wait_closed()


def silence(_query: DNSRecord, _octets: bytes) -> None:
    return None


def error(rcode: int) -> Mutate:
    def refuse(query: DNSRecord, _octets: bytes) -> bytes:
        reply = query.reply()
        reply.header.rcode = rcode
        return bytes(reply.pack())

    return refuse


def truncated(query: DNSRecord, _octets: bytes) -> bytes:
    header = DNSHeader(id=query.header.id, qr=1, aa=1, rd=1, ra=1, tc=1)
    return bytes(DNSRecord(header, q=query.q).pack())


def garbage(query: DNSRecord, octets: bytes) -> bytes:
    """Our id, then a response whose sections do not hold what its header says."""
    return octets[: len(octets) // 2]


def no_edns(query: DNSRecord, octets: bytes) -> bytes:
    """FORMERR to whoever sends an OPT record."""
    return error(1)(query, octets) or b"" if query.ar else octets
