"""What newcomers read agrees with the code: the table of doors, the configurations, and links that lead somewhere.

So does what the code cites of docs/design.md, and what the docs say of tests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ekiden.app.config_file import load
from ekiden.model.door import DOORS, Door

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changelog.d/*.md")])
#: Pages with a whole configuration in them.
GUIDES = ("README.md", "docs/first-server.md")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
#: The rightmost columns of the README's table in words -> whether TLS is there from the first byte.
_TLS = {"from the first byte": True, "STARTTLS": False, "STLS": False}
_LOGIN = {"required": True, "never": False}

_CODE = sorted(path for folder in ("src", "tests", "tools") for path in (ROOT / folder).rglob("*.py"))
_RULES = r"rules? (\d+)(?: and (\d+))?"
_CITED_RULES = re.compile(rf"(?:DESIGN §4,? |hot-path ){_RULES}")
_CITED_INVARIANTS = re.compile(r"invariants? (\d+)(?: and (\d+))?")


def doors_of_the_readme() -> dict[str, tuple[int, bool, bool]]:
    """Name -> (port, TLS from the first byte, login required), from the table."""
    found = {}
    for line in README.splitlines():
        if match := re.match(r"\| (\d+) \| `(\w+)` \|[^|]*\| ([^|,]*)[^|]*\| (\w+) \|", line):
            found[match[2]] = (int(match[1]), _TLS[match[3].strip()], _LOGIN[match[4]])
    return found


def anchors(page: Path) -> set[str]:
    """The names that headings get on GitHub."""
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_table_of_doors_is_that_of_the_code() -> None:
    assert doors_of_the_readme() == {
        door.value: (facts.port, facts.implicit_tls, facts.login) for door, facts in DOORS.items()
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    dead = []
    for target in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            dead.append(target)
    assert not dead


def test_each_piece_of_configuration_about_routing_is_good(tmp_path: Path) -> None:
    text = (ROOT / "docs/routing.md").read_text(encoding="utf-8")
    pieces = re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(pieces) > 2
    path = tmp_path / "ekiden.toml"
    for piece in pieces:
        path.write_text(f'hostname = "mail.example.org"\ndata_dir = "/d"\n{piece}', encoding="utf-8")
        assert load(str(path)).route


@pytest.mark.parametrize("guide", GUIDES)
def test_the_configuration_in_a_guide_loads(guide: str, tmp_path: Path) -> None:
    text = (ROOT / guide).read_text(encoding="utf-8")
    blocks = [
        block for block in re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) if "[listen]" in block
    ]
    assert len(blocks) == 1
    path = tmp_path / "ekiden.toml"
    path.write_text(blocks[0], encoding="utf-8")
    config = load(str(path))
    for door in (Door.RELAY, Door.SUBMISSION, Door.SUBMISSIONS, Door.POP3S):
        assert config.listen.addresses(door) == (f"0.0.0.0:{DOORS[door].port}", f"[::]:{DOORS[door].port}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_are_short(page: Path) -> None:
    """Outside code and tables."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    assert not [line for line in text.splitlines() if len(line) > 120 and not line.startswith("|")]


def test_every_command_that_pages_name_exists() -> None:
    """`ekiden queue list` and the like, in code blocks and in code spans."""
    from ekiden.cli.main import COMMANDS, LazyGroup, cli

    assert isinstance(cli, LazyGroup)
    wrong = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for span in re.findall(r"(?:^|`|& )ekiden ((?:[a-z][a-z-]* ?)+)", text, re.MULTILINE):
            command, *rest = span.split()
            found = cli.get_command(None, command)  # type: ignore[arg-type]
            while rest and (inner := getattr(found, "commands", None)) is not None:
                found = inner.get(rest.pop(0))
            if command not in COMMANDS or found is None:
                wrong.append(f"{page.name}: ekiden {span}")
    assert not wrong


def design_section(number: int) -> str:
    parts = re.split(r"^## (\d+)\. ", (ROOT / "docs/design.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(map(int, parts[1::2]), parts[2::2], strict=True)).get(number, "")


def numbered(section: str) -> set[str]:
    return set(re.findall(r"^(\d+)\. ", section, re.MULTILINE))


def cited(text: str) -> Iterator[tuple[str, bool]]:
    """What a file cites of the design, and whether it is there."""
    rules, invariants = numbered(design_section(4)), numbered(design_section(8))
    for number in re.findall(r"DESIGN §(\d+)", text):
        yield f"§{number}", bool(design_section(int(number)))
    for number, quoted in re.findall(r'DESIGN §(\d),? "([^"]+)"', text):
        yield quoted, f"**{quoted}.**" in design_section(int(number))
    for found in _CITED_RULES.findall(text):
        yield from ((f"rule {number}", number in rules) for number in found if number)
    for found in _CITED_INVARIANTS.findall(text):
        yield from ((f"invariant {number}", number in invariants) for number in found if number)


def test_what_the_code_cites_of_the_design_is_there() -> None:
    wrong = []
    for path in _CODE:
        text = re.sub(r"\s+(?:#:? )?", " ", path.read_text(encoding="utf-8"))
        wrong += [(str(path.relative_to(ROOT)), what) for what, there in cited(text) if not there]
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_pages_name_exist(page: Path) -> None:
    named = re.findall(r"`((?:tests|tools|src)/[\w/.-]*)", page.read_text(encoding="utf-8"))
    assert not [name for name in named if "<" not in name and not (ROOT / name).exists()]
