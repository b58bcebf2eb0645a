"""A name server of one's own: NSD (Debian package nsd) with one zone, on a free port of 127.0.0.1."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ekiden.lab.server import READY_SECONDS, LabFailed, free_ports

_CONFIG: Final = """\
server:
    ip-address: 127.0.0.1@{port}
    username: "{user}"
    chroot: ""
    zonesdir: "{folder}"
    zonelistfile: "{folder}/zone.list"
    database: ""
    pidfile: ""
    xfrdfile: ""
    logfile: "{folder}/nsd.log"
    server-count: 1
    rrl-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: "{zone}"
    zonefile: "zone"
"""
_HEAD: Final = "$ORIGIN {zone}.\n$TTL 3600\n@ SOA ns root 1 3600 600 86400 60\n@ NS ns\nns A 127.0.0.1\n"
#: A question for the zone's SOA: id 1, no flags.
_QUESTION: Final = b"\0\1\0\0\0\1\0\0\0\0\0\0"


@dataclass
class LabNameServer:
    """`zone`: its name. `records`: lines of a zone file, relative to it. `signed`: the whole zone file instead."""

    folder: Path
    zone: str
    records: list[str]
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = None
    signed: str = ""

    @staticmethod
    def is_possible() -> str:
        """'' if one can be started here, else why not."""
        return "" if _program() else "NSD is not installed (Debian package nsd)"

    def start(self) -> None:
        """Raises LabFailed."""
        owner = pwd.getpwuid(os.geteuid()).pw_name
        self.folder.mkdir(parents=True)
        (self.folder / "zone").write_text(self.signed or self.unsigned)
        config = self.folder / "nsd.conf"
        config.write_text(_CONFIG.format(port=self.port, user=owner, folder=self.folder, zone=self.zone))
        self.process = subprocess.Popen(
            [_program(), "-d", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise LabFailed(f"NSD: {(self.folder / 'nsd.log').read_text()}")

    @property
    def unsigned(self) -> str:
        """The zone file."""
        return _HEAD.format(zone=self.zone) + "\n".join(self.records) + "\n"

    def stop(self) -> None:
        process, self.process = self.process, None
        if process is not None:
            process.terminate()
            process.wait(30)

    def _answers(self) -> bool:
        name = b"".join(bytes([len(label)]) + label.encode() for label in self.zone.split(".")) + b"\0"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.2)
            asking.connect(("127.0.0.1", self.port))
            try:
                asking.send(_QUESTION + name + b"\0\6\0\1")
                return bool(asking.recv(512))
            except OSError:
                time.sleep(0.02)
                return False


def _program() -> str:
    return shutil.which("nsd") or ("/usr/sbin/nsd" if Path("/usr/sbin/nsd").exists() else "")
