"""Makes docs/rfc.md: which RFC, which section, where in the code, which tests, and where we deviate.

The code is the source: citations of the form `RFC 5321 §4.4` in docstrings and comments, and `# deviates RFC …` blocks.
Titles and states come from tools/rfc.toml. A test belongs to a row if it cites the section, or is the module's own
(tests/unit/<same tree>/test_<module>.py).

    python tools/rfc_table.py            writes docs/rfc.md
    python tools/rfc_table.py --check    exit 1 if it is not what the code says, or an RFC has no title
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "rfc.md"
TITLES = ROOT / "tools" / "rfc.toml"
STATES = {
    "yes": "done, as far as it concerns us",
    "partial": "in part; the note says what is missing",
    "planned": "not yet",
    "refers": "nothing to implement: its words, registries or history are used",
}
_CITATION = re.compile(r"RFC (\d{3,5})((?:(?:,| and|;)? ?§[0-9A-Z][0-9A-Za-z.]*)*)")
_SECTION = re.compile(r"§([0-9A-Z][0-9A-Za-z.]*)")
_WRAPPED = re.compile(r"[ \t]*\n[ \t]*(?:#:?[ \t]*)?")
_DEVIATION = re.compile(r"#[ \t]*(deviates RFC [^\n]*(?:\n[ \t]*#[^\n]*)*)")


class Citation(NamedTuple):
    rfc: int
    section: str  # '' for the whole


def citations(text: str) -> set[Citation]:
    found = set()
    for match in _CITATION.finditer(_WRAPPED.sub(" ", text)):
        sections = [section.rstrip(".") for section in _SECTION.findall(match[2])] or [""]
        found |= {Citation(int(match[1]), section) for section in sections}
    return found


def deviations(text: str) -> list[str]:
    return [_WRAPPED.sub(" ", match[1]).removeprefix("deviates ").strip() for match in _DEVIATION.finditer(text)]


def own_test(path: str) -> str:
    """src/ekiden/message/trace.py -> tests/unit/message/test_trace.py; dsn_status.py -> test_dsn.py."""
    inner = Path(path).relative_to("src/ekiden")
    for stem in (inner.stem, inner.stem.partition("_")[0]):
        test = Path("tests/unit") / inner.parent / f"test_{stem}.py"
        if (ROOT / test).exists():
            return str(test)
    return ""


def gather(folder: str) -> dict[str, str]:
    paths = sorted((ROOT / folder).rglob("*.py"))
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


def link(path: str) -> str:
    return f"[{path.removeprefix('src/ekiden/').removeprefix('tests/')}](../{path})"


def order(section: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdigit() else (10**6, part) for part in section.split(".") if part)


def render(titles: dict[str, dict[str, str]]) -> tuple[str, list[str]]:
    """The page, and the RFCs that are cited but have no title."""
    code: dict[Citation, set[str]] = defaultdict(set)
    tests: dict[Citation, set[str]] = defaultdict(set)
    departures: list[tuple[str, str]] = []
    for path, text in gather("src").items():
        departures += [(path, deviation) for deviation in deviations(text)]
        for citation in citations(text):
            code[citation].add(path)
    for path, text in gather("tests").items():
        for citation in citations(text):
            tests[citation].add(path)
    lines = ["# RFCs", "", "Made by `tools/rfc_table.py` from the citations in the code; do not edit.", ""]
    lines += [f"- **{state}**: {meaning}" for state, meaning in STATES.items()]
    cited = {citation.rfc for citation in code}
    numbers = sorted(cited | {int(number) for number in titles})
    lines += ["", "| RFC | title | state | note |", "|---|---|---|---|"]
    for number in numbers:
        entry = titles.get(str(number), {})
        name = f"[{number}](#rfc-{number})" if number in cited else str(number)
        lines.append(f"| {name} | {entry.get('title', '')} | {entry.get('state', '')} | {entry.get('note', '')} |")
    for number in sorted(cited):
        lines += ["", f"## RFC {number}", "", titles.get(str(number), {}).get("title", ""), ""]
        lines += ["| section | code | tests |", "|---|---|---|"]
        rows = sorted((c for c in code if c.rfc == number), key=lambda c: order(c.section))
        for row in rows:
            mine = {test for path in code[row] if (test := own_test(path))} | tests[row]
            cells = (", ".join(map(link, sorted(paths))) for paths in (code[row], mine))
            lines.append(f"| {'§' + row.section if row.section else 'as a whole'} | {' | '.join(cells)} |")
    lines += ["", "## Deviations", "", "| where | from what, why, and the test |", "|---|---|"]
    lines += [f"| {link(path)} | {deviation.replace('|', chr(92) + '|')} |" for path, deviation in departures]
    return "\n".join(lines) + "\n", [str(number) for number in sorted(cited) if str(number) not in titles]


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    titles = tomllib.loads(TITLES.read_text(encoding="utf-8"))
    wrong = [number for number, entry in titles.items() if entry.get("state") not in STATES]
    if wrong:
        print(f"tools/rfc.toml: RFC {', '.join(wrong)}: state must be one of {', '.join(STATES)}", file=sys.stderr)
        return 1
    page, untitled = render(titles)
    if untitled:
        print(f"tools/rfc.toml has no entry for RFC {', '.join(untitled)}, cited in src", file=sys.stderr)
        return 1
    if not arguments:
        TABLE.write_text(page, encoding="utf-8")
    elif not TABLE.exists() or TABLE.read_text(encoding="utf-8") != page:
        print("docs/rfc.md is not what the code cites; run: python tools/rfc_table.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
