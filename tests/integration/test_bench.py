"""The benchmark itself runs, in small, and refuses what would make it lie."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ekiden.lab import load
from ekiden.lab.bench.guards import guard_lines
from ekiden.lab.bench.logins import login_lines
from ekiden.lab.bench.run import file_system
from ekiden.lab.pacing import Load, pace
from ekiden.lab.server import LabFailed, LabServer


def run_bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ekiden", "bench", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(bool(load.is_possible()), reason=load.is_possible())
def test_a_small_benchmark_prints_its_table(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- bench -->\n<!-- /bench -->\n")
    arguments = ["--letters", "100", "--seconds", "0.5", "--pairs", "1", "--peer", "ekiden"]
    done = run_bench(*arguments, "--scenario", "submission", "--scenario", "inbound", "--write", str(page))
    if done.returncode and "tmpfs" in done.stdout:
        pytest.skip("the temporary folder lies in memory")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("  Ekiden ")]
    assert [line[1:3] for line in lines[:2]] == [["1", "100"], ["1", "100"]]
    assert "failed" not in done.stdout
    assert "  Ekiden " in page.read_text()


@pytest.mark.skipif(bool(load.is_possible()), reason=load.is_possible())
def test_logins_and_a_storm_of_wrong_ones_are_measured(tmp_path: Path) -> None:
    lines = login_lines(1, 1.0, tmp_path / "run", visits=20)
    assert [line.split()[0] for line in lines if line.startswith("  while")] == ["while", "while"]
    assert any("535" in line for line in lines)
    assert any(line.startswith("  password, remembered") for line in lines)


@pytest.mark.skipif(bool(load.is_possible()), reason=load.is_possible())
def test_guards_and_floods_are_measured(tmp_path: Path) -> None:
    lines = guard_lines(2, 1.0, tmp_path / "run", visits=20)
    banned = next(line for line in lines if line.startswith("  banned addresses"))
    assert " closed" in banned, "refused before TLS"
    assert "535" in next(line for line in lines if line.startswith("  guesses, new addresses"))


@pytest.mark.skipif(file_system(Path("/dev/shm")) != "tmpfs", reason="/dev/shm is no tmpfs here")
@pytest.mark.skipif(bool(load.is_possible()), reason=load.is_possible())
def test_a_folder_in_memory_is_refused() -> None:
    done = run_bench("--folder", "/dev/shm", "--letters", "1")
    assert done.returncode == 1
    assert "lies in memory (tmpfs)" in done.stdout


def test_the_load_ends_with_what_the_server_said(tmp_path: Path) -> None:
    server = LabServer(tmp_path / "server", "load.test")
    server.prepare()
    server.start()
    try:
        with pytest.raises(LabFailed, match=r"550 5\.\d"):
            pace(Load(server.ports["relay"], 10, ("nobody@load.test",), sessions=2))
    finally:
        server.stop()
