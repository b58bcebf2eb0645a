"""Rules of the whole suite: tests that need a missing program say so and are skipped; in CI a skip is a failure."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.suites import MISSING

IN_CI = os.environ.get("CI") == "true"
_skipped: list[str] = []

#: Where Debian puts servers; the PATH of people who are not root leaves it out.
os.environ["PATH"] += ":/usr/sbin:/sbin"


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("peer"):
        for program in mark.args:
            if shutil.which(program) is None:
                pytest.skip(f"needs {program} (see tests/debian-packages.txt)")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if MISSING not in str(reason):
            _skipped.append(f"{report.nodeid}: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if IN_CI and _skipped and not os.environ.get("PYTEST_XDIST_WORKER"):
        print("\nCI: these tests must not be skipped here:")
        print("\n".join(_skipped))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
