"""`ekiden events`: a face of `admin.events`, with no rules of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ekiden.cli.options import config_option, finish, json_option, load_config
from ekiden.cli.output import count, echo_json, local_time, safe
from ekiden.cli.selecting import letter_number

if TYPE_CHECKING:
    from ekiden.config.model import Config
    from ekiden.ports.event_store import EventQuery, EventStore, FoundEvents

F = TypeVar("F", bound=Callable[..., Any])

#: How often `--follow` looks (seconds).
_AGAIN: Final = 0.5


_FILTERS: Final = (
    click.option("--since", default="", metavar="TIME", help='From then on: "1h" ago, or "2026-11-22 16:30".'),
    click.option("--until", default="", metavar="TIME", help="Before then; written in the same way."),
    click.option("--account", default="", help="Of this account."),
    click.option("--client", "clients", multiple=True, metavar="ADDRESS", help="From this address, or CIDR network."),
    click.option("--name", "names", multiple=True, metavar="NAME", help='Of this kind: "login.failed", "login.*".'),
    click.option("--door", default="", help="At this door, by its name or port: submission, 587."),
    click.option("--letter", default="", metavar="ID", help="About this letter."),
    click.option("--level", type=click.Choice(["info", "warning", "error"]), help="So grave at least."),
    click.option(
        "--limit", default=100, show_default=True, type=click.IntRange(1, 100_000), help="The newest so many."
    ),
)


def _filter_options(command: F) -> F:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@click.command()
@_filter_options
@click.option("--follow", is_flag=True, help="Go on as it happens, until Ctrl-C.")
@config_option
@json_option
def events(config_path: str, *, follow: bool, as_json: bool, **filters: Any) -> None:
    """Show what happened: logins, refusals, changes, faults. The newest come last.

    What a letter went through stands in `ekiden trace`; everything, in the log."""
    if follow and filters["until"]:
        raise click.UsageError("--follow goes on without an end; leave out --until")
    query = _query(filters)
    with suppress(KeyboardInterrupt):
        finish(_show(load_config(config_path), query, follow=follow, as_json=as_json))


def _query(filters: dict[str, Any]) -> EventQuery:
    """Raises click.UsageError."""
    from ekiden.model.ids import render_id
    from ekiden.ports.event_store import EventQuery

    letter = filters["letter"]
    query = EventQuery(
        since=_moment(filters["since"], "--since"),
        until=_moment(filters["until"], "--until"),
        account=filters["account"].strip(),
        networks=_networks(filters["clients"]),
        names=_names(filters["names"]),
        door=_door(filters["door"]),
        letter=render_id(letter_number(letter, "--letter")) if letter else "",
        level=filters["level"] or "",
        limit=filters["limit"],
    )
    if query.since is not None and query.until is not None and query.since >= query.until:
        raise click.UsageError("--until: is not after --since")
    return query


async def _show(config: Config, query: EventQuery, *, follow: bool, as_json: bool) -> None:
    from ekiden.admin import events  # noqa: F401 - `user` may not be able to read the program's folder
    from ekiden.app.stores import act_as_user, read_events

    act_as_user(config, make=False)
    store = read_events(config)
    found = await store.find(query)
    if follow:
        await _follow(store, query, found, as_json=as_json)
    elif as_json:
        echo_json([_fields(line) for _, line in found.events])
    else:
        _print(found)
        if not found.events:
            click.echo("no such event is in the store")
        elif len(found.events) == query.limit:
            click.echo(f"the newest {count(query.limit, 'event')}; --limit, --since and --until show others")


async def _follow(store: EventStore, query: EventQuery, found: FoundEvents, *, as_json: bool) -> None:
    import asyncio

    while True:
        if as_json:
            for _, line in found.events:
                click.echo(line)
        else:
            _print(found)
        if len(found.events) < query.limit:
            await asyncio.sleep(_AGAIN)
        found = await store.find(query._replace(after=found.mark))


def _print(found: FoundEvents) -> None:
    from ekiden.admin.events import tell

    for event in tell(found):
        click.echo(f"{local_time(event.time)}  {safe(event.name):<18}  {safe(event.sentence)}")


def _fields(line: bytes) -> object:
    import json

    return json.loads(line)


def _moment(text: str, option: str) -> float | None:
    """Seconds since 1970; None if nothing was given. Raises click.UsageError."""
    from datetime import datetime

    from ekiden.app.clock import SystemClock
    from ekiden.app.config_values import parse_duration

    if not text:
        return None
    with suppress(ValueError):
        return SystemClock().now() - parse_duration(text)
    try:
        return datetime.fromisoformat(text.strip()).astimezone().timestamp()
    except (ValueError, OverflowError, OSError):
        wanted = '"30m", "2h", "5d" for so long ago, or a time such as "2026-11-22 16:30"'
        raise click.UsageError(f'{option}: "{text}" is no time; write {wanted}') from None


def _networks(texts: Sequence[str]) -> tuple[str, ...]:
    from ekiden.app.config_values import parse_network

    for text in texts:
        try:
            parse_network(text, wide=True)
        except ValueError as error:
            raise click.UsageError(f"--client: {error}") from None
    return tuple(texts)


def _names(texts: Sequence[str]) -> tuple[str, ...]:
    from ekiden.admin.events import NoSuchEvent, check_names

    try:
        return check_names(texts)
    except NoSuchEvent as error:
        raise click.UsageError(f"--name: {error}") from None


def _door(text: str) -> str:
    """By its name or its port. Raises click.UsageError."""
    from ekiden.model.door import DOORS, Door

    if not text:
        return ""
    for door in Door:
        if text in (door.value, str(DOORS[door].port)):
            return door.value
    doors = ", ".join(f"{door.value} ({DOORS[door].port})" for door in Door)
    raise click.UsageError(f'--door: "{text}" is no door; there are {doors}')
