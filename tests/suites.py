"""Conformance material of others. It lies beside a checkout (`../shared/suites`), or where EKIDEN_SUITES says, and is
never committed. Tests read it in place; where it is missing they are skipped, in CI too: it does not come from
Debian."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("EKIDEN_SUITES", Path(__file__).parents[2] / "shared" / "suites"))
MISSING = "no conformance material beside this checkout"


def suite(name: str) -> Path:
    """The file or folder of that name; skips the test if there is none."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{MISSING}: {name}")
    return path
