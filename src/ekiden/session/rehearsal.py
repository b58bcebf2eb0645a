"""A play: one connection to a session of ours, without a connection. Nothing comes of it.

    play = Play(Conversation(doorway, RelaySession), ListWire(peer, local, None), events)
    await play.begin()
    reply = await play.say(b"EHLO client.test\r\n")

Rules
1. The conversation, the session, the protocol machine and the policies are those of a running server; only the wire is
   a list, and the events are heard by nobody else.
2. One command is said at a time, and its reply waited for: `WAIT` seconds at most. A TLS handshake is taken for done.
3. A fault inside us is no answer: NoAnswer.

Called by `app.rehearsal`, which makes the doorways, and by `admin.explain`.
"""

from __future__ import annotations

import asyncio
from typing import Final

from ekiden.model.events import Event, InternalFault
from ekiden.ports.wire import Endpoint, TlsFacts
from ekiden.session.conversation import Conversation

#: What a fact may take that is not in memory.
WAIT: Final = 10.0
#: A handshake that nobody made.
REHEARSED_TLS: Final = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")


class NoAnswer(Exception):
    """A session said nothing to a command, or met a fault: ours in any case, and nothing was found out."""


class HeardEvents:
    """An EventSink that tells nobody. `events`: of the play that began last. `faults`: what went wrong inside us."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.faults: list[str] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, InternalFault):
            self.faults.append(f"{event.where}: {event.error}")


class ListWire:
    """`ports.wire.Wire` without a connection."""

    def __init__(self, peer: Endpoint, local: Endpoint, tls: TlsFacts | None) -> None:
        self.peer = peer
        self.local = local
        self.tls = tls
        self.is_closing = False
        self.shakes_hands = False
        self._written: list[bytes] = []
        self._spoke = asyncio.Event()

    def write(self, data: bytes) -> None:
        self._written.append(data)
        self._spoke.set()

    def pause(self) -> None:
        """What is said next comes when it is said."""

    def resume(self) -> None:
        """As `pause`."""

    def start_tls(self) -> None:
        self.shakes_hands = True

    def close(self) -> None:
        self.is_closing = True
        self._spoke.set()

    def abort(self) -> None:
        self.close()

    async def heard(self) -> bytes:
        """What was written since it was asked last; waits for it. Raises NoAnswer."""
        if not self._spoke.is_set():
            try:
                async with asyncio.timeout(WAIT):
                    await self._spoke.wait()
            except TimeoutError:
                raise NoAnswer("a session gave no answer") from None
        self._spoke.clear()
        written, self._written = b"".join(self._written), []
        return written


class Play:
    """One connection. `greeting`: what the door said first."""

    def __init__(self, conversation: Conversation, wire: ListWire, heard: HeardEvents) -> None:
        self._conversation = conversation
        self._heard = heard
        self._wire = wire
        self.greeting = ""

    @property
    def is_over(self) -> bool:
        return self._wire.is_closing

    async def begin(self) -> str:
        self._heard.events.clear()
        self._conversation.connected(self._wire)
        self.greeting = _text(await self._wire.heard())
        return self.greeting

    async def say(self, octets: bytes) -> str:
        """The reply, lines joined by newlines; '' when the session has closed. Raises NoAnswer."""
        if self.is_over:
            return ""
        self._conversation.received(octets)
        reply = await self._wire.heard()
        if self._heard.faults:
            raise NoAnswer(self._heard.faults[0])
        return _text(reply)

    async def start_tls(self) -> str:
        reply = await self.say(b"STARTTLS\r\n")
        if self._wire.shakes_hands:
            self._wire.shakes_hands = False
            self._wire.tls = REHEARSED_TLS
            self._conversation.tls_started()
        return reply

    def end(self) -> None:
        self._conversation.lost(None)


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n")
