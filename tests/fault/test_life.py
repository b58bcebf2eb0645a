"""Processes and disks under faults, under load: whatever ends, stops or fills up, nothing acknowledged is lost.

A sink that writes down what it took is the judge: acknowledged and never come would be a loss.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import smtplib
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from ekiden.app.clock import SystemClock
from ekiden.app.config_file import load
from ekiden.app.stores import open_spool
from ekiden.lab.mailprogram import fetch
from ekiden.lab.server import LabServer
from ekiden.model.envelope import Envelope, NewLeg, Origin, Recipient
from tests.integration.conftest import eventually
from tests.integration.next_hops import SHORT_PAUSE, STALL, Peer, serving, start_patched

TRUSTED = 'relay = { trusted_networks = ["127.0.0.1"] }\n'
QUICK = 'delivery = { retry_first = "1s", retry_factor = 1.0 }\n'


def make_server(folder: Path, peer: Peer, *, workers: int = 1, extra: str = QUICK) -> LabServer:
    server = LabServer(folder / "home", "example.test", workers=workers, extra=TRUSTED + extra)
    server.tables = f'[[route]]\nmatch = "sink.test"\nto = "smtp://127.0.0.1:{peer.port}"\ntls = "none"\n'
    server.prepare()
    return server


def events(server: LabServer, what: str) -> list[dict[str, Any]]:
    """A line that a full disk tore is none."""
    lines = [json.loads(line) for line in server.log_path.read_text().splitlines() if line.endswith("}")]
    return [line for line in lines if what in (line.get("what"), line["event"])]


def workers(server: LabServer) -> list[int]:
    assert server.process is not None
    pid = server.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Load:
    """Sessions that send one letter after the other, each with a token of its own, until told to stop."""

    def __init__(self, server: LabServer, sessions: int = 8) -> None:
        self.acknowledged: set[str] = set()
        self.refused: Counter[tuple[int, bytes]] = Counter()
        self._port = server.ports["relay"]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(sessions)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def reaches(self, more: int) -> None:
        """Waits until so many more are acknowledged."""
        goal = len(self.acknowledged) + more
        eventually(lambda: len(self.acknowledged) >= goal, f"{more} more letters")

    def _run(self, number: int) -> None:
        count = 0
        while not self._stop.is_set():
            with (
                suppress(OSError, smtplib.SMTPException),
                smtplib.SMTP("127.0.0.1", self._port, local_hostname="load.test", timeout=30) as client,
            ):
                client.ehlo()
                while not self._stop.is_set():
                    count += 1
                    self._letter(client, f"t{number}-{count}-")
            self._stop.wait(0.02)

    def _letter(self, client: smtplib.SMTP, token: str) -> None:
        client.mail("bob@example.test")
        client.rcpt("x@sink.test")
        try:
            code, text = client.data(f"Subject: {token}\r\n\r\n{'x' * 2000}\r\n".encode())
        except smtplib.SMTPDataError as refusal:  # at DATA already
            code, error = refusal.smtp_code, refusal.smtp_error
            text = error if isinstance(error, bytes) else error.encode()
        if code == 250:
            self.acknowledged.add(token)
        else:
            self.refused[code, text[:5]] += 1


def came(peer: Peer) -> Counter[str]:
    return Counter(
        found[1].decode() for taken in list(peer.letters) if (found := re.search(rb"Subject: (\S+)", taken.content))
    )


def all_came(load: Load, peer: Peer) -> Counter[str]:
    """What the sink took, once everything is there that is acknowledged by now."""
    wanted = set(load.acknowledged)
    eventually(lambda: wanted <= came(peer).keys(), "everything acknowledged at the sink")
    return came(peer)


@contextmanager
def running(server: LabServer, patch: str = SHORT_PAUSE) -> Iterator[None]:
    start_patched(server, patch)
    try:
        yield
    finally:
        server.kill()


@pytest.fixture
def sink() -> Iterator[Peer]:
    peer = Peer()
    with serving(peer):
        yield peer


# ---- workers


def test_one_of_two_workers_is_killed_under_load(tmp_path: Path, sink: Peer) -> None:
    server = make_server(tmp_path, sink, workers=2)
    with running(server):
        eventually(lambda: len(workers(server)) == 2, "two workers")
        with Load(server) as load:
            load.reaches(100)
            os.kill(workers(server)[0], signal.SIGKILL)
            load.reaches(100)
            eventually(lambda: len(events(server, "worker-started")) == 3, "a new worker")
            load.reaches(50)
        received = all_came(load, sink)
        assert sum(received.values()) - len(received) <= 2 * 20  # at most what was under way to the sink
        assert not events(server, "fault.internal")
        assert server.stop() == 0


def test_reload_under_load(tmp_path: Path, sink: Peer) -> None:
    server = make_server(tmp_path, sink, workers=2)
    with running(server), Load(server) as load:
        load.reaches(50)
        good = server.config_path.read_text()
        for number in range(3):
            server.config_path.write_text(good + "[nonsense]\n")
            server.reload()
            eventually(lambda n=number: len(events(server, "reload-refused")) > n, "the refusal")
            server.config_path.write_text(good)
            server.reload()
            eventually(lambda n=number: len(events(server, "reloaded")) > n, "the reload")
            load.reaches(30)
        received = all_came(load, sink)
        assert set(received.values()) == {1}
        assert not load.refused
        assert not events(server, "worker-died")
        assert not events(server, "fault.internal")


def test_stop_under_load_loses_nothing_and_repeats_nothing(tmp_path: Path, sink: Peer) -> None:
    server = make_server(tmp_path, sink, workers=2)
    with running(server), Load(server) as load:
        load.reaches(100)
        assert server.stop() == 0
        assert not events(server, "worker-died")
        start_patched(server, SHORT_PAUSE)
        load.reaches(50)
        assert set(all_came(load, sink).values()) == {1}


@pytest.mark.parametrize("where", ["CONNECT", "MAIL", "."])
def test_a_next_hop_that_stalls_does_not_hold_up_a_stop(tmp_path: Path, where: str) -> None:
    """What is under way there is cut after `drain`; what waits goes back at once."""
    peer = Peer({where: STALL})
    with serving(peer):
        server = make_server(tmp_path, peer, extra=QUICK + 'limits = { drain = "1s" }\n')
        with running(server):
            with Load(server, sessions=1) as load:
                load.reaches(50)
            eventually(lambda: peer.letters if where == "." else peer.sessions, "a letter under way")
            assert server.stop() == 0
            assert not events(server, "worker-died")
            peer.script.clear()
            start_patched(server, SHORT_PAUSE)
            received = all_came(load, peer)
            assert max(received.values()) <= (2 if where == "." else 1)


# ---- steering a running server


def test_retry_and_remove_beside_a_running_server(tmp_path: Path) -> None:
    peer = Peer({"MAIL": ["450 4.2.0 later"], "RCPT TO:<STALLED@": STALL})
    with serving(peer):
        server = make_server(tmp_path, peer, workers=2, extra='delivery = { retry_first = "1h" }\n')
        with running(server):
            first = send(server, "x@sink.test")
            eventually(lambda: [e for e in events(server, "attempt.finished") if e["letter"] == first], "an attempt")
            server.command("queue", "retry", first)
            eventually(lambda: peer.paths == ["x@sink.test"], "the letter, tried again long before its time")

            stalled = send(server, "stalled@sink.test")
            eventually(lambda: any("stalled" in line for line in peer.lines), "the attempt under way")
            done = server.command("queue", "remove", stalled, check=False)
            assert done.returncode == 1
            assert "being tried right now" in done.stderr
            assert stalled in server.command("queue", "list").stdout


def send(server: LabServer, to: str, content: bytes = b"Subject: hello\r\n\r\nhello\r\n") -> str:
    with smtplib.SMTP("127.0.0.1", server.ports["relay"], local_hostname="client.test", timeout=30) as client:
        client.ehlo()
        client.mail("bob@example.test")
        assert client.rcpt(to)[0] == 250
        code, text = client.data(content)
        assert code == 250, text
        return text.decode().split()[-1]


# ---- time


def test_a_delay_is_told_once_and_the_end_is_told(tmp_path: Path) -> None:
    peer = Peer({"RCPT": "450 4.2.1 mailbox busy"})
    with serving(peer):
        times = 'retry_first = "1s", retry_factor = 1.0, delay_report_after = "1s", expire_after = "5s"'
        server = make_server(tmp_path, peer, extra=f"delivery = {{ {times} }}\n")
        password = server.add_account("bob")
        with running(server):
            letter = send(server, "x@sink.test")
            eventually(lambda: len(events(server, "report.made")) >= 2, "both reports")
            eventually(lambda: server.command("queue", "list").stdout == "the queue is empty\n", "an empty queue")
            assert [(e["kind"], e["letter"]) for e in events(server, "report.made")] == [
                ("delayed", letter),
                ("failed", letter),
            ]
            context = ssl.create_default_context(cafile=str(server.certificate))
            reports = [
                message_from_bytes(octets, policy=policy.default)
                for octets in fetch(server.ports["pop3s"], context, "bob@example.test", password)
            ]
            statuses = [report.get_payload(1).get_payload()[1] for report in reports]  # type: ignore[union-attr]
            assert [(s["Action"], s["Status"]) for s in statuses] == [("delayed", "4.2.1"), ("failed", "4.4.7")]
            assert "Will-Retry-Until" in statuses[0]
            assert "mailbox busy" in statuses[1]["Diagnostic-Code"] or "mailbox busy" in reports[1].as_string()
            assert all(report["Return-Path"] == "<>" for report in reports)


# ---- a backlog


def test_a_backlog_is_not_loaded_at_start(tmp_path: Path, sink: Peer) -> None:
    count, size = 20_000, 4096
    server = make_server(tmp_path, sink, extra='delivery = { retry_first = "1h" }\n')
    asyncio.run(fill(server, count, size))
    with running(server):
        (pid,) = workers(server)
        eventually(lambda: len(sink.letters) >= 1000, "a part of the backlog at the sink")
        status = Path(f"/proc/{pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        assert int(found[1]) * 1024 < 100 * 1024 * 1024  # 58 MiB here; all letters alone are 80 MiB
        send(server, "x@sink.test", b"Subject: fresh\r\n\r\nfresh\r\n")
        eventually(lambda: came(sink)["fresh"], "a fresh letter, before the end of the backlog")
        assert len(sink.letters) < count


async def fill(server: LabServer, count: int, size: int) -> None:
    clock = SystemClock()
    spool = open_spool(load(str(server.config_path)), clock, move_history=False)
    content = b"Subject: old\r\n\r\n" + b"x" * (size - 18) + b"\r\n"
    for _ in range(count // 500):
        waiting = []
        for _ in range(500):
            draft = spool.begin()
            draft.write(content)
            envelope = Envelope("bob@example.test", clock.now(), Origin(), len(content), 16)
            legs = [NewLeg("route:sink.test", [Recipient("x@sink.test")], "load")]
            waiting.append(spool.accept(draft, envelope, legs, claim=False))
        await asyncio.gather(*waiting)
    await spool.close()


# ---- a disk that fills up


class Disk:
    """A file system of 96 MiB, `mounted`, where that is allowed (to root); else `patch` makes a server believe that
    it is full as long as there is the ballast."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._ballast = folder / "ballast"
        mount = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(folder)]
        self.mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0

    @property
    def patch(self) -> str:
        if self.mounted:
            return SHORT_PAUSE
        free = f"lambda spool: 0 if os.path.exists({str(self._ballast)!r}) else 2**40"
        return f"{SHORT_PAUSE}\nimport os, ekiden.storage.sqlite.spool as s; s.SqliteSpool._free_octets = {free}"

    def fill(self) -> None:
        with self._ballast.open("wb", buffering=0) as file, suppress(OSError):
            while self.mounted:
                file.write(b"x" * 65536)

    def clear(self) -> None:
        self._ballast.unlink()

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "disk")
    try:
        yield disk
    finally:
        disk.close()


def test_a_full_disk_refuses_for_now_and_recovers(disk: Disk, sink: Peer) -> None:
    server = make_server(disk.folder, sink)
    with running(server, disk.patch), Load(server, sessions=2) as load:
        load.reaches(20)
        disk.fill()
        eventually(lambda: load.refused, "a refusal")
        all_came(load, sink)  # what is queued still leaves
        disk.clear()
        load.reaches(20)
        assert set(load.refused) == {(452, b"4.3.1")}
        assert set(all_came(load, sink).values()) == {1}  # though it could not be recorded for a while
        assert not events(server, "worker-died")
        assert not [e for e in events(server, "fault.internal") if e["level"] == "error"]
        assert server.stop() == 0
