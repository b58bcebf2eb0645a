"""LabServer: a real `ekiden serve` of one's own, in a folder, on loopback. Used by the demo, the benchmark and tests.

Rules
1. Everything it makes is inside `folder`; it listens on `addresses`: 127.0.0.1, and [::1] if asked.
2. It ends only processes that it started; `stop` is SIGTERM and waiting, `kill` is SIGKILL for the whole process group.
3. The commands that it runs are the ones people run: `ekiden account add`, `ekiden trace`.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ekiden.lab.certificate import write_certificate

#: How long a server may take to greet. It takes well under a second; a loaded CI machine may take several.
READY_SECONDS: Final = 30.0
STOP_SECONDS: Final = 45.0

_PLENTY: Final = "messages_per_day = 1_000_000_000"
_SENDING: Final = f'{{ name = "person", {_PLENTY} }}, {{ name = "network", {_PLENTY} }}'
#: For `extra`: whoever is on this machine may relay, and nobody is over a limit; letters are counted.
TRUSTED_HERE: Final = f'relay = {{ trusted_networks = ["127.0.0.1/32"] }}\nprofile = [{_SENDING}]'

DOORS: Final = ("relay", "submission", "submissions", "pop3", "pop3s")


class LabFailed(Exception):
    """The server did not come up, or a command failed; `str()` says what it printed."""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody uses right now, none given twice by this process.

    By chance, and below those that the kernel gives to outgoing connections: between this answer and the moment when a
    server listens, a connection of somebody else must not take the port."""
    ports: list[int] = []
    while len(ports) < count:
        port = secrets.randbelow(_PORTS.stop - _PORTS.start) + _PORTS.start
        if port not in _given and _is_free(port):
            _given.add(port)
            ports.append(port)
    return ports


def _lab_ports() -> range:
    try:
        lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        lowest = 32768
    return range(10_000, lowest) if lowest > 12_000 else range(61_000, 65_536)


_PORTS: Final = _lab_ports()
_given: set[int] = set()


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def fresh_password() -> str:
    """Four groups of four, to be read and typed: about 80 bits."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(letters) for _ in range(4)) for _ in range(4))


@dataclass
class LabServer:
    """`ports`: by door, in the order of DOORS. `extra`: TOML put before the tables; `tables`: TOML put at the end."""

    folder: Path
    domain: str
    ports: dict[str, int] = field(default_factory=dict)
    workers: int = 1
    extra: str = ""
    tables: str = ""
    addresses: tuple[str, ...] = ("127.0.0.1",)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        if not self.ports:
            self.ports = dict(zip(DOORS, free_ports(len(DOORS)), strict=True))

    @property
    def hostname(self) -> str:
        return f"mail.{self.domain}"

    @property
    def config_path(self) -> Path:
        return self.folder / "ekiden.toml"

    @property
    def log_path(self) -> Path:
        return self.folder / "ekiden.log"

    @property
    def certificate(self) -> Path:
        return self.folder / "cert.pem"

    def prepare(self) -> None:
        """Writes the certificate and the configuration."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if not self.certificate.exists():
            write_certificate(self.folder, self.hostname, self.domain)
        self.config_path.write_text(self.render_config())

    def render_config(self) -> str:
        doors = "\n".join(f"{door} = [{self._listen(port)}]" for door, port in self.ports.items())
        return "\n".join(
            (
                f'hostname = "{self.hostname}"',
                'data_dir = "data"',
                f"workers  = {self.workers}",
                self.extra,
                "[tls]",
                'certificate = "cert.pem"',
                'private_key = "key.pem"',
                "[listen]",
                doors,
                "[log]",
                'file = "ekiden.log"',
                "[[domain]]",
                f'name = "{self.domain}"',
                self.tables,
                "",
            )
        )

    def _listen(self, port: int) -> str:
        return ", ".join(f'"{address}:{port}"' for address in self.addresses)

    def command(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs `ekiden ARGUMENTS` for this server. Raises LabFailed if `check` and it does not exit with 0."""
        done = subprocess.run(
            [sys.executable, "-m", "ekiden", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=os.environ | {"EKIDEN_CONFIG": str(self.config_path)},
        )
        if check and done.returncode:
            raise LabFailed(f"ekiden {' '.join(arguments)}: {done.stderr or done.stdout}")
        return done

    def add_account(self, name: str, password: str = "") -> str:
        """Adds an account and returns its password (a fresh one if none is given)."""
        password = password or fresh_password()
        self.command("account", "add", f"{name}@{self.domain}", "--password-stdin", stdin=password + "\n")
        return password

    def trail(self, letter: str) -> Any:
        """What `ekiden trace --json` says."""
        return json.loads(self.command("trace", letter, "--json").stdout)

    def start(self) -> None:
        """Starts the server in a process group of its own and waits until every door greets or accepts."""
        with (self.folder / "stderr").open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ekiden", "serve", "-c", str(self.config_path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        process = self.process
        assert process is not None
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise LabFailed(self.errors() or f"the server ended with status {process.returncode}")
            if self._greets():
                return
            time.sleep(0.02)
        self.kill()
        raise LabFailed(f"the server did not greet within {READY_SECONDS:.0f} s: {self.errors()}")

    def errors(self) -> str:
        try:
            return (self.folder / "stderr").read_text(errors="replace").strip()
        except OSError:
            return ""

    def stop(self) -> int:
        """SIGTERM to the supervisor, and waits; the exit status. What does not end in time is killed."""
        process = self.process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self.process = None
        return process.returncode

    def kill(self) -> None:
        """SIGKILL to the whole process group that `start` made."""
        process = self.process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):  # it ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def reload(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def _greets(self) -> bool:
        """True once a worker answers: the doors are bound before there is one."""
        port = next((self.ports[d] for d in ("relay", "submission", "pop3") if d in self.ports), 0)
        if not port:
            port = next(iter(self.ports.values()))
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                return bool(connection.recv(1))
        except OSError:
            return False
