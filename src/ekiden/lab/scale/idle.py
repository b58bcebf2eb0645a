"""Sessions that do nothing: opened by the thousand, greeted, and left alone."""

from __future__ import annotations

import resource
import socket
import ssl
from typing import Final

from ekiden.lab.server import LabFailed

_EHLO: Final = b"EHLO idle.test\r\n"


def raise_descriptor_limit() -> int:
    """As many descriptors as we may have; how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class IdleSessions:
    """`count` SMTP sessions on a port of 127.0.0.1 that have said EHLO; `tls`: and STARTTLS, and EHLO again."""

    def __init__(self, port: int, *, tls: bool) -> None:
        self._port = port
        self._context = _blind_context() if tls else None
        self._sockets: list[socket.socket] = []

    def open(self, count: int) -> None:
        """Raises LabFailed if the server turns one away."""
        for _ in range(count):
            self._sockets.append(self._open_one())

    def close(self) -> None:
        for one in self._sockets:
            one.close()
        self._sockets.clear()

    def _open_one(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # the handshake ends with two small writes
        _expect(connection, b"220")
        connection.sendall(_EHLO)
        _expect(connection, b"250")
        if self._context is None:
            return connection
        connection.sendall(b"STARTTLS\r\n")
        _expect(connection, b"220")
        protected = self._context.wrap_socket(connection)
        protected.sendall(_EHLO)
        _expect(protected, b"250")
        return protected


def _blind_context() -> ssl.SSLContext:
    """The lab's certificate is made by itself; nothing secret is said."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _expect(connection: socket.socket, code: bytes) -> None:
    reply = b""
    while not reply.endswith(b"\r\n") or reply.rstrip(b"\r\n").rpartition(b"\n")[2][3:4] == b"-":
        piece = connection.recv(4096)
        if not piece:
            raise LabFailed(f"the server closed an idle session: {reply!r}")
        reply += piece
    if not reply.startswith(code):
        raise LabFailed(f"an idle session was turned away: {reply.decode(errors='replace').strip()}")
