"""FakeSmtpServer: the other side of an outbound session, without a socket. A target of `wire.FakeConnector`.

    server = FakeSmtpServer(script={"RCPT TO:<no@far.test>": "550 5.1.1 nobody"})
    connector.targets[Endpoint("20.0.0.1", 25)] = server

`script`: beginning of a command (in upper case; `CONNECT`: the greeting; `.`: the end of content) -> what is answered:
a reply, or a list of replies for the first, second, … time (then the usual ones). The longest beginning wins. `CUT`
hangs up, `STALL` says nothing, `421 …` is said before hanging up. It answers in the next turns of the loop, never
inside a write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from tests.fakes.wire import FakeWire

CUT, STALL = "CUT", "STALL"
Answers = str | list[str]
EXTENSIONS = ("PIPELINING", "8BITMIME", "SIZE 10000000", "ENHANCEDSTATUSCODES", "SMTPUTF8")


class TakenLetter(NamedTuple):
    """`session`: number of the connection, from 0."""

    reverse_path: str
    forward_paths: list[str]
    content: bytes
    session: int


class FakeSmtpServer:
    """`letters`: those taken, in order. `sessions`: one a connection. `lines`: every command, in order."""

    def __init__(
        self,
        script: dict[str, Answers] | None = None,
        *,
        extensions: Sequence[str] = EXTENSIONS,
        lmtp: bool = False,
        tls: str = "",
    ) -> None:
        """`tls`: 'good' or 'bad' offers STARTTLS, whose handshake then succeeds or fails."""
        self.script = dict(script or {})
        self.extensions = [*extensions, *(["STARTTLS"] if tls else [])]
        self.lmtp = lmtp
        self.tls = tls
        self.letters: list[TakenLetter] = []
        self.sessions: list[FakeSession] = []
        self.lines: list[str] = []

    def __call__(self, wire: FakeWire) -> None:
        self.sessions.append(FakeSession(self, wire, len(self.sessions)))

    def answer(self, command: str, usual: str) -> str:
        known = [start for start in self.script if command.upper().startswith(start.upper())]
        if not known:
            return usual
        start = max(known, key=len)
        answer = self.script[start]
        if isinstance(answer, str):
            return answer
        return answer.pop(0) if answer else usual

    @property
    def paths(self) -> list[str]:
        """The forward-paths of all letters taken."""
        return [path for letter in self.letters for path in letter.forward_paths]


class FakeSession:
    """`quit`: the client said QUIT."""

    def __init__(self, server: FakeSmtpServer, wire: FakeWire, number: int) -> None:
        self.server = server
        self.wire = wire
        self.number = number
        self.quit = False
        self._buffer = b""
        self._in_content = False
        self._reverse_path = ""
        self._paths: list[str] = []
        self._loop = asyncio.get_running_loop()
        write, close, abort, start_tls = wire.write, wire.close, wire.abort, wire.start_tls
        wire.write = lambda data: (write(data), self._loop.call_soon(self._take, data))  # type: ignore[method-assign]
        wire.close = lambda: (close(), self._loop.call_soon(wire.settle))  # type: ignore[method-assign]
        wire.abort = lambda: (abort(), self._loop.call_soon(wire.settle))  # type: ignore[method-assign]
        wire.start_tls = lambda: (start_tls(), self._loop.call_soon(self._handshake))  # type: ignore[method-assign]
        self._loop.call_soon(self._say, "CONNECT", "220 far.test ESMTP")

    def _say(self, command: str, usual: str) -> str:
        answer = self.server.answer(command, usual)
        if answer == CUT:
            self.wire.hang_up()
        elif answer != STALL:
            self.wire.feed(answer.replace("\n", "\r\n").encode() + b"\r\n")
            if answer.startswith("421"):
                self.wire.hang_up()
        return answer

    def _take(self, data: bytes) -> None:
        if self.wire.is_lost:
            return
        self._buffer += data
        while not self.wire.is_lost:
            end = b"\r\n.\r\n" if self._in_content else b"\r\n"
            if self._in_content and self._buffer.startswith(b".\r\n"):
                piece, self._buffer = b"", self._buffer[3:]
            else:
                piece, found, rest = self._buffer.partition(end)
                if not found:
                    return
                self._buffer = rest
            if self._in_content:
                self._content(piece + b"\r\n")
            else:
                self._command(piece.decode())

    def _content(self, content: bytes) -> None:
        self._in_content = False
        letter = TakenLetter(self._reverse_path, self._paths, content, self.number)
        answers = [self._say(".", "250 2.0.0 taken") for _ in (self._paths if self.server.lmtp else [0])]
        if any(answer.startswith("2") for answer in answers):
            self.server.letters.append(letter)

    def _command(self, line: str) -> None:
        self.server.lines.append(line)
        verb = line.partition(" ")[0].partition(":")[0].upper()
        match verb:
            case "EHLO" | "LHLO":
                words = ["far.test", *self.server.extensions]
                usual = "\n".join(f"250{' ' if i == len(words) - 1 else '-'}{w}" for i, w in enumerate(words))
                self._say(verb, usual)
            case "MAIL":
                self._reverse_path, self._paths = _path(line), []
                self._say(line, "250 2.1.0 ok")
            case "RCPT":
                if self._say(line, "250 2.1.5 ok").startswith("2"):
                    self._paths.append(_path(line))
            case "DATA":
                usual = "354 go on" if self._paths else "503 5.5.1 no recipients"
                self._in_content = self._say(verb, usual).startswith("354")
            case "QUIT":
                self.quit = True
                self._say(verb, "221 2.0.0 bye")
                self.wire.hang_up()
            case _:
                self._say(verb, "220 2.0.0 go" if verb == "STARTTLS" else "250 2.0.0 ok")

    def _handshake(self) -> None:
        if self.server.tls == "good":
            self.wire.finish_tls(verified=True)
        else:
            self.wire.fail_tls()


def _path(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]
