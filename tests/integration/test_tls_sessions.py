"""TLS sessions are resumed to the same host under the same name and policy, and to no other; on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from ekiden.net.connector import SocketConnector
from ekiden.net.tls_sessions import AGE, MOST, TlsSessions
from ekiden.ports.wire import ConnectFailed, Endpoint, TlsMode, Wire
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.events import CollectingSink
from tests.integration.certificates import Files, make_certificate

NAME, OTHER = "mail.example.test", "127.0.0.1"


class Server:
    """Says hello behind the handshake (at once, or after any line), and remembers what it was offered."""

    def __init__(self, files: Files, version: ssl.TLSVersion) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(files.certificate, files.key)
        self._context.maximum_version = version
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.implicit = True
        self.resumed: list[bool] = []
        self.where = Endpoint("127.0.0.1", self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(20)
                    self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        if not self.implicit:
            connection.recv(100)
            connection.sendall(b"go\n")
        with self._context.wrap_socket(connection, server_side=True) as secret:
            self.resumed.append(bool(secret.session_reused))
            secret.sendall(b"hello\n")
            while secret.recv(100):
                pass
            with contextlib.suppress(OSError):
                secret.unwrap()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(30)


class User:
    def __init__(self) -> None:
        self.heard = asyncio.Event()
        self.gone = asyncio.Event()

    def connected(self, wire: Wire) -> None:
        self.wire = wire
        if wire.tls is None:
            wire.write(b"STARTTLS\n")

    def received(self, data: bytes) -> None:
        if self.wire.tls is None:
            self.wire.start_tls()
        else:
            self.heard.set()

    def tls_started(self) -> None:
        pass

    def writable(self, ok: bool) -> None:
        pass

    def ended(self) -> bool:
        return False

    def lost(self, error: Exception | None) -> None:
        self.gone.set()

    def tick(self, now: float) -> None:
        pass


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def server(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    files = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", files.authority)
    made = Server(files, request.param)
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize("loop", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"])
@pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "starttls"])
def test_only_what_was_proven_for_this_name_is_resumed(
    server: Server, implicit: bool, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    server.implicit = implicit
    clock = FakeClock()

    async def once(connector: SocketConnector, name: str, *, verify: bool) -> bool:
        user = User()
        async with asyncio.timeout(20):
            mode = TlsMode(implicit=implicit, required=True, verify=verify, name=name)
            resumes = connector.resumes(mode)
            await connector.connect(server.where, user, mode, within=10)
            await user.heard.wait()
            tls = user.wire.tls
            user.wire.close()
            await user.gone.wait()
        assert tls is not None
        assert tls.verified is verify
        assert tls.resumed is resumes
        return tls.resumed

    async def body() -> list[bool]:
        connector = SocketConnector(asyncio.get_running_loop(), clock, FakeRandom(), CollectingSink())
        try:
            seen = [await once(connector, NAME, verify=True) for _ in range(3)]
            seen.append(await once(connector, OTHER, verify=True))  # another name is proven anew
            seen.append(await once(connector, NAME, verify=False))  # another policy
            seen.append(await once(connector, NAME, verify=False))
            clock.advance(AGE)
            seen.append(await once(connector, NAME, verify=True))
            return seen
        finally:
            connector.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        seen = runner.run(body())
    assert seen == [False, True, True, False, False, True, False]
    assert server.resumed == seen


def test_a_name_that_was_not_proven_is_never_resumed(server: Server) -> None:
    """An opportunistic session with the same host and name is no proof of it."""

    async def body() -> None:
        connector = SocketConnector(asyncio.get_running_loop(), FakeClock(), FakeRandom(), CollectingSink())
        user = User()
        async with asyncio.timeout(20):
            await connector.connect(server.where, user, TlsMode(implicit=True, name="wrong.test"), within=10)
            await user.heard.wait()
            user.wire.close()
            await user.gone.wait()
            mode = TlsMode(implicit=True, verify=True, name="wrong.test")
            with pytest.raises(ConnectFailed):
                await connector.connect(server.where, User(), mode, within=10)
        connector.close()

    asyncio.run(body())


def test_sessions_are_bounded() -> None:
    sessions = TlsSessions(FakeClock())

    class Session:
        has_ticket, id = True, b""

    for number in range(MOST + 5):
        sessions.keep(str(number), Session())  # type: ignore[arg-type]
    assert len(sessions) == MOST
    assert (sessions.find("0"), sessions.find("9") is None) == (None, False)
    sessions.forget("9")
    assert sessions.find("9") is None
