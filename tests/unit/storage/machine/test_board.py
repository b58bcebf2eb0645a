"""The live board: what a worker says is read whole or not at all, and for a few seconds only."""

from __future__ import annotations

from pathlib import Path

import pytest

from ekiden.ports.counts import LiveRow
from ekiden.storage.machine import board
from ekiden.storage.machine.board import LASTS_SECONDS, BoardWriter, FileBoard


def row(worker: int, **more: object) -> LiveRow:
    return LiveRow(worker=worker, pid=7, time=1.5, **more)


def test_workers_are_read_in_order_and_go_with_their_end(tmp_path: Path) -> None:
    one, two = BoardWriter(tmp_path / "watch", 1), BoardWriter(tmp_path / "watch", 0)
    reader = FileBoard(tmp_path / "watch")
    assert reader.rows() == [], "nothing was said yet"
    one.write(row(1, sessions={"relay": 2}))
    two.write(row(0, guessers=[("192.0.2.0/24", 3)], minute={"refused": {"a": 1}}))
    assert reader.rows() == [
        row(0, guessers=[("192.0.2.0/24", 3)], minute={"refused": {"a": 1}}),
        row(1, sessions={"relay": 2}),
    ]
    one.write(row(1))
    assert reader.rows()[1] == row(1), "a shorter row behind a longer one"
    one.close()
    assert [found.worker for found in reader.rows()] == [0]
    two.close()


def test_a_folder_that_is_not_there_is_nobody(tmp_path: Path) -> None:
    assert FileBoard(tmp_path / "watch").rows() == []


def test_a_worker_that_stands_still_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = BoardWriter(tmp_path, 0)
    monkeypatch.setattr(board, "_boot_time", lambda: 100.0)
    writer.write(row(0))
    for now, there in ((100.0 + LASTS_SECONDS, 1), (100.1 + LASTS_SECONDS, 0), (50.0, 0)):
        monkeypatch.setattr(board, "_boot_time", lambda now=now: now)
        assert len(FileBoard(tmp_path).rows()) == there
    writer.close()


def test_half_a_row_is_no_row(tmp_path: Path) -> None:
    writer = BoardWriter(tmp_path, 0)
    writer.write(row(0, sessions={"relay": 2}))
    path = tmp_path / "live-0"
    whole = path.read_bytes()
    for broken in (b"", whole[:10], whole[:-1], whole[:20] + b"x" + whole[21:], whole[:4] + b"\xff" + whole[5:]):
        path.write_bytes(broken)
        assert FileBoard(tmp_path).rows() == []
    path.write_bytes(whole)
    assert FileBoard(tmp_path).rows()
    writer.close()
