"""JsonLog: one JSON object a line, bounded, never raising, counting what it lost."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ekiden.model.events import ServerChanged, SessionClosed
from ekiden.telemetry.lines import LineEncoder
from ekiden.telemetry.log import DirectLog, JsonLog
from ekiden.telemetry.output import Output
from tests.fakes.clock import FakeClock


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


class GatedOutput(Output):
    """Writes wait until the gate is open; `failures` of them are refused, as by a full disk."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.failures = 0
        self.refused = threading.Semaphore(0)
        self.lines: list[dict[str, Any]] = []

    def write(self, lines: Sequence[bytes]) -> tuple[int, str]:
        self.entered.set()
        assert self.gate.wait(20)
        if self.failures:
            self.failures -= 1
            self.refused.release()
            return len(lines), "No space left on device"
        self.lines += [json.loads(line) for line in lines]
        return 0, ""

    def reopen(self, path: str = "") -> str:
        return "gone"

    def close(self) -> None:
        pass


def test_line() -> None:
    clock = FakeClock(now=1_767_225_600.0785)
    encoder = LineEncoder(clock.now, 4711)
    line = encoder.encode(ServerChanged(what="started", detail='a "quoted"\nword'))
    assert line == (
        b'{"time":"2026-01-01T00:00:00.078Z","pid":4711,"event":"server.changed",'
        b'"what":"started","detail":"a \\"quoted\\"\\nword"}\n'
    )
    clock.advance(61.5)
    assert json.loads(encoder.encode(ServerChanged(what="x")))["time"] == "2026-01-01T00:01:01.578Z"


def test_written_in_order_and_complete_at_close(tmp_path: Path) -> None:
    log = JsonLog(Output(str(tmp_path / "log")), FakeClock().now)
    for number in range(5000):
        log.emit(ServerChanged(what="x", pid=number + 1))
    log.close()
    lines = lines_of(tmp_path / "log")
    assert [line["pid"] for line in lines] == list(range(1, 5001))
    assert (tmp_path / "log").stat().st_mode & 0o007 == 0


def test_a_slow_disk_drops_and_says_so() -> None:
    output = GatedOutput()
    log = JsonLog(output, FakeClock().now, limit=1000)
    log.emit(ServerChanged(what="first"))
    assert output.entered.wait(20)
    for _ in range(100):
        log.emit(ServerChanged(what="x"))
    dropped = log.dropped
    assert 80 < dropped < 100
    output.gate.set()
    log.close()
    assert [line["event"] for line in output.lines[:-1]] == ["server.changed"] * (101 - dropped)
    assert output.lines[-1]["event"] == "log.dropped"
    assert output.lines[-1]["lines"] == dropped
    assert log.dropped == 0


def test_a_full_disk_is_survived() -> None:
    output = GatedOutput()
    output.failures = 2
    log = JsonLog(output, FakeClock().now)
    log.emit(ServerChanged(what="lost"))
    output.gate.set()
    for _ in range(2):
        assert output.refused.acquire(timeout=20)
    log.emit(ServerChanged(what="kept"))
    log.close()
    told = [line for line in output.lines if line["event"] == "log.dropped"]
    assert sum(line["lines"] for line in told) == 1
    assert told[0]["reason"] == "No space left on device"
    assert [line["what"] for line in output.lines if line["event"] == "server.changed"] == ["kept"]


def test_an_event_that_cannot_be_encoded_is_no_fault_of_the_letter(tmp_path: Path) -> None:
    log = JsonLog(Output(str(tmp_path / "log")), FakeClock().now)
    log.emit(ServerChanged(what=object()))  # type: ignore[arg-type]
    log.close()
    assert lines_of(tmp_path / "log")[0]["event"] == "log.dropped"


def test_rotation(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = JsonLog(Output(str(path)), FakeClock().now)
    log.emit(ServerChanged(what="old"))
    while not path.stat().st_size:
        pass
    path.rename(tmp_path / "log.1")
    log.reopen()
    while not path.exists():
        pass
    log.emit(ServerChanged(what="new"))
    log.close()
    assert [line["what"] for line in lines_of(tmp_path / "log.1")] == ["old"]
    assert [line["what"] for line in lines_of(path)] == ["new"]


def test_a_rotation_that_fails_keeps_the_old_file() -> None:
    output = GatedOutput()
    output.gate.set()
    log = JsonLog(output, FakeClock().now)
    log.reopen()
    log.close()
    assert output.lines[0]["reason"] == "gone"


def test_output_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Output(str(tmp_path / "none" / "log"))
    output = Output(str(tmp_path / "log"))
    (tmp_path / "log").unlink()
    os.mkdir(tmp_path / "log")
    assert "goes on" in output.reopen()
    assert output.write([b"x\n"]) == (0, "")
    output.close()


def test_dev_full() -> None:
    output = Output("/dev/full")
    lost, reason = output.write([b"a\n", b"b\n"])
    assert lost == 2
    assert reason == "No space left on device"
    output.close()


def test_into_a_pipe_only_whole_lines_up_to_pipe_buf() -> None:
    reader, writer = os.pipe()
    output = Output(f"/proc/self/fd/{writer}")
    sent = [b"%0999d\n" % number for number in range(30)]
    assert output.write(sent) == (0, "")
    output.close()
    os.close(writer)
    with open(reader, "rb") as file:
        assert file.read() == b"".join(sent)


def test_a_closed_pipe_loses_lines_and_nothing_else() -> None:
    reader, writer = os.pipe()
    output = Output(f"/proc/self/fd/{writer}")
    os.close(writer)
    os.close(reader)
    assert output.write([b"a\n", b"b\n"]) == (2, "Broken pipe")
    output.close()


def test_direct(tmp_path: Path) -> None:
    log = DirectLog(Output(str(tmp_path / "log")), FakeClock().now)
    log.emit(SessionClosed(session="x", door="relay", client="192.0.2.1", reason="quit"))
    assert lines_of(tmp_path / "log")[0]["reason"] == "quit"
    log.reopen()
    log.close()


def test_no_character_that_a_terminal_obeys() -> None:
    detail = "\x1b[31m \x7f \x9b31m \u2028 \u202e \U000e0001 駅伝 \r\n"
    line = LineEncoder(FakeClock().now, 1).encode(ServerChanged(what="started", detail=detail))
    assert line.endswith(b"\n")
    assert line[:-1].decode().isprintable()
    assert "駅伝" in line.decode()
    assert json.loads(line)["detail"] == detail
