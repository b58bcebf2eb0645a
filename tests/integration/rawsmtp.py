"""The plainest SMTP client there is: octets go out as they are given, so that awkward content stays awkward."""

from __future__ import annotations

import socket


class RawSmtp:
    """Speaks to 127.0.0.1. `talk` sends a line and gives the reply; `letter` sends content octet by octet as given."""

    def __init__(self, port: int, name: str = "client.test") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._file = self._socket.makefile("rb")
        self.reply()
        self.talk(f"EHLO {name}")

    def reply(self) -> str:
        lines = []
        while True:
            line = self._file.readline().decode("utf-8", "replace").rstrip("\r\n")
            lines.append(line)
            if len(line) < 4 or line[3] != "-":
                return "\n".join(lines)

    def talk(self, line: str) -> str:
        self._socket.sendall(line.encode() + b"\r\n")
        return self.reply()

    def send(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def letter(
        self, sender: str, recipient: str, content: bytes, *, parameters: str = "", chunking: bool = False
    ) -> str:
        """One transaction; the last reply. Lines that begin with a dot get another (RFC 5321 §4.5.2)."""
        for line in (f"MAIL FROM:<{sender}>{parameters}", f"RCPT TO:<{recipient}>"):
            reply = self.talk(line)
            assert reply.startswith("250"), reply
        if chunking:
            self._socket.sendall(f"BDAT {len(content)} LAST\r\n".encode() + content)
            return self.reply()
        assert self.talk("DATA").startswith("354")
        stuffed = (b"\r\n" + content).replace(b"\r\n.", b"\r\n..")[2:]
        self._socket.sendall(stuffed + (b"" if content.endswith(b"\r\n") or not content else b"\r\n") + b".\r\n")
        return self.reply()

    def hang_up_our_side(self) -> None:
        """No more will be sent; what comes is still read."""
        self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._file.close()
        self._socket.close()
