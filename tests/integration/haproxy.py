"""A real HAProxy before the doors of a server: both versions of the PROXY protocol, health checks included."""

from __future__ import annotations

import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from ekiden.lab.server import READY_SECONDS, LabFailed, LabServer, free_ports

#: Where it connects from; the server lists it in `proxies`.
ADDRESS = "127.0.0.2"
WAYS = ("send-proxy", "send-proxy-v2")


@dataclass
class HaProxy:
    """`ports`: by (way, door)."""

    server: LabServer
    folder: Path
    ports: dict[tuple[str, str], int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.folder.mkdir()
        pairs = [(way, door) for way in WAYS for door in self.server.ports]
        self.ports = dict(zip(pairs, free_ports(len(pairs)), strict=True))
        config = self.folder / "haproxy.cfg"
        config.write_text(self.render())
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(["haproxy", "-db", "-f", str(config)], stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while not (self.folder / "admin").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise LabFailed(f"HAProxy: {(self.folder / 'log').read_text()}")
            time.sleep(0.02)

    def render(self) -> str:
        lines = [
            "global",
            f"  stats socket {self.folder}/admin level admin",
            "defaults",
            "  mode tcp",
            "  timeout connect 5s",
            "  timeout client 60s",
            "  timeout server 60s",
        ]
        for (way, door), port in self.ports.items():
            lines += [
                f"listen {door}-{way}",
                f"  bind 127.0.0.1:{port}",
                *(["  option smtpchk EHLO haproxy.test"] if door in ("relay", "submission") else []),
                f"  server ekiden 127.0.0.1:{self.server.ports[door]} {way} check inter 300ms source {ADDRESS}",
            ]
        return "\n".join(lines) + "\n"

    def status(self) -> dict[str, str]:
        """By name of the listener: UP, DOWN, or on the way between them."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.settimeout(10)
            admin.connect(str(self.folder / "admin"))
            admin.sendall(b"show stat\n")
            octets = b""
            while piece := admin.recv(65536):
                octets += piece
        rows = [line.split(",") for line in octets.decode().splitlines() if line and not line.startswith("#")]
        return {row[0]: f"{row[17]} {row[36]}" for row in rows if row[1] == "ekiden"}

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            process.wait(30)
