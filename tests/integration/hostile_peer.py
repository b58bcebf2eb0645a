"""A mail server in threads that cannot be trusted: it writes down what it is told, and answers what a test wants."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final

USUAL: Final = {"DATA": b"354 go on\r\n", "QUIT": b"221 2.0.0 bye\r\n"}
OK: Final = b"250 2.0.0 ok\r\n"


class HostilePeer:
    """Listens from the start. `extensions`: announced before and after TLS. `answers`: beginning of a
    line, in upper case -> octets. `context`: for STARTTLS (if announced), or from the first byte (`implicit`).

    `heard`: all that came, decrypted. `letters`: contents with their dots. `ended`: TLS handshakes that failed."""

    def __init__(
        self,
        extensions: Sequence[str] = (),
        answers: Mapping[str, bytes] | None = None,
        *,
        context: ssl.SSLContext | None = None,
        implicit: bool = False,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.extensions = extensions
        self.answers = answers or {}
        self.context = context
        self.implicit = implicit
        self.heard: list[bytes] = []
        self.letters: list[bytes] = []
        self.ended = 0
        self._listener = socket.create_server((address, port), backlog=50)
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []

    @property
    def text(self) -> bytes:
        return b"".join(self.heard)

    def serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._session, args=(connection,), daemon=True).start()

    def close(self) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _session(self, connection: socket.socket) -> None:
        with suppress(OSError):
            if self.implicit:
                connection = self._protect(connection)
            connection.sendall(b"220 peer.test\r\n")
            while (line := _line(connection)).endswith(b"\n"):
                self.heard.append(line)
                connection = self._obey(connection, line.decode("utf-8", "replace").upper())

    def _obey(self, connection: socket.socket, line: str) -> socket.socket:
        verb = line.split(maxsplit=1)[0] if line.split() else ""
        scripted = [self.answers[start] for start in self.answers if line.startswith(start)]
        connection.sendall(scripted[0] if scripted else self._usual(verb))
        if verb == "STARTTLS" and not scripted:
            return self._protect(connection)
        if verb == "DATA":
            self.letters.append(b"".join(iter(lambda: _line(connection), b".\r\n")))
            connection.sendall(OK)
        return connection

    def _usual(self, verb: str) -> bytes:
        if verb == "STARTTLS":
            return b"220 2.0.0 go on\r\n"
        if verb == "AUTH":
            return b"235 2.7.0 welcome\r\n"
        if verb != "EHLO":
            return USUAL.get(verb, OK)
        words = ["peer.test", *self.extensions]
        return "".join(f"250{' ' if word is words[-1] else '-'}{word}\r\n" for word in words).encode()

    def _protect(self, connection: socket.socket) -> socket.socket:
        assert self.context is not None
        try:
            protected = self.context.wrap_socket(connection, server_side=True)
        except OSError:
            self.ended += 1
            raise
        self._open.append(protected)
        return protected


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        octet = connection.recv(1)
        if not octet:
            break
        line += octet
    return line


@contextmanager
def serving(*peers: HostilePeer) -> Iterator[None]:
    for peer in peers:
        threading.Thread(target=peer.serve, daemon=True).start()
    try:
        yield
    finally:
        for peer in peers:
            peer.close()
