"""`ekiden ban`: which networks may not log in. A face of `admin.bans`, with no rules of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import click

from ekiden.cli.options import complaints, config_option, finish, json_option, load_config, operator
from ekiden.cli.output import echo_json, local_time, safe, table, utc_time
from ekiden.cli.selecting import parse_age

if TYPE_CHECKING:
    from ekiden.admin.bans import BanDesk
    from ekiden.ports.bans import Ban

_HEAD = "NETWORK", "SINCE", "UNTIL", "BY", "REASON"
_NETWORK = click.argument("network", metavar="ADDRESS|CIDR")


@click.group()
def ban() -> None:
    """See and change which networks may not log in.

    A ban closes 587, 465 and POP3 to a network, at once and in every worker; never port 25. Guards ban who goes on
    guessing passwords. Works with the server stopped, too."""


@ban.command("list")
@config_option
@json_option
def ban_list(config_path: str, *, as_json: bool) -> None:
    """List who is banned, until when, by whom and why; the newest first."""
    with _desk(config_path, look=True) as desk:
        bans = finish(desk.list())
    if as_json:
        echo_json([_json(one) for one in bans])
    elif not bans:
        click.echo("nobody is banned")
    else:
        ends = [_until(one).removeprefix("until ") for one in bans]
        rows = [(b.network, local_time(b.since), end, b.by, b.reason) for b, end in zip(bans, ends, strict=True)]
        click.echo(table(_HEAD, rows))


@ban.command("add")
@_NETWORK
@click.option("--for", "lasting", default="", metavar="TIME", help='So long, such as "2h"; default: until removed.')
@click.option("--reason", default="", help="Why; `list` and the event tell it.")
@config_option
@json_option
def ban_add(network: str, lasting: str, reason: str, config_path: str, *, as_json: bool) -> None:
    """Ban an address or a network from logging in; its connections to 587, 465 and POP3 end."""
    seconds = parse_age(lasting, "--for")
    if seconds == 0:
        raise click.UsageError("--for: no time at all; leave it out to ban until you remove it")
    with _desk(config_path) as desk:
        made = finish(desk.add(network, seconds, reason))
    if as_json:
        echo_json({"ok": True, **_json(made)})
    else:
        click.echo(f"{made.network} is banned, {_until(made)}")


@ban.command("remove")
@_NETWORK
@config_option
@json_option
def ban_remove(network: str, config_path: str, *, as_json: bool) -> None:
    """Lift a ban: the network may log in again."""
    with _desk(config_path) as desk:
        lifted = finish(desk.remove(network))
    if as_json:
        echo_json({"ok": True, "network": lifted.network})
    else:
        click.echo(safe(f"{lifted.network} may log in again"))


@contextmanager
def _desk(config_path: str, *, look: bool = False) -> Iterator[BanDesk]:
    config = load_config(config_path)
    from ekiden.admin.bans import BanDesk
    from ekiden.app.clock import SystemClock
    from ekiden.app.stores import act_as_user, open_bans, open_event_log

    by, clock = operator(), SystemClock()
    with ExitStack() as opened, complaints():
        act_as_user(config, make=not look)
        bans = opened.enter_context(closing(open_bans(config, make=not look)))
        sink = opened.enter_context(closing(open_event_log(config, clock, make=not look)))
        yield BanDesk(bans, sink, clock, config, by=by)


def _until(one: Ban) -> str:
    return "until it is removed" if one.until is None else f"until {local_time(one.until)}"


def _json(one: Ban) -> dict[str, Any]:
    return {
        "network": one.network,
        "since": utc_time(one.since),
        "until": utc_time(one.until),
        "by": one.by,
        "reason": one.reason,
        "times": one.times,
    }
