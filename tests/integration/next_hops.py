"""Next hops that misbehave, on loopback: a scripted SMTP or LMTP server in threads, and Postfix's `smtp-sink`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ekiden.lab.server import LabServer

#: Hang up; say nothing.
CUT, STALL = "CUT", "STALL"
EXTENSIONS: Final = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 10000000", "ENHANCEDSTATUSCODES")


class Taken(NamedTuple):
    reverse_path: str
    forward_paths: list[str]
    content: bytes


@dataclass
class Peer:
    """`script`: beginning of a line (`CONNECT`: the greeting, `.`: the end of content) -> what is said to the first,
    second, … such line, then the usual; one text is said always. `{n}` is the number of recipients so far."""

    script: dict[str, str | list[str]] = field(default_factory=dict)
    extensions: Sequence[str] = EXTENSIONS
    most_recipients: int = 1000
    port: int = 0
    address: str = "127.0.0.1"
    letters: list[Taken] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    sessions: int = 0
    clients: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()

    @property
    def paths(self) -> list[str]:
        return [path for letter in self.letters for path in letter.forward_paths]

    def start(self) -> None:
        self._listener = socket.create_server(
            (self.address, self.port), backlog=200, family=socket.AF_INET6 if ":" in self.address else socket.AF_INET
        )
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def stop(self) -> None:
        for connection in (self._listener, *self._open):
            if connection is not None:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):  # stopped
            while True:
                connection, client = listener.accept()
                with self._lock:
                    self.sessions += 1
                    self.clients.append(client[0])
                    self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _answer(self, line: str, usual: str) -> str:
        with self._lock:
            for start, answer in self.script.items():
                if line.upper().startswith(start):
                    if isinstance(answer, str):
                        return answer
                    return answer.pop(0) if answer else usual
        return usual

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as lines:
            _Session(self, connection).run(lines)


class _Over(Exception):
    """The session is."""


class _Session:
    def __init__(self, peer: Peer, connection: socket.socket) -> None:
        self._peer = peer
        self._connection = connection
        self._reverse_path = ""
        self._paths: list[str] = []

    def run(self, lines: Iterator[bytes]) -> None:
        with suppress(_Over):
            self._say("CONNECT", "220 peer.test ESMTP")
            for line in lines:
                self._obey(line.decode("utf-8", "replace").rstrip("\r\n"), lines)

    def _say(self, line: str, usual: str) -> str:
        answer = self._peer._answer(line, usual)
        if answer == CUT:
            raise _Over
        if answer == STALL:
            threading.Event().wait(300)
            raise _Over
        self._connection.sendall(answer.replace("\n", "\r\n").encode("latin-1") + b"\r\n")
        if answer.startswith("421"):
            raise _Over
        return answer

    def _obey(self, line: str, lines: Iterator[bytes]) -> None:
        self._peer.lines.append(line)
        match line.upper().replace(":", " ").split(" ")[0]:
            case "EHLO" | "LHLO":
                words = ["peer.test", *self._peer.extensions]
                self._say(line, "\n".join(f"250{' ' if w is words[-1] else '-'}{w}" for w in words))
            case "MAIL":
                self._reverse_path, self._paths = _path(line), []
                self._say(line, "250 2.1.0 ok")
            case "RCPT":
                full = len(self._paths) >= self._peer.most_recipients
                if self._say(line, "452 4.5.3 too many" if full else "250 2.1.5 ok").startswith("2"):
                    self._paths.append(_path(line))
            case "DATA":
                if self._say(line, "354 go on" if self._paths else "554 5.5.1 nobody").startswith("354"):
                    self._take(lines)
            case "QUIT":
                self._say(line, "221 2.0.0 bye")
                raise _Over
            case _:
                self._say(line, "250 2.0.0 ok")

    def _take(self, lines: Iterator[bytes]) -> None:
        content = []
        for line in lines:
            if line == b".\r\n":
                break
            content.append(line[1:] if line.startswith(b".") else line)
        else:
            raise _Over
        self._peer.letters.append(Taken(self._reverse_path, list(self._paths), b"".join(content)))
        self._say(".", "250 2.0.0 taken")


def _path(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]


@contextmanager
def serving(*peers: Peer) -> Iterator[None]:
    for peer in peers:
        peer.start()
    try:
        yield
    finally:
        for peer in peers:
            peer.stop()


@contextmanager
def sinks(options: dict[int, Sequence[str]]) -> Iterator[None]:
    """One `smtp-sink` a port of 127.0.0.1, with those options."""
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    running = [
        subprocess.Popen(
            ["smtp-sink", *user, "-4", *more, f"127.0.0.1:{port}", "100"],
            env=os.environ | {"PATH": path},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for port, more in options.items()
    ]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def start_patched(server: LabServer, patch: str) -> None:
    """Starts it with a line of Python run first, to shorten waits that no key configures."""
    script = f"{patch}\nfrom ekiden.cli.main import main\nmain()"
    with (server.folder / "stderr").open("wb") as errors:
        server.process = subprocess.Popen(
            [sys.executable, "-c", script, "serve", "-c", str(server.config_path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    server.wait_until_ready()


#: For `start_patched`: how long a site that is down is left alone.
SHORT_PAUSE: Final = "import ekiden.delivery.site as site, ekiden.policy.rest as rest; site.PAUSE = rest.FIRST = 0.5"
