"""Makes docs/protection.md: each guard, what it does, its default, its event, and the key that changes it.

The code is the source: `ekiden.policy.guards` for the guards, `ekiden.config.model` for the defaults.

    python tools/protection_page.py            writes docs/protection.md
    python tools/protection_page.py --check    exit 1 if it is not what the code says
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import msgspec

from ekiden.config.model import Config
from ekiden.policy.guards import GUARDS, Guard

PAGE = Path(__file__).resolve().parent.parent / "docs" / "protection.md"
WIDTH = 120
HEAD = """# What protects you by default

Made by `tools/protection_page.py` from `src/ekiden/policy/guards.py` and the configuration's defaults; do not edit.

Each guard works without any configuration. What it counts is counted over all workers, survives a restart, and is
forgotten by itself. A key is changed in the [configuration](ekiden.example.toml) and takes effect with a reload. Events
are lines of the log; their fields are in [the page of events](events.md)."""
#: Tables without which a guard has nothing to do.
_NEEDED = frozenset({"content_rule"})
_MIB = 1024 * 1024


def render() -> str:
    blocks = [HEAD, "\n".join(["| guard | default | event |", "|---|---|---|", *map(_row, GUARDS)])]
    blocks += [_section(guard) for guard in GUARDS]
    return "\n\n".join(blocks) + "\n"


def _row(guard: Guard) -> str:
    return f"| [{guard.name}](#{guard.name}) | {default(guard)} | {_event(guard)} |"


def _section(guard: Guard) -> str:
    lines = [f"## {guard.name}", _wrap(guard.does)]
    told = f"Told by {_event(guard)}." if guard.event else "The client is told; there is no event."
    lines.append(_wrap(" ".join([told, *(_changed(key) for key in guard.keys)])))
    return "\n\n".join(lines)


def _changed(key: str) -> str:
    return f"Changed by `{key}` (default: {_shown(value_of(key))})."


def default(guard: Guard) -> str:
    """The numbers and switches among its keys; lists and names (networks, profiles) do not fit a table."""
    shown = ", ".join(_shown(value) for key in guard.keys if isinstance(value := value_of(key), (int, float)))
    return shown or ("off" if _NEEDED.intersection(guard.keys) else "on")


def _event(guard: Guard) -> str:
    return f"[`{guard.event}`](events.md#{guard.event.replace('.', '')})" if guard.event else "–"


def value_of(key: str) -> Any:
    """The default of `section.key`. Raises AttributeError for a key that is not there."""
    value: Any = msgspec.convert({"hostname": "-", "data_dir": "-"}, Config)
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int):
        return f"{value // _MIB} MiB" if value and not value % _MIB else f"{value:,}"
    if isinstance(value, float):
        return _duration(value)
    return "none" if value in ((), "") else str(value)


def _duration(seconds: float) -> str:
    """As it is written in the configuration."""
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds and not seconds % length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:g}s"


def _wrap(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def main(arguments: list[str]) -> int:
    text = render()
    if arguments == ["--check"]:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
            return 0
        print(f"{PAGE} is not what the code says: run tools/protection_page.py", file=sys.stderr)
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
