"""DoorWire by hand: PROXY headers and first octets at doors that begin in the clear."""

from __future__ import annotations

import asyncio
import struct
from typing import cast

import pytest

from ekiden.model.wrong_door import WrongDoor
from ekiden.net.door_wire import DoorWire
from ekiden.net.porch import PATIENCE
from ekiden.ports.wire import Endpoint
from ekiden.proto.first_octets import TLS_ALERT
from ekiden.proto.haproxy import V2_SIGNATURE
from tests.unit.net.test_wire import Both, Transport

V1 = b"PROXY TCP6 2001:db8::7 2001:db8::25 4001 2525\r\n"
LOCAL = V2_SIGNATURE + b"\x20\x00" + struct.pack("!H", 0)
HELLO = b"\x16\x03\x01\x02\x00\x01\x00"


class Gate:
    tls_first = b""

    def __init__(self, *, proxy: bool) -> None:
        self.proxy = proxy
        self.told: list[tuple[str, str]] = []

    def expects_header(self, address: str) -> bool:
        assert address == "192.0.2.1"
        return self.proxy

    def enter(self, address: str) -> bytes | None:
        raise AssertionError("the owner asks that")

    def still_welcome(self, address: str) -> bool:
        return True

    def left(self, address: str) -> None:
        raise AssertionError("nobody was let in")

    def refused(self, address: str, rule: str, detail: str) -> None:
        self.told.append((address, rule))

    def wrong(self, address: str, what: WrongDoor) -> None:
        self.told.append((address, what.value))


class Greeter(Both):
    """Greets, and notes who came."""

    def connected(self, wire: DoorWire) -> None:  # type: ignore[override]
        super().connected(wire)
        self.calls.append(wire.peer)
        wire.write(b"220 hi\r\n")


class Scene:
    def __init__(self, *, proxy: bool) -> None:
        self.gate = Gate(proxy=proxy)
        self.user = Greeter()
        self.transport = Transport()
        self.wire = DoorWire(cast(asyncio.AbstractEventLoop, None), self.user, None, self.gate)
        self.wire.connection_made(cast(asyncio.Transport, self.transport))

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.wire.data_received(piece)


def test_a_client_is_greeted_at_once_and_heard() -> None:
    scene = Scene(proxy=False)
    assert scene.transport.written == b"220 hi\r\n"
    scene.send(b"EHLO c\r\n", HELLO)
    assert scene.user.calls == [Endpoint("192.0.2.1", 4000), b"EHLO c\r\n", HELLO]  # only the first is looked at
    assert scene.gate.told == []


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (HELLO, "tls"),
        (HELLO[:1], "tls"),
        (b"GET / HTTP/1.1\r\n", "http"),
        (b"SSH-2.0-x\r\n", "ssh"),
        (V1, "proxy-header"),
    ],
)
def test_who_does_not_speak_our_protocol_is_closed_without_a_word(octets: bytes, what: str) -> None:
    scene = Scene(proxy=False)
    scene.send(octets)
    assert scene.transport.done == ["close"]
    assert scene.transport.written == b"220 hi\r\n"
    assert scene.user.calls == [Endpoint("192.0.2.1", 4000)]
    assert scene.gate.told == [("192.0.2.1", what)]


def test_a_proxy_names_the_client() -> None:
    scene = Scene(proxy=True)
    assert scene.transport.written == b""  # no greeting before the header
    scene.send(V1)
    assert scene.transport.written == b"220 hi\r\n"
    assert scene.wire.local == Endpoint("2001:db8::25", 2525)
    scene.send(b"EHLO c\r\n")
    assert scene.user.calls == [Endpoint("2001:db8::7", 4001), b"EHLO c\r\n"]


@pytest.mark.parametrize("cut", range(1, len(V1) + 3))
def test_a_header_in_pieces_and_what_stands_behind_it(cut: int) -> None:
    scene = Scene(proxy=True)
    octets = V1 + b"QUIT\r\n"
    scene.send(octets[:cut], octets[cut:])
    assert scene.user.calls[0] == Endpoint("2001:db8::7", 4001)
    assert b"".join(scene.user.calls[1:]) == b"QUIT\r\n"
    assert scene.gate.told == []


def test_a_proxy_that_speaks_for_itself_keeps_its_address() -> None:
    scene = Scene(proxy=True)
    scene.send(LOCAL + b"QUIT\r\n")
    assert scene.user.calls == [Endpoint("192.0.2.1", 4000), b"QUIT\r\n"]


def test_a_second_header_is_a_stranger_s() -> None:
    scene = Scene(proxy=True)
    scene.send(V1 + V1.replace(b":7", b":8"))
    assert scene.transport.done == ["close"]
    assert scene.gate.told == [("2001:db8::7", "proxy-header")]
    assert scene.user.calls == []


def test_tls_before_our_greeting_gets_an_alert() -> None:
    scene = Scene(proxy=True)
    scene.send(V1 + HELLO)
    assert scene.transport.written == TLS_ALERT
    assert scene.transport.done == ["close"]
    assert scene.gate.told == [("2001:db8::7", "tls")]


@pytest.mark.parametrize(
    ("octets", "rule"),
    [
        (b"EHLO c\r\n", "proxy-header-missing"),
        (HELLO, "proxy-header-missing"),
        (b"PROXY TCP4 home away 1 2\r\n", "proxy-header-malformed"),
        (V2_SIGNATURE + b"\x31\x11\0\0", "proxy-header-malformed"),
    ],
)
def test_a_listed_proxy_that_breaks_its_word_is_cut_off(octets: bytes, rule: str) -> None:
    scene = Scene(proxy=True)
    scene.send(octets, b"more")
    assert scene.transport.done == ["abort"]
    assert scene.transport.written == b""
    assert scene.gate.told == [("192.0.2.1", rule)]
    assert scene.user.calls == []


def test_a_header_must_come_in_time_however_it_drips() -> None:
    scene = Scene(proxy=True)
    for second in range(PATIENCE):
        scene.send(V1[second : second + 1])
        scene.wire.tick(float(second))
    assert scene.transport.done == []
    scene.wire.tick(99.0)
    assert scene.transport.done == ["abort"]
    assert scene.gate.told == [("192.0.2.1", "proxy-header-missing")]


def test_with_its_header_there_it_is_ticked_as_all_are() -> None:
    scene = Scene(proxy=True)
    scene.send(V1)
    for _ in range(2 * PATIENCE):
        scene.wire.tick(5.0)
    assert scene.user.calls[1:] == ["tick 5"] * 2 * PATIENCE
    assert scene.transport.done == []


def test_a_proxy_that_only_looks_whether_we_are_there_is_no_event() -> None:
    scene = Scene(proxy=True)
    assert not scene.wire.eof_received()
    scene.wire.connection_lost(None)
    assert scene.gate.told == []
