"""requirements/*.lock serve pyproject.toml, are complete, and name no place to fetch from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("runtime", "test")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BUILD = [Requirement(line) for line in PROJECT["build-system"]["requires"]]
RUNTIME = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
EXTRAS = [Requirement(line) for lines in PROJECT["project"]["optional-dependencies"].values() for line in lines]


def read(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.lock").read_text(encoding="utf-8")


def versions(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^(\S+?)==(\S+)", read(lock), re.MULTILINE))


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [*(("runtime", each) for each in [*RUNTIME, *BUILD]), *(("test", each) for each in [*RUNTIME, *BUILD, *EXTRAS])],
    ids=str,
)
def test_what_the_project_asks_for_is_locked(lock: str, wanted: Requirement) -> None:
    locked = versions(lock).get(canonicalize_name(wanted.name))
    assert locked is not None, f"run make lock: {wanted.name} is not in requirements/{lock}.lock"
    assert locked in wanted.specifier, f"run make lock: {wanted} is locked at {locked}"


def test_tests_run_on_the_versions_that_people_get() -> None:
    assert versions("runtime").items() <= versions("test").items()


@pytest.mark.parametrize("lock", LOCKS)
def test_every_version_has_its_hashes(lock: str) -> None:
    entries = [part for part in re.split(r"^(?=[a-z0-9])", read(lock), flags=re.MULTILINE) if part[0] != "#"]
    assert len(entries) == len(versions(lock))
    assert not [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry]


@pytest.mark.parametrize("lock", LOCKS)
def test_no_place_is_named(lock: str) -> None:
    assert not re.findall(r"://|^--|^-[a-z]|file:|@ ", read(lock), re.MULTILINE)
