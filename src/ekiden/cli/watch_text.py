"""A look at a server in words: a screen, a line, an object. Pure but for the zone."""

from __future__ import annotations

import json

from ekiden.admin.watching import DoorSight, Sight
from ekiden.cli.output import count, local_time, safe, table, utc_time
from ekiden.cli.reasons import hindered_text, site_json
from ekiden.model.door import DOORS, Door
from ekiden.model.printable import escape_json

#: Sites of one screen.
_SITES = 10


def sight_text(sight: Sight) -> str:
    """A screen, without a newline at its end."""
    note = "   (sessions and queue: now; counts: last minute)" if sight.workers else ""
    blocks = [f"{local_time(sight.time)}   {_workers(sight)}{note}", _doors(sight), "\n".join(_figures(sight))]
    if sight.refused:
        rows = [(rule or "-", f"{times:,}") for rule, times in sight.refused]
        blocks.append(table(("REFUSED BY", "TIMES"), rows, right=frozenset({1})))
    if sight.guessers:
        rows = [(network, f"{times:,}") for network, times in sight.guessers]
        blocks.append(table(("GUESSERS", "WRONG LOGINS, LAST HOUR"), rows, right=frozenset({1})))
    if sight.sites:
        rows = [(one.site, hindered_text(one, sight.time)) for one in sight.sites[:_SITES]]
        more = f"\nand {len(sight.sites) - _SITES} more: ekiden queue sites" if len(sight.sites) > _SITES else ""
        blocks.append(table(("SITE", "STATE"), rows) + more)
    return "\n\n".join(block for block in blocks if block)


def sight_line(sight: Sight) -> str:
    """One line."""
    by_door = ", ".join(f"{one.door} {one.sessions}" for one in sight.doors if one.sessions)
    sessions = count(sum(one.sessions for one in sight.doors), "session")
    resting = sum(one.state == "resting" for one in sight.sites)
    parts = [
        f"{_workers(sight)}, {sessions}{by_door and f' ({by_door})'}",
        f"letters in {sight.letters_in:,} out {sight.letters_out:,}",
        f"queue {_queue(sight)}",
        f"refused {sum(times for _, times in sight.refused):,}",
        f"logins {sight.logins:,} wrong {sight.logins_failed:,}",
    ]
    if sight.guessers:
        parts.append(f"guessers {', '.join(f'{network} {times:,}' for network, times in sight.guessers[:3])}")
    if sight.bans:
        parts.append(f"bans {sight.bans:,}")
    if resting:
        parts.append(f"resting {count(resting, 'site')}")
    return safe(f"{local_time(sight.time)}  {'; '.join(parts)}")


def sight_json(sight: Sight) -> str:
    """One line. What is counted is of the last minute, but sessions, queue, bans and sites (now) and guessers."""
    value = {
        "time": utc_time(sight.time),
        "workers": sight.workers,
        "doors": {
            one.door: {"sessions": one.sessions, "ended": one.ended, "letters": one.letters, "logins": one.logins}
            for one in sight.doors
        },
        "letters_in": sight.letters_in,
        "letters_out": sight.letters_out,
        "recipients_bounced": sight.bounced,
        "recipients_delayed": sight.delayed,
        "logins": sight.logins,
        "logins_failed": sight.logins_failed,
        "refused": dict(sight.refused),
        "guessers": [{"network": network, "wrong_logins": times} for network, times in sight.guessers],
        "queue": sight.queue,
        "in_memory": sight.in_memory,
        "bans": sight.bans,
        "sites": [{k: v for k, v in site_json(one, 0).items() if k != "waiting"} for one in sight.sites],
    }
    return escape_json(json.dumps(value, ensure_ascii=False))


def _workers(sight: Sight) -> str:
    return count(sight.workers, "worker") if sight.workers else "no server runs"


def _doors(sight: Sight) -> str:
    if not sight.doors:
        return ""
    head = ("DOOR", "PORT", "SESSIONS", "ENDED", "LETTERS IN", "LOGINS")
    return table(head, [_door(one) for one in sight.doors], right=frozenset(range(1, 6)))


def _door(one: DoorSight) -> tuple[str, ...]:
    port = str(DOORS[Door(one.door)].port)
    return one.door, port, f"{one.sessions:,}", f"{one.ended:,}", f"{one.letters:,}", f"{one.logins:,}"


def _figures(sight: Sight) -> list[str]:
    lines = [f"queue     {_queue(sight)}"]
    if sight.workers:
        failed = f"recipients: {sight.bounced:,} bounced, {sight.delayed:,} put off"
        lines.append(f"letters   {sight.letters_in:,} in, {sight.letters_out:,} out; {failed}")
        lines.append(f"logins    {sight.logins:,} good, {sight.logins_failed:,} wrong")
    if sight.bans:
        lines.append(f"bans      {count(sight.bans, 'network')}: ekiden ban list")
    return lines


def _queue(sight: Sight) -> str:
    """Legs: a letter to two places waits twice."""
    queue = sight.queue
    states = ("waiting", "waiting"), ("held", "held"), ("claimed", "in hand")
    return ", ".join(f"{queue.get(state, 0):,} {word}" for state, word in states)
