"""Which letters a command means: the filters that `ekiden queue list` and everything that steers have in common.

Rule: what changes letters names one, or says `--all`; filters narrow that, and never stand for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from ekiden.model.ids import LetterId
    from ekiden.ports.spool import Selection

F = TypeVar("F", bound=Callable[..., Any])

_FILTERS = (
    click.option(
        "--site", "--next-hop", "next_hop", default="", metavar="HOP",
        help='Legs that go this way: a domain by MX, "route:NAME", "via:URL" or "local".',
    ),
    click.option("--domain", default="", help="Legs with a recipient at this domain."),
    click.option("--sender", default="", help='Letters from this reverse-path; "@example.org" or "<>", too.'),
    click.option("--account", default="", help="Letters that this login submitted."),
    click.option("--older-than", default="", metavar="AGE", help='Letters that arrived before that, such as "4h".'),
    click.option("--newer-than", default="", metavar="AGE", help='Letters that arrived after that, such as "5m".'),
    click.option("--state", type=click.Choice(["waiting", "claimed", "held"]), help="Legs in this state."),
    click.option("--error", default="", metavar="TEXT", help="Legs whose last error has this text in it."),
)  # fmt: skip

letter_argument = click.argument("letter_id", metavar="[ID]", default="")
all_option = click.option("--all", "everything", is_flag=True, help="All letters, or all that the filters mean.")


def filter_options(command: F) -> F:
    """Gives `command` the filters; it takes them as `**filters`."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def selection_of(filters: dict[str, Any], **more: Any) -> Selection:
    """Raises click.UsageError."""
    from ekiden.app.clock import SystemClock
    from ekiden.ports.spool import Selection

    now = SystemClock().now()
    older, newer = parse_age(filters["older_than"], "--older-than"), parse_age(filters["newer_than"], "--newer-than")
    return Selection(
        next_hop=_key(filters["next_hop"]),
        domain=filters["domain"],
        sender=filters["sender"],
        account=filters["account"],
        state=filters["state"] or "",
        error=filters["error"],
        arrived_before=None if older is None else now - older,
        arrived_after=None if newer is None else now - newer,
        **more,
    )


def target(letter_id: str, filters: dict[str, Any], *, everything: bool) -> Selection:
    """What a command that changes something means. Raises click.UsageError."""
    if bool(letter_id) == everything:
        raise click.UsageError("name one letter, or say --all")
    if letter_id and any(filters.values()):
        raise click.UsageError("filters go with --all, not with an ID")
    return selection_of(filters, letter=letter_number(letter_id, "ID") if letter_id else None)


def letter_number(text: str, argument: str) -> LetterId:
    """Raises click.UsageError."""
    from ekiden.model.ids import LetterId, parse_id

    try:
        return LetterId(parse_id(text))
    except ValueError as error:
        raise click.UsageError(f"{argument}: {error}; `ekiden queue list` shows ids") from None


def parse_age(text: str, option: str) -> float | None:
    """Seconds; None if nothing was given. Raises click.UsageError."""
    from ekiden.app.config_values import parse_duration

    if not text:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}") from None


def _target(text: str) -> str:
    from ekiden.admin.sites import NoSuchSite, target_of

    try:
        return target_of(text)
    except NoSuchSite as error:
        raise click.UsageError(f"--site: {error}") from None


def _key(text: str) -> str:
    """A next-hop key; a bare domain or address literal is meant by MX, a URL is where letters were rerouted to."""
    from ekiden.model.envelope import LOCAL, MX_PREFIX, ROUTE_PREFIX, VIA_PREFIX
    from ekiden.model.mailbox import domain_key

    if not text or text == LOCAL or text.startswith((ROUTE_PREFIX, VIA_PREFIX)):
        return text
    if "://" in text:
        return VIA_PREFIX + _target(text)
    return MX_PREFIX + domain_key(text.removeprefix(MX_PREFIX))
