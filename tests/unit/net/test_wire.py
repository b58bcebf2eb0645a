"""StreamWire by hand: the moments around STARTTLS that real sockets hit only now and then."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, cast

import pytest

from ekiden.net.endpoint import endpoint
from ekiden.net.wire import StreamWire, TlsSide, WireSet
from ekiden.ports.wire import Endpoint, Wire
from tests.fakes.clock import FakeClock


class Transport:
    """An `asyncio.Transport` that notes what is done to it."""

    def __init__(self, *, protected: bool = False) -> None:
        self.done: list[str] = []
        self.written = b""
        self.closing = False
        self.protected = protected

    def get_extra_info(self, name: str) -> Any:
        if name == "ssl_object":
            return Secret() if self.protected else None
        return ("192.0.2.1", 4000) if name == "peername" else ("192.0.2.2", 25)

    def is_closing(self) -> bool:
        return self.closing

    def write(self, data: bytes) -> None:
        self.written += data

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")

    def close(self) -> None:
        self.closing = True
        self.done.append("close")

    def abort(self) -> None:
        self.closing = True
        self.done.append("abort")


class Secret:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def version(self) -> str:
        return "TLSv1.3"

    def cipher(self) -> tuple[str, str, int]:
        return ("TLS_AES_256_GCM_SHA384", "", 256)


class Loop:
    """Only `create_task` and `start_tls`, which ends when the test says so."""

    def __init__(self) -> None:
        self.real = asyncio.get_running_loop()
        self.upgraded: asyncio.Future[Transport | None] = self.real.create_future()
        self.began = False

    def create_task(self, work: Any) -> asyncio.Task[None]:
        return self.real.create_task(work)

    async def start_tls(self, *args: object, **options: object) -> Transport | None:
        self.began = True
        return await self.upgraded


class Both:
    """User and owner of the wire."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.wire: Wire
        self.pauses = False

    def made(self, wire: StreamWire) -> None: ...

    def opened(self, wire: StreamWire) -> Both:
        return self

    def closed(self, wire: StreamWire, error: Exception | None) -> None:
        self.calls.append("closed")

    def fault(self, wire: StreamWire, where: str, error: Exception) -> None:
        self.calls.append(f"fault {where}")

    def connected(self, wire: Wire) -> None:
        self.wire = wire

    def received(self, data: bytes) -> None:
        self.calls.append(data)
        if self.pauses:
            self.wire.pause()

    def tls_started(self) -> None:
        self.calls.append("tls_started")

    def writable(self, ok: bool) -> None:
        self.calls.append(f"writable {ok}")

    def ended(self) -> bool:
        return False

    def lost(self, error: Exception | None) -> None:
        self.calls.append(f"lost {type(error).__name__}")

    def tick(self, now: float) -> None:
        self.calls.append(f"tick {now:.0f}")


class Stage:
    def __init__(self) -> None:
        self.loop = Loop()
        self.user = Both()
        self.transport = Transport()
        side = TlsSide(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), server_side=True)
        self.wire = StreamWire(cast(asyncio.AbstractEventLoop, self.loop), self.user, side)
        self.wire.connection_made(cast(asyncio.Transport, self.transport))

    async def begin(self) -> None:
        """As far as the loop's own part of `start_tls`."""
        self.wire.start_tls()
        while not self.loop.began:
            await asyncio.sleep(0)

    async def finish(self, result: Transport | Exception | None) -> None:
        if isinstance(result, Exception):
            self.loop.upgraded.set_exception(result)
        else:
            self.loop.upgraded.set_result(result)
        while self.wire._task is not None and not self.wire._task.done():
            await asyncio.sleep(0)


async def test_reading_is_paused_before_start_tls_returns() -> None:
    stage = Stage()
    stage.wire.start_tls()
    assert stage.transport.done == ["pause"]
    with pytest.raises(RuntimeError):
        stage.wire.write(b"in between")
    with pytest.raises(RuntimeError):
        stage.wire.start_tls()
    stage.wire.abort()
    await asyncio.sleep(0)


async def test_plain_bytes_before_the_loop_has_changed_over_end_the_connection() -> None:
    """Invariant 5: they are neither given as plain nor, later, as protected."""
    stage = Stage()
    stage.wire.start_tls()
    stage.wire.data_received(b"EVIL")
    assert stage.transport.done == ["pause", "abort"]
    await asyncio.sleep(0)
    assert not stage.loop.began
    stage.wire.connection_lost(None)
    assert stage.user.calls == ["closed", "lost NoneType"]


async def test_decrypted_bytes_that_come_early_are_kept_in_order() -> None:
    stage = Stage()
    await stage.begin()
    stage.wire.data_received(b"one")
    stage.wire.data_received(b"two")
    assert stage.user.calls == []
    protected = Transport(protected=True)
    await stage.finish(protected)
    assert stage.user.calls == ["tls_started", b"one", b"two"]
    assert str(stage.wire.tls) == "TLSv1.3 TLS_AES_256_GCM_SHA384"
    stage.wire.write(b"answer")
    assert (protected.written, stage.transport.written) == (b"answer", b"")


async def test_early_bytes_wait_for_a_paused_user() -> None:
    stage = Stage()
    stage.user.pauses = True
    await stage.begin()
    stage.wire.data_received(b"one")
    stage.wire.data_received(b"two")
    await stage.finish(Transport(protected=True))
    assert stage.user.calls == ["tls_started", b"one"]
    stage.wire.data_received(b"three")  # the one read that may come after a pause
    stage.wire.resume()
    assert stage.user.calls == ["tls_started", b"one", b"two"]
    stage.wire.resume()
    assert stage.user.calls == ["tls_started", b"one", b"two", b"three"]


@pytest.mark.parametrize("result", [None, ssl.SSLError("bad"), ConnectionResetError()])
async def test_a_handshake_that_fails_is_told_once(result: Exception | None) -> None:
    stage = Stage()
    await stage.begin()
    await stage.finish(result)
    stage.wire.connection_lost(None)
    told = [call for call in stage.user.calls if call.startswith("lost")]
    assert told == [f"lost {type(result).__name__ if result else 'ConnectionResetError'}"]
    assert "tls_started" not in stage.user.calls


async def test_a_connection_that_goes_away_as_the_handshake_ends() -> None:
    """uvloop gives a transport that is closed already."""
    stage = Stage()
    await stage.begin()
    stage.wire.connection_lost(ConnectionResetError())
    gone = Transport(protected=True)
    await stage.finish(gone)
    assert stage.user.calls == ["closed", "lost ConnectionResetError"]


async def test_closing_in_the_middle_of_a_handshake() -> None:
    stage = Stage()
    await stage.begin()
    stage.wire.close()
    assert stage.transport.done[-1] == "abort"
    protected = Transport(protected=True)
    await stage.finish(protected)
    assert "tls_started" not in stage.user.calls
    assert protected.closing


async def test_who_was_choked_before_the_handshake_is_not_for_ever() -> None:
    stage = Stage()
    stage.wire.pause_writing()
    await stage.begin()
    await stage.finish(Transport(protected=True))
    assert stage.user.calls == ["writable False", "tls_started", "writable True"]


async def test_nothing_is_given_after_close() -> None:
    stage = Stage()
    stage.wire.write(b"bye")
    stage.wire.close()
    stage.wire.data_received(b"more")
    stage.wire.write(b"more")
    assert stage.transport.written == b"bye"
    assert stage.user.calls == []
    assert stage.wire.is_closing


async def test_sweep() -> None:
    stage = Stage()
    wires = WireSet(asyncio.get_running_loop(), FakeClock(monotonic=7))
    wires.add(stage.wire)
    wires._sweep()
    assert stage.user.calls == ["tick 7"]
    wires.discard(stage.wire)
    await wires.empty()
    wires.stop()


def test_endpoints() -> None:
    assert endpoint(("192.0.2.1", 25)) == Endpoint("192.0.2.1", 25)
    assert endpoint(("::ffff:192.0.2.1", 25, 0, 0)) == Endpoint("192.0.2.1", 25)
    assert endpoint(("2001:DB8::0:1", 25, 0, 0)) == Endpoint("2001:db8::1", 25)
    assert endpoint("/run/x.sock") == Endpoint("", 0)
    assert endpoint(None) == Endpoint("", 0)
