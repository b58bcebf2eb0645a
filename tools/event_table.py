"""Makes docs/events.md: the name of each event, when it happens, its fields, and whether the store keeps it.

The code is the source: the classes of `ekiden.model.events` and `caller_events`, their docstrings and fields.

    python tools/event_table.py            writes docs/events.md
    python tools/event_table.py --check    exit 1 if it is not what the code says
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ekiden.model import caller_events, events
from ekiden.model.events import ORDINARY_ENDS, Event, SessionClosed

PAGE = Path(__file__).resolve().parent.parent / "docs" / "events.md"
WIDTH = 120
MODULES = (events, caller_events)
HEAD = """# Events

Made by `tools/event_table.py` from `src/ekiden/model/events.py` and `caller_events.py`; do not edit.

An event is something that happened: a login, a refusal, a changed account. It is one line of JSON in the
[log](first-server.md), and most are kept for 30 days where `ekiden events` finds them:

```
ekiden events --since 1h                          what happened in the last hour
ekiden events --account you@example.org           one account's logins and changes
ekiden events --client 192.0.2.0/24 --since 1d    what came from a network
ekiden events --name 'login.*' --level warning    logins that failed
ekiden events --follow                            go on as it happens
```

`--json` gives the lines of the log. Names and fields are stable: fields are added, never renamed or removed. A field
with an empty or zero value is left out.

Every line has `time` (UTC), `pid` and `event` (the name), and `level` unless it is `info` (`warning`, `error`). The
same ids lead through: `session` (a connection), `letter` (also in the 250 reply, in `Received` and in `ekiden queue
list`), `leg`, `attempt`. `door` is the name of a door, `client` an IP address, `account` a login. No event holds a
password or content.

## What is kept, and how long

The log has every event. The store, `events` in `data_dir`, has those marked below, for `[history] days` and within
`[events] octets`: the oldest days go first, and today may take half, so that a flood at noon does not cost the weeks
before. It works while the server runs and while it does not.

- **What floods is counted.** Of one kind of event from one network (/24, IPv6 /64) the first 100 of a minute are kept,
  then one line says how many more there were. A login that succeeds again and again (the same account, address and
  door) is kept five times an hour.
- **It is no proof.** The last quarter of a second before a process is killed with SIGKILL, and the last moments before
  a power cut, may be missing. What was promised to somebody (letters, their reports) is in the queue, never here.
- **A store that fails fails no mail.** What cannot be written is tried again; `events.dropped` in the log says since
  when, why, and how much was lost."""


def classes() -> Iterator[tuple[str, type[Event]]]:
    """(name, class), by name."""
    members = [kind for module in MODULES for _, kind in inspect.getmembers(module, inspect.isclass)]
    found = {kind for kind in members if issubclass(kind, Event) and kind is not Event}
    yield from sorted((str(kind.__struct_config__.tag), kind) for kind in found)


def render() -> str:
    blocks = [HEAD, "## All of them", _table()]
    for name, kind in classes():
        when = " ".join((kind.__doc__ or "").split())
        fields = ", ".join(f"`{field.name}`" for field in msgspec.structs.fields(kind) if field.name != "level")
        blocks.append(f"### {name}\n\n{_wrap(when)}\n\n{_wrap(f'Fields: {fields}.')}")
    return "\n\n".join(blocks) + "\n"


def _table() -> str:
    rows = ["| name | when | kept |", "|---|---|---|"]
    for name, kind in classes():
        first = re.split(r"(?<=[.:]) ", " ".join((kind.__doc__ or "").split()))[0].rstrip(".:;")
        rows.append(f"| [{name}](#{name.replace('.', '')}) | {first} | {kept(kind)} |")
    return "\n".join(rows)


def kept(kind: type[Event]) -> str:
    if kind is SessionClosed:
        return f"unless it ended by {', '.join(sorted(ORDINARY_ENDS))}"
    return "yes" if kind.is_kept is Event.is_kept else "no: the letter's trail tells"


def _wrap(text: str) -> str:
    return "\n".join(textwrap.wrap(text, WIDTH, break_on_hyphens=False, break_long_words=False))


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    text = render()
    if not arguments:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        print("docs/events.md is not what the events say; run: python tools/event_table.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
