"""Load with Postfix's own tools: `smtp-source` sends, `smtp-sink` takes; both are C programs that nobody here wrote."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from ekiden.lab.server import LabFailed, free_ports

SOURCE: Final = "/usr/sbin/smtp-source"
SINK: Final = "/usr/sbin/smtp-sink"
_COUNTER: Final = re.compile(rb"mesg=(\d+)")


def is_possible() -> str:
    """'' if the tools are here, else what is missing."""
    return "" if Path(SOURCE).exists() and Path(SINK).exists() else "smtp-source and smtp-sink (Debian package postfix)"


@dataclass
class Sink:
    """Takes letters and counts them. `letters`: how many so far. `address`: of 127/8."""

    port: int = field(default_factory=lambda: free_ports(1)[0])
    options: tuple[str, ...] = ()
    address: str = "127.0.0.1"
    letters: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _reader: threading.Thread | None = None

    def start(self) -> None:
        user = ("-u", "postfix") if os.geteuid() == 0 else ()
        self._process = subprocess.Popen(
            [SINK, "-c", *user, *self.options, f"{self.address}:{self.port}", "1000"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        wait_for_port(self.port, address=self.address)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait_for(self, letters: int, seconds: float) -> float:
        """Waits until `letters` have come; the monotonic time at which they had. Raises LabFailed."""
        deadline = time.monotonic() + seconds
        while self.letters < letters:
            if time.monotonic() > deadline:
                raise LabFailed(f"only {self.letters} of {letters} letters came to the sink within {seconds:.0f} s")
            time.sleep(0.005)
        return time.monotonic()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            if self._reader is not None:
                self._reader.join()  # to the end of what the sink said; it closes the pipe
            self._process = None

    def _read(self, said: IO[bytes] | None) -> None:
        assert said is not None
        tail = b""
        with said:
            while chunk := os.read(said.fileno(), 65536):
                tail = (tail + chunk)[-200:]
                found = _COUNTER.findall(tail.rpartition(b"\r")[0])
                if found:
                    self.letters = int(found[-1])


def wait_for_port(port: int, seconds: float = 10.0, *, address: str = "127.0.0.1") -> None:
    """Until somebody listens on that port. Raises LabFailed."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise LabFailed(f"nobody listens on port {port}") from error
            time.sleep(0.01)
        else:
            return


def source(
    port: int,
    letters: int,
    *,
    sessions: int = 50,
    size_octets: int = 4096,
    kept: bool = True,
    recipient: str = "someone@sink.test",
    seconds: float = 300.0,
) -> float:
    """Sends `letters` over `sessions` connections; how long it took in seconds. `kept`: many letters a connection."""
    command = [SOURCE, "-s", str(sessions), "-m", str(letters), "-l", str(size_octets), "-t", recipient]
    command += ["-f", "sender@source.test"]
    if kept:
        command.append("-d")  # do not disconnect after a letter
    began = time.monotonic()
    done = subprocess.run(
        [*command, f"127.0.0.1:{port}"],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise LabFailed(f"smtp-source: {done.stderr.strip() or done.returncode}")
    return time.monotonic() - began
