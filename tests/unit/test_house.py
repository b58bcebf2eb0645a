"""Rules of the house that no other tool looks after: sizes, names, and what pure packages may import at all.

The import contracts in pyproject.toml say what is forbidden; here stands what is allowed, so that a library nobody
thought of cannot slip into the core.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "ekiden"
FILES = sorted(path for folder in ("src", "tests", "tools") for path in (ROOT / folder).rglob("*.py"))
LONGEST = 600
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}

_LANGUAGE = {"__future__", "collections", "dataclasses", "enum", "functools", "itertools", "typing"}
#: Grade A computes; a digest of octets is no more than that.
PURE = _LANGUAGE | {
    "base64",
    "binascii",
    "hashlib",
    "hmac",
    "ipaddress",
    "math",
    "re",
    "stringprep",
    "textwrap",
    "unicodedata",
}
PURE |= {"email", "idna", "msgspec"}
#: What an archive holds is computed from its octets.
PURE |= {"struct", "zlib"}
#: Grade B awaits ports.
WAITING = _LANGUAGE | {"asyncio", "contextlib", "hashlib", "hmac", "ipaddress", "msgspec", "traceback", "unicodedata"}
#: What a password is worth is computed.
WAITING |= {"zxcvbn"}
GRADES = {
    **dict.fromkeys(("model", "ports", "proto", "message", "config", "policy"), PURE),
    **dict.fromkeys(("session", "delivery", "accounts", "spool", "admin"), WAITING),
}
#: Of asyncio, in grade B: waiting for each other, and no sockets, threads, processes or clock.
ASYNCIO = {"CancelledError", "Event", "Future", "Semaphore", "Task", "TaskGroup", "TimeoutError"}
ASYNCIO |= {"ensure_future", "gather", "get_running_loop", "shield", "timeout", "wait"}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("ekiden", include_external_packages=True, cache_dir=None)


def asyncio_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "asyncio":
            yield node.attr
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "asyncio":
            yield from (alias.name for alias in node.names)


def test_no_file_is_too_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert not {path: length for path, length in lengths.items() if length > LONGEST}


def test_every_file_has_a_name_that_says_something() -> None:
    parts = {part for path in FILES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not parts & NAMES_THAT_SAY_NOTHING


def test_every_module_opens_with_its_page() -> None:
    modules = sorted(SOURCE.rglob("*.py"))
    assert not [
        str(path.relative_to(SOURCE)) for path in modules if not ast.get_docstring(ast.parse(path.read_bytes()))
    ]


@pytest.mark.parametrize("package", GRADES)
def test_a_package_imports_only_what_its_grade_may(package: str, graph: grimp.ImportGraph) -> None:
    root = f"ekiden.{package}"
    imports = {
        imported
        for module in {root} | graph.find_descendants(root)
        for imported in graph.find_modules_directly_imported_by(module)
        if imported.partition(".")[0] != "ekiden"
    }
    assert imports - GRADES[package] == set()


@pytest.mark.parametrize("package", [package for package, allowed in GRADES.items() if allowed is WAITING])
def test_of_asyncio_only_what_needs_no_edge(package: str) -> None:
    used = {name for path in (SOURCE / package).rglob("*.py") for name in asyncio_names(path)}
    assert used - ASYNCIO == set()
