"""`ekiden queue` and `ekiden trace`: a face of `admin.queue` and `admin.steering`, with no rules of its own."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import click

from ekiden.cli import sites
from ekiden.cli.asking import look, steer
from ekiden.cli.options import config_option, json_option
from ekiden.cli.output import count, echo_json, safe, table, with_reasons
from ekiden.cli.selecting import all_option, filter_options, letter_argument, letter_number, selection_of, target

if TYPE_CHECKING:
    from ekiden.admin.hindrances import Hindrances
    from ekiden.admin.queue import QueueView, Shape, Story
    from ekiden.admin.steering import Taken
    from ekiden.model.ids import LetterId
    from ekiden.ports.spool import Content, QueuedLetter, Selection

_SHOWN = "ID", "AGE", "SIZE", "NEXT TRY", "FROM", "TO"


@click.group()
def queue() -> None:
    """The letters that wait to be delivered."""


@queue.command("list")
@filter_options
@click.option("--limit", default=100, show_default=True, type=click.IntRange(min=1), help="At most so many letters.")
@click.option("--after", default="", metavar="ID", help="The next page: letters after this one.")
@config_option
@json_option
def queue_list(limit: int, after: str, config_path: str, *, as_json: bool, **filters: Any) -> None:
    """List letters, the oldest first."""
    from ekiden.app.clock import SystemClock
    from ekiden.cli.letters import letter_json, list_row, reason_line
    from ekiden.model.ids import render_id

    page = letter_number(after, "--after") if after else None
    selection, now = selection_of(filters, after=page, limit=limit), SystemClock().now()
    letters, counts, known = look(config_path, lambda view: _overview(view, selection))
    if as_json:
        echo_json([letter_json(letter, known, now) for letter in letters])
        return
    if letters:
        rows = [list_row(letter, known, now) for letter in letters]
        click.echo(with_reasons(_SHOWN, rows, [reason_line(x, known, now) for x in letters], frozenset({1, 2})))
        click.echo()
    click.echo(_summary(len(letters), counts))
    if suspensions := known.suspensions(now):
        click.echo(f"{count(len(suspensions), 'site is', 'sites are')} suspended: `ekiden queue suspensions`")
    if len(letters) == limit:
        click.echo(f"more: --after {render_id(letters[-1].letter)}")


@queue.command("show")
@click.argument("letter_id", metavar="ID")
@click.option("--content", is_flag=True, help="The letter itself, as it is stored, instead of what is known of it.")
@click.option("--header", is_flag=True, help="Its header section alone.")
@config_option
@json_option
def queue_show(letter_id: str, config_path: str, *, content: bool, header: bool, as_json: bool) -> None:
    """Show a letter: envelope, legs, why each waits, next attempt, trail."""
    letter = letter_number(letter_id, "ID")
    if content and header:
        raise click.UsageError("--content has the header section in it; give one of the two")
    if content or header:
        if as_json:
            echo_json(look(config_path, lambda view: _content_json(view, letter, header=header)))
        else:
            look(config_path, lambda view: _print_content(view, letter, header=header))
        return
    _print_stories([look(config_path, lambda view: view.story(letter))], as_json=as_json, one=True)


@queue.command("shape")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1), help="At most so many next hops.")
@config_option
@json_option
def queue_shape(limit: int, config_path: str, *, as_json: bool) -> None:
    """Show how much waits for which next hop, and how long it has been here."""
    from ekiden.app.clock import SystemClock
    from ekiden.cli.letters import shape_json, shape_rows

    now = SystemClock().now()
    shape, known = look(config_path, lambda view: _shape(view, now))
    if as_json:
        echo_json(shape_json(shape, known, now))
        return
    if not shape.rows:
        click.echo("the queue is empty")
        return
    head, *rows = shape_rows(shape, known, now, limit)
    click.echo(table(head, rows, right=frozenset(range(1, len(head) - 1))))


@queue.command("hold")
@letter_argument
@all_option
@filter_options
@click.option("--reason", default="", help="Why; `show` tells it.")
@config_option
@json_option
def queue_hold(
    letter_id: str, reason: str, config_path: str, *, everything: bool, as_json: bool, **filters: Any
) -> None:
    """Hold letters: they stay until somebody releases them."""
    selection = target(letter_id, filters, everything=everything)
    legs = steer(config_path, lambda desk: desk.hold(selection, reason))
    _print_changed(legs, "held", "nothing was waiting: it is being tried right now, or is held", as_json=as_json)


@queue.command("release")
@letter_argument
@all_option
@filter_options
@config_option
@json_option
def queue_release(letter_id: str, config_path: str, *, everything: bool, as_json: bool, **filters: Any) -> None:
    """Release what is held: it is tried at once."""
    selection = target(letter_id, filters, everything=everything)
    legs = steer(config_path, lambda desk: desk.release(selection))
    _print_changed(legs, "released", "nothing was held", as_json=as_json)


@queue.command("retry")
@letter_argument
@all_option
@filter_options
@config_option
@json_option
def queue_retry(letter_id: str, config_path: str, *, everything: bool, as_json: bool, **filters: Any) -> None:
    """Try letters now that wait."""
    selection = target(letter_id, filters, everything=everything)
    legs = steer(config_path, lambda desk: desk.retry(selection))
    _print_changed(legs, "due now", "nothing was waiting: it is being tried right now, or is held", as_json=as_json)


@queue.command("bounce")
@letter_argument
@all_option
@filter_options
@click.option("--reason", default="", help="What the sender is told.")
@config_option
@json_option
def queue_bounce(
    letter_id: str, reason: str, config_path: str, *, everything: bool, as_json: bool, **filters: Any
) -> None:
    """Give letters up: their senders get a report that they were not delivered."""
    selection = target(letter_id, filters, everything=everything)
    taken = steer(config_path, lambda desk: desk.bounce(selection, reason))
    _print_taken(taken, "bounced", letter_id, as_json=as_json)


@queue.command("remove")
@letter_argument
@all_option
@filter_options
@config_option
@json_option
def queue_remove(letter_id: str, config_path: str, *, everything: bool, as_json: bool, **filters: Any) -> None:
    """Remove letters. Nobody gets a report; the trail says who removed them."""
    selection = target(letter_id, filters, everything=everything)
    taken = steer(config_path, lambda desk: desk.remove(selection))
    _print_taken(taken, "removed", letter_id, as_json=as_json)


def _print_changed(legs: int, done: str, nothing: str, *, as_json: bool) -> None:
    if as_json:
        echo_json({"ok": True, "legs": legs})
    else:
        click.echo(f"{count(legs, 'leg')} {done}" if legs else nothing)


def _print_taken(taken: Taken, done: str, letter_id: str, *, as_json: bool) -> None:
    """Raises Failure if something was left alone."""
    if as_json:
        echo_json({"ok": not taken.busy, done: taken.legs, "busy": taken.busy})
    elif taken.legs or not taken.busy:
        click.echo(f"{done} {count(taken.legs, 'leg')}" + (f" of {letter_id}" if letter_id else ""))
    if taken.busy:
        from ekiden.cli.options import Failure

        which = f"{letter_id}: " if letter_id else ""
        raise Failure(f"{which}{count(taken.busy, 'leg')} being tried right now; see how that ends, try again")


@click.command()
@click.argument("text", metavar="ID-OR-MESSAGE-ID")
@config_option
@json_option
def trace(text: str, config_path: str, *, as_json: bool) -> None:
    """Tell a letter's story: who, when, by which door, each attempt and what the other server said."""
    _print_stories(look(config_path, lambda view: view.trace(text)), as_json=as_json)


def _print_stories(stories: list[Story], *, as_json: bool, one: bool = False) -> None:
    from ekiden.app.clock import SystemClock
    from ekiden.cli.letters import story_json, story_lines

    now = SystemClock().now()
    if as_json:
        values = [story_json(story, now) for story in stories]
        echo_json(values[0] if one else values)
        return
    click.echo("\n\n".join("\n".join(story_lines(story, now)) for story in stories))


async def _content_json(view: QueueView, letter: LetterId, *, header: bool) -> dict[str, Any]:
    """Octets in base64: a letter need not be text."""
    import base64

    from ekiden.model.ids import render_id

    octets = b"".join([chunk async for chunk in await _chunks(view, letter, header=header)])
    name = "header_base64" if header else "content_base64"
    return {"letter": render_id(letter), "octets": len(octets), name: base64.b64encode(octets).decode("ascii")}


async def _chunks(view: QueueView, letter: LetterId, *, header: bool) -> AsyncIterator[bytes]:
    content: Content = await view.content(letter)
    if not header:
        return content.chunks()
    section = await view.header_section(letter, content)

    async def alone() -> AsyncIterator[bytes]:
        yield section

    return alone()


async def _print_content(view: QueueView, letter: LetterId, *, header: bool) -> None:
    # A terminal obeys control sequences; a file or a pipe gets every octet as it is.
    harmless = sys.stdout.isatty()
    async for chunk in await _chunks(view, letter, header=header):
        if harmless:
            lines = chunk.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
            click.echo("\n".join(safe(line) for line in lines), nl=False)
        else:
            sys.stdout.buffer.write(chunk)
    sys.stdout.flush()


def _summary(shown: int, counts: dict[str, int]) -> str:
    letters = counts.get("letters", 0)
    if not letters:
        return "the queue is empty"
    legs = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()) if state != "letters" and number)
    return f"{shown} of {count(letters, 'letter')}; legs: {legs or 'none'}"


async def _overview(view: QueueView, selection: Selection) -> tuple[list[QueuedLetter], dict[str, int], Hindrances]:
    return await view.letters(selection), await view.counts(), await view.hindrances()


async def _shape(view: QueueView, now: float) -> tuple[Shape, Hindrances]:
    return await view.shape(now), await view.hindrances()


for command in (
    sites.queue_sites,
    sites.queue_suspend,
    sites.queue_resume,
    sites.queue_suspensions,
    sites.queue_reroute,
):
    queue.add_command(command)
