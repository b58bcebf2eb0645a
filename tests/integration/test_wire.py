"""StreamWire, Doors and SocketConnector over real sockets, on uvloop and on asyncio's own loop."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from ekiden.model.door import Door
from ekiden.model.events import InternalFault, SessionClosed
from ekiden.net.certificates import load_certificate
from ekiden.net.listener import _TlsServer
from ekiden.net.tls import door_side
from ekiden.net.wire import CLOSING_SECONDS
from ekiden.ports.wire import ConnectFailed, Endpoint, TlsMode
from tests.integration.certificates import Files, make_certificate
from tests.integration.wire_bench import Bench, Talker, client_context, dial, in_thread, read_line

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.new_event_loop,
}
Body = Callable[[Bench], Coroutine[Any, Any, None]]


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_certificate(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=list(LOOPS))
def run(request: pytest.FixtureRequest, files: Files) -> Callable[[Body], None]:
    """Runs a test's body on the loop of that name, within 20 s."""

    def runner(body: Body) -> None:
        async def whole() -> None:
            bench = Bench(files)
            try:
                async with asyncio.timeout(20):
                    await body(bench)
            finally:
                bench.doors.close()
                bench.connector.close()
                await asyncio.sleep(0.01)

        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(whole())

    return runner


def test_plain_conversation(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open()

        def client() -> None:
            with dial(address) as connection:
                connection.sendall(b"one\n")
                assert read_line(connection) == b"got one\n"
                connection.sendall(b"QUIT\n")
                assert connection.recv(100) == b"bye\n"
                assert connection.recv(100) == b""

        await in_thread(client)
        talker = bench.talkers[0]
        await talker.done.wait()
        assert talker.calls == ["connected", "received", "received", "lost None"]
        assert talker.wire.local == Endpoint("127.0.0.1", address[1])
        assert talker.wire.peer.address == "127.0.0.1"
        talker.wire.write(b"after the end")
        talker.wire.close()
        talker.wire.abort()
        talker.wire.pause()
        talker.wire.resume()
        talker.wire.start_tls()
        assert len(bench.doors.wires) == 0

    run(body)


def test_mapped_addresses_are_ipv4(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open(host="::")
        connection = await in_thread(dial, address)
        connection.close()
        assert (await bench.talker()).wire.peer.address == "127.0.0.1"
        assert bench.talkers[0].wire.local.address == "127.0.0.1"

    run(body)


def test_starttls(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open()

        def client() -> tuple[bytes, str]:
            plain = dial(address)
            plain.sendall(b"STARTTLS\n")
            assert read_line(plain) == b"go\n"
            with client_context(bench.files).wrap_socket(plain) as connection:
                connection.sendall(b"secret\n")  # may well arrive before the loop's start_tls has returned
                assert read_line(connection) == b"protected\n"
                assert read_line(connection) == b"got secret\n"
                certificate = connection.getpeercert(binary_form=True)
                assert certificate is not None
                connection.sendall(b"QUIT\n")
                assert read_line(connection) == b"bye\n"
                return certificate, connection.version() or ""

        certificate, version = await in_thread(client)
        talker = bench.talkers[0]
        await talker.done.wait()
        assert talker.calls == ["connected", "received", "tls_started", "received", "received", "lost None"]
        assert talker.wire.tls is not None
        assert talker.wire.tls.version == version == "TLSv1.3"
        assert talker.wire.tls.server_end_point == hashlib.sha256(certificate).digest()

    run(body)


def test_plain_bytes_behind_starttls_never_reach_the_session(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open()

        def client() -> None:
            with dial(address) as connection:
                connection.sendall(b"STARTTLS\n")
                assert read_line(connection) == b"go\n"
                connection.sendall(b"EVIL\n" * 1000)
                try:
                    while connection.recv(1000):
                        pass
                except ConnectionError:
                    pass

        await in_thread(client)
        talker = bench.talkers[0]
        await talker.done.wait()
        assert b"EVIL" not in talker.data
        assert "tls_started" not in talker.calls
        assert sum(call.startswith("lost") for call in talker.calls) == 1

    run(body)


def test_implicit_tls(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open(Door.SUBMISSIONS)

        def client() -> None:
            plain = socket.create_connection(address, timeout=15)
            with client_context(bench.files).wrap_socket(plain) as connection:
                assert read_line(connection) == b"hello\n"
                connection.sendall(b"QUIT\n")
                assert read_line(connection) == b"bye\n"

        for number in range(20):
            await in_thread(client)
            talker = bench.talkers[number]
            await talker.done.wait()
            assert talker.calls == ["connected", "protected", "received", "lost None"]

    run(body)


def test_a_failed_implicit_handshake_makes_no_session(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open(Door.POP3S)

        def client() -> None:
            with socket.create_connection(address, timeout=15) as connection:
                connection.sendall(b"\x16USER me\r\n")
                try:
                    while connection.recv(1000):
                        pass
                except ConnectionError:
                    pass

        await in_thread(client)
        await bench.doors.wires.empty()
        assert bench.talkers == []
        event = bench.events.one(SessionClosed)
        assert (event.door, event.client, event.reason) == ("pop3s", "127.0.0.1", "tls-failed")

    run(body)


def test_who_is_silent_in_the_handshake_counts_and_can_be_closed(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open(Door.SUBMISSIONS)
        with socket.create_connection(address, timeout=15) as connection:
            while not len(bench.doors.wires):
                await asyncio.sleep(0.001)
            bench.doors.close()
            await bench.doors.wires.empty()

            def gone() -> bytes:
                try:
                    return connection.recv(100)
                except ConnectionError:
                    return b""

            assert await in_thread(gone) == b""
        assert bench.talkers == []

    run(body)


def test_peer_resets(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open()
        connection = await in_thread(dial, address)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        talker = await bench.talker()
        await talker.done.wait()
        assert talker.calls == ["connected", "lost ConnectionResetError"]

    run(body)


def test_peer_hangs_up(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open()
        connection = await in_thread(dial, address)
        connection.close()
        talker = await bench.talker()
        await talker.done.wait()
        assert talker.calls == ["connected", "lost None"]

    run(body)


def test_what_a_callback_raises_ends_that_connection_alone(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open()
        other = await in_thread(dial, address)

        def client() -> None:
            with dial(address) as connection:
                connection.sendall(b"BOOM\n")
                with contextlib.suppress(ConnectionError):
                    assert connection.recv(100) == b""

        await in_thread(client)
        await bench.talkers[1].done.wait()
        fault = bench.events.one(InternalFault)
        assert "ValueError('boom')" in fault.error
        assert "received" in fault.stack
        other.sendall(b"still\n")
        assert await in_thread(read_line, other) == b"got still\n"
        other.close()

    run(body)


def test_limit(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        bench.limit = 1
        address = await bench.open()
        first = await in_thread(dial, address)

        def refused() -> bytes:
            with socket.create_connection(address, timeout=15) as connection:
                return connection.recv(100)

        assert await in_thread(refused) == b"421 full\n"
        first.close()
        await (await bench.talker()).done.wait()
        await bench.doors.wires.empty()
        (await in_thread(dial, address)).close()
        assert len(bench.talkers) == 2

    run(body)


def test_slow_reader(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open()
        connection = await in_thread(dial, address)
        connection.sendall(b"FLOOD\n")
        talker = await bench.talker()
        await talker.until("writable False")

        def read_all() -> None:
            left = 20_000_000
            while left:
                left -= len(connection.recv(1_000_000))

        await in_thread(read_all)
        await talker.until("writable True")
        connection.close()

    run(body)


def test_a_peer_that_never_reads_cannot_hold_a_closing_connection(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open()
        with await in_thread(dial, address) as connection:
            connection.sendall(b"FLOOD\n")
            talker = await bench.talker()
            await talker.until("writable False")
            talker.wire.close()
            (wire,) = bench.doors.wires
            for _ in range(CLOSING_SECONDS - 1):
                wire.tick(0.0)
            await asyncio.sleep(0.01)
            assert not talker.done.is_set()
            wire.tick(0.0)
            await talker.done.wait()

    run(body)


def test_a_silent_peer_is_ticked(run: Callable[[Body], None]) -> None:
    """A peer that is gone without a word (half-open): the session's own deadline sees it by `tick`."""

    async def body(bench: Bench) -> None:
        address = await bench.open()
        with await in_thread(dial, address):
            await (await bench.talker()).until("tick")

    run(body)


@pytest.mark.parametrize("protected", [False, True])
def test_pause_and_resume(run: Callable[[Body], None], protected: bool) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open(Door.SUBMISSIONS if protected else Door.SUBMISSION)

        def begin() -> socket.socket:
            connection: socket.socket = socket.create_connection(address, timeout=15)
            if protected:
                connection = client_context(bench.files).wrap_socket(connection)
            assert read_line(connection) == b"hello\n"
            connection.sendall(b"PAUSE\n")
            assert read_line(connection) == b"paused\n"
            connection.sendall(b"later\n")
            return connection

        connection = await in_thread(begin)
        talker = bench.talkers[0]
        await asyncio.sleep(0.05)
        assert talker.data == b"PAUSE\n"
        talker.wire.resume()
        assert await in_thread(read_line, connection) == b"got later\n"
        connection.close()

    run(body)


def test_drain(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open()
        with await in_thread(dial, address) as connection:
            bench.doors.drain()
            assert await in_thread(read_line, connection) == b"closing\n"
        await bench.doors.wires.empty()
        with pytest.raises(ConnectionRefusedError):
            await in_thread(dial, address)

    run(body)


def test_a_closed_door_does_not_hear_who_knocks_in_that_turn(run: Callable[[Body], None]) -> None:
    """uvloop calls once more when a connection came in the turn of the loop that closes the door."""

    async def body(_bench: Bench) -> None:
        nobody: Any = None
        server = _TlsServer(asyncio.get_running_loop(), socket.create_server(("127.0.0.1", 0)), nobody)
        server.close()
        server._accept()

    run(body)


def test_accounts_changed_reaches_every_session(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open()
        with await in_thread(dial, address), await in_thread(dial, address):
            await bench.doors.accounts_changed()
            assert all("accounts_changed" in talker.calls for talker in bench.talkers)
            assert len(bench.talkers) == 2

    run(body)


def test_new_connections_use_the_new_certificate(run: Callable[[Body], None], tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open()

        def certificate_after(connection: socket.socket) -> bytes:
            connection.sendall(b"STARTTLS\n")
            assert read_line(connection) == b"go\n"
            with client_context(bench.files).wrap_socket(connection) as protected:
                return protected.getpeercert(binary_form=True) or b""

        before = await in_thread(dial, address)
        fresh = make_certificate(tmp_path, "new.example.test")
        bench.side = door_side([load_certificate(fresh.certificate, fresh.key)])
        bench.doors.replace({Door.SUBMISSION: bench.service()})
        after = await in_thread(dial, address)
        old = ssl.PEM_cert_to_DER_cert(Path(bench.files.certificate).read_text().split("-----END")[0] + END)
        new = ssl.PEM_cert_to_DER_cert(Path(fresh.certificate).read_text().split("-----END")[0] + END)
        assert await in_thread(certificate_after, before) == old
        assert await in_thread(certificate_after, after) == new

    run(body)


END = "-----END CERTIFICATE-----\n"

# ---- outbound


async def connect(bench: Bench, address: tuple[str, int], tls: TlsMode, within: float = 10.0) -> Talker:
    user = Talker(bench, answers=False)
    await bench.connector.connect(Endpoint(*address), user, tls, within=within)
    return user


def test_connector_plain(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open()
        user = await connect(bench, address, TlsMode())
        assert user.wire.peer == Endpoint(*address)
        assert user.calls[0] == "connected"
        server = await bench.talker(1)
        server.wire.close()
        await user.done.wait()
        assert len(bench.connector.wires) == 0

    run(body)


@pytest.mark.parametrize("implicit", [False, True])
def test_connector_proves_the_name(
    run: Callable[[Body], None], files: Files, monkeypatch: pytest.MonkeyPatch, implicit: bool
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", files.authority)
    door = Door.SUBMISSIONS if implicit else Door.SUBMISSION

    async def body(bench: Bench) -> None:
        address = await bench.open(door)
        mode = TlsMode(implicit=implicit, required=True, verify=True, name="mail.example.test")
        user = await connect(bench, address, mode)
        if not implicit:
            await (await bench.talker(1)).until("connected")
            await user.until("received")
            bench.talkers[1].received(b"STARTTLS")
            while b"go\n" not in user.data:
                user.changed.clear()
                await user.changed.wait()
            user.wire.start_tls()
            await user.until("tls_started")
        assert user.wire.tls is not None
        assert user.wire.tls.verified
        assert user.wire.tls.server_end_point == b""
        user.wire.close()

    run(body)


def test_connector_refuses_another_name(
    run: Callable[[Body], None], files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", files.authority)

    async def body(bench: Bench) -> None:
        address = await bench.open(Door.SUBMISSIONS)
        mode = TlsMode(implicit=True, required=True, verify=True, name="other.example.test")
        with pytest.raises(ConnectFailed, match=r"(?i)hostname") as caught:
            await connect(bench, address, mode)
        assert caught.value.kind == "tls"
        assert "connected" not in bench.talkers[0].calls
        assert not any(call.startswith("lost") for call in bench.talkers[0].calls)
        user = await connect(bench, address, TlsMode(implicit=True, name="other.example.test"))
        assert user.wire.tls is not None
        assert not user.wire.tls.verified
        user.wire.abort()
        await user.done.wait()

    run(body)


def test_connector_refused(run: Callable[[Body], None], tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            with pytest.raises(ConnectFailed) as caught:
                await connect(bench, unused.getsockname(), TlsMode())
        assert caught.value.kind == "refused"
        with pytest.raises(ConnectFailed) as caught:
            await bench.connector.connect(str(tmp_path / "none.sock"), Talker(bench), TlsMode(), within=5)
        assert caught.value.kind == "refused"
        with pytest.raises(ConnectFailed) as caught:
            await bench.connector.connect(
                Endpoint("127.0.0.1", 25), Talker(bench), TlsMode(), within=5, source="192.0.2.77"
            )
        assert caught.value.kind == "source"
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            host = Endpoint(*unused.getsockname())
            with pytest.raises(ConnectFailed) as caught:
                await bench.connector.connect(host, Talker(bench), TlsMode(), within=5, source="127.0.0.2")
        assert caught.value.kind == "refused"

    run(body)


@pytest.mark.parametrize("implicit", [False, True])
def test_connector_goes_out_from_a_source(run: Callable[[Body], None], implicit: bool) -> None:
    async def body(bench: Bench) -> None:
        address = await bench.open(Door.SUBMISSIONS if implicit else Door.SUBMISSION)
        user = Talker(bench, answers=False)
        mode = TlsMode(implicit=implicit)
        await bench.connector.connect(Endpoint(*address), user, mode, within=10, source="127.0.0.2")
        server = await bench.talker(1)
        assert server.wire.peer.address == "127.0.0.2"
        assert user.wire.local.address == "127.0.0.2"
        server.wire.close()
        await user.done.wait()

    run(body)


def test_connector_times_out_in_the_handshake(run: Callable[[Body], None]) -> None:
    async def body(bench: Bench) -> None:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            with pytest.raises(ConnectFailed) as caught:
                await connect(bench, silent.getsockname(), TlsMode(implicit=True), within=0.1)
            assert caught.value.kind == "timeout"
            await bench.connector.wires.empty()
            assert bench.talkers[0].calls == []

    run(body)


def test_connector_unix(run: Callable[[Body], None], tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        path = str(tmp_path / "lmtp.sock")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            user = Talker(bench)
            wire = await bench.connector.connect(path, user, TlsMode(), within=5)
            assert wire.peer == Endpoint("", 0)
            connection, _ = listener.accept()
            assert await in_thread(connection.recv, 100) == b"hello\n"
            connection.close()
            await user.done.wait()

    run(body)
