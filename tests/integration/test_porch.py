"""Implicit-TLS doors before their handshake, over real sockets, on uvloop and on asyncio's own loop."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from ekiden.model.door import Door
from ekiden.model.wrong_door import WrongDoor
from ekiden.net.listener import DoorService
from ekiden.net.porch import LEAVING, PATIENCE
from ekiden.proto.haproxy import V2_SIGNATURE
from tests.integration.certificates import Files
from tests.integration.test_wire import files, run  # noqa: F401 - fixtures
from tests.integration.wire_bench import Bench, client_context, in_thread, read_line

Body = Callable[[Bench], Coroutine[Any, Any, None]]
V1 = b"PROXY TCP4 192.0.2.77 198.51.100.25 4000 465\r\n"
V2 = (
    V2_SIGNATURE
    + b"\x21\x11"
    + struct.pack("!H", 12 + 300)
    + socket.inet_aton("192.0.2.77")
    + socket.inet_aton("198.51.100.25")
    + struct.pack("!HH", 4000, 465)
    + b"\x04\x01\x29" + bytes(297)
)  # fmt: skip


class Gate:
    tls_first = b"TLS first\n"

    def __init__(self) -> None:
        self.proxy = False
        self.closed_to = ""
        self.inside: list[str] = []
        self.told: list[tuple[str, str]] = []

    def expects_header(self, address: str) -> bool:
        return self.proxy

    def enter(self, address: str) -> bytes | None:
        if address == self.closed_to:
            return b"denied\n"
        self.inside.append(address)
        return None

    def still_welcome(self, address: str) -> bool:
        return True

    def left(self, address: str) -> None:
        self.inside.remove(address)

    def refused(self, address: str, rule: str, detail: str) -> None:
        self.told.append((address, rule))

    def wrong(self, address: str, what: WrongDoor) -> None:
        self.told.append((address, what.value))


async def open_door(bench: Bench, gate: Gate) -> tuple[str, int]:
    bench.service = lambda: DoorService(*Bench.service(bench)[:4], gate)  # type: ignore[method-assign]
    return await bench.open(Door.SUBMISSIONS)


async def arrived(bench: Bench) -> None:
    while not len(bench.doors.wires):
        await asyncio.sleep(0.001)


def tick(bench: Bench, times: int) -> None:
    for _ in range(times):
        for wire in bench.doors.wires:
            wire.tick(1.0)


def all_of(connection: socket.socket) -> bytes:
    octets = b""
    try:
        while piece := connection.recv(1000):
            octets += piece
    except ConnectionError:
        octets += b"RESET"
    return octets


def say(address: tuple[str, int], octets: bytes) -> bytes:
    with socket.create_connection(address, timeout=15) as connection:
        connection.sendall(octets)
        return all_of(connection)


@pytest.mark.parametrize("octets", [b"EHLO c\r\n", b"USER alice\r\nPASS secret\r\n", b"\r\n", b"E", b"x" * 100_000])
def test_plain_octets_get_one_line(run: Callable[[Body], None], octets: bytes) -> None:  # noqa: F811
    async def body(bench: Bench) -> None:
        gate = Gate()
        address = await open_door(bench, gate)
        answer = await in_thread(say, address, octets)
        if len(octets) < 1000:  # who goes on and on may be reset before he reads
            assert answer == b"TLS first\n"
        await bench.doors.wires.empty()
        assert gate.inside == []
        assert gate.told == [("127.0.0.1", "plain")]
        assert bench.talkers == []
        assert bench.events.events == []

    run(body)


@pytest.mark.parametrize(
    ("octets", "what"),
    [(b"GET / HTTP/1.1\r\n\r\n", "http"), (b"SSH-2.0-x\r\n", "ssh"), (V1, "proxy-header"), (V2, "proxy-header")],
)
def test_other_protocols_get_nothing(run: Callable[[Body], None], octets: bytes, what: str) -> None:  # noqa: F811
    async def body(bench: Bench) -> None:
        gate = Gate()
        answer = await in_thread(say, await open_door(bench, gate), octets)
        assert answer in (b"", b"RESET")
        await bench.doors.wires.empty()
        assert gate.inside == []
        assert gate.told == [("127.0.0.1", what)]

    run(body)


def test_who_is_silent_for_ten_seconds_is_told(run: Callable[[Body], None]) -> None:  # noqa: F811
    async def body(bench: Bench) -> None:
        gate = Gate()
        with socket.create_connection(await open_door(bench, gate), timeout=15) as connection:
            await arrived(bench)
            tick(bench, PATIENCE)
            assert gate.told == []
            tick(bench, 1)
            assert gate.told == [("127.0.0.1", "silent")]
            assert await in_thread(all_of, connection) == b"TLS first\n"
            assert len(bench.doors.wires) == 1, "it may still be reading"
            tick(bench, LEAVING + 1)
            await bench.doors.wires.empty()
        assert gate.inside == []

    run(body)


def test_who_hangs_up_without_a_word_is_no_event(run: Callable[[Body], None]) -> None:  # noqa: F811
    async def body(bench: Bench) -> None:
        gate = Gate()
        with socket.create_connection(await open_door(bench, gate), timeout=15):
            await arrived(bench)
        await bench.doors.wires.empty()
        assert gate.inside == []
        assert gate.told == []
        assert bench.events.events == []

    run(body)


def test_who_is_not_admitted_is_closed_before_tls(run: Callable[[Body], None]) -> None:  # noqa: F811
    async def body(bench: Bench) -> None:
        gate = Gate()
        gate.closed_to = "127.0.0.1"
        assert await in_thread(say, await open_door(bench, gate), b"") in (b"", b"RESET")
        await bench.doors.wires.empty()
        assert gate.inside == []
        assert bench.talkers == []

    run(body)


@pytest.mark.parametrize("header", [V1, V2])
@pytest.mark.parametrize("apart", [True, False])
def test_a_proxy_names_the_client_before_tls(
    run: Callable[[Body], None], files: Files, header: bytes, apart: bool  # noqa: F811
) -> None:  # fmt: skip
    async def body(bench: Bench) -> None:
        gate = Gate()
        gate.proxy = True
        address = await open_door(bench, gate)

        def client() -> bytes:
            with socket.create_connection(address, timeout=15) as connection:
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                tls = client_context(files).wrap_bio(incoming, outgoing)
                with pytest.raises(ssl.SSLWantReadError):
                    tls.do_handshake()
                if apart:
                    for octet in header:
                        connection.sendall(bytes((octet,)))
                    connection.sendall(outgoing.read())
                else:
                    connection.sendall(header + outgoing.read())
                while True:
                    incoming.write(connection.recv(65536))
                    try:
                        tls.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        connection.sendall(outgoing.read())
                connection.sendall(outgoing.read())
                while True:
                    try:
                        return tls.read(100)
                    except ssl.SSLWantReadError:
                        incoming.write(connection.recv(65536))

        assert await in_thread(client) == b"hello\n"
        talker = bench.talkers[0]
        assert (talker.wire.peer.address, talker.wire.peer.port) == ("192.0.2.77", 4000)
        assert (talker.wire.local.address, talker.wire.local.port) == ("198.51.100.25", 465)
        assert gate.told == []
        await bench.doors.wires.empty()
        assert gate.inside == []

    run(body)


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (b"\x16\x03\x01\x00", ("127.0.0.1", "proxy-header-missing")),
        (b"PROXY TCP4 nowhere 1.2.3.4 1 2\r\n", ("127.0.0.1", "proxy-header-malformed")),
        (V1 + b"GET / HTTP/1.0\r\n", ("192.0.2.77", "http")),
    ],
)
def test_what_comes_from_a_proxy(
    run: Callable[[Body], None], octets: bytes, told: tuple[str, str]  # noqa: F811
) -> None:  # fmt: skip
    async def body(bench: Bench) -> None:
        gate = Gate()
        gate.proxy = True
        assert await in_thread(say, await open_door(bench, gate), octets) in (b"", b"RESET")
        await bench.doors.wires.empty()
        assert gate.inside == []
        assert gate.told == [told]

    run(body)


def test_the_named_client_is_the_one_who_is_admitted(run: Callable[[Body], None]) -> None:  # noqa: F811
    async def body(bench: Bench) -> None:
        gate = Gate()
        gate.proxy = True
        gate.closed_to = "192.0.2.77"
        assert await in_thread(say, await open_door(bench, gate), V1 + b"\x16\x03\x01") in (b"", b"RESET")
        await bench.doors.wires.empty()
        assert gate.inside == []
        assert bench.talkers == []

    run(body)


def test_a_proxy_without_a_header_is_cut_off_in_time(run: Callable[[Body], None]) -> None:  # noqa: F811
    async def body(bench: Bench) -> None:
        gate = Gate()
        gate.proxy = True
        with socket.create_connection(await open_door(bench, gate), timeout=15) as connection:
            await arrived(bench)
            connection.sendall(V1[:5])
            tick(bench, PATIENCE + 1)
            assert gate.told == [("127.0.0.1", "proxy-header-missing")]
            assert await in_thread(all_of, connection) in (b"", b"RESET")
        await bench.doors.wires.empty()
        assert gate.inside == []

    run(body)


def test_draining_does_not_wait_for_who_has_said_nothing(run: Callable[[Body], None]) -> None:  # noqa: F811
    async def body(bench: Bench) -> None:
        with socket.create_connection(await open_door(bench, Gate()), timeout=15) as connection:
            await arrived(bench)
            bench.doors.drain()
            await bench.doors.wires.empty()
            assert await in_thread(all_of, connection) in (b"", b"RESET")

    run(body)


def test_http_within_tls_gets_nothing(run: Callable[[Body], None], files: Files) -> None:  # noqa: F811
    async def body(bench: Bench) -> None:
        gate = Gate()
        address = await open_door(bench, gate)

        def client() -> bytes:
            with (
                socket.create_connection(address, timeout=15) as plain,
                client_context(files).wrap_socket(plain) as connection,
            ):
                assert read_line(connection) == b"hello\n"
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                return all_of(connection)

        assert await in_thread(client) == b""
        assert gate.told == [("127.0.0.1", "http")]
        assert "received" not in bench.talkers[0].calls

    run(body)
