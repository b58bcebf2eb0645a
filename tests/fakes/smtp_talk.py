"""Talk: an SmtpClient with a scripted server on the other end, for tests of the client's machine.

talk = Talk(); talk.greet("PIPELINING", "SIZE 1000")     # greeting and EHLO done
talk.client.send(letter()); assert talk.said() == b"MAIL FROM:..."
talk.server(b"250 ok\\r\\n"); talk.events                    # all events so far
"""

from __future__ import annotations

from typing import TypeVar

from ekiden.model.envelope import Recipient
from ekiden.ports.wire import TlsMode
from ekiden.proto.smtp.client import SmtpClient
from ekiden.proto.smtp.client_events import ClientEvent, ClientSettings, Transaction

CONTENT = b"Subject: hi\r\n\r\nhello\r\n"
IN_CLEAR = TlsMode(allowed=False)
E = TypeVar("E")


def letter(*recipients: str, octets: bytes | None = CONTENT, reverse_path: str = "a@x.test", **more) -> Transaction:
    wanted = [Recipient(path) for path in recipients or ("b@y.test",)]
    return Transaction(reverse_path, wanted, octets=octets, **more)


class Talk:
    """`events`: everything the machine has told, in order."""

    def __init__(
        self,
        tls: TlsMode = IN_CLEAR,
        *,
        tls_active: bool = False,
        verified: bool = False,
        **settings,
    ) -> None:
        self.client = SmtpClient(ClientSettings("me.test", tls, **settings))
        self.client.connected(tls_active=tls_active, verified=verified)
        self.events: list[ClientEvent] = []
        self._said: list[bytes] = []
        self.lmtp = settings.get("lmtp", False)

    def server(self, *octets: bytes) -> None:
        for part in octets:
            self.client.receive(part)
            self.collect()

    def collect(self) -> None:
        while (event := self.client.next_event()) is not None:
            self.events.append(event)
        self._said.append(self.client.output())

    def said(self) -> bytes:
        """What the client said since it was asked last."""
        self.collect()
        said = b"".join(self._said)
        self._said.clear()
        return said

    def greet(self, *extensions: str) -> Talk:
        self.server(b"220 mx.test ESMTP\r\n")
        self.server(ehlo(*extensions))
        self.said()
        return self

    def only(self, kind: type[E]) -> E:
        """The one event of this kind."""
        found = [event for event in self.events if type(event) is kind]
        assert len(found) == 1, f"{kind.__name__}: {self.events}"
        return found[0]

    def all(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if type(event) is kind]


def ehlo(*extensions: str) -> bytes:
    lines = ["mx.test at your service", *extensions]
    return "".join(f"250{'-' if n < len(lines) else ' '}{line}\r\n" for n, line in enumerate(lines, 1)).encode()
