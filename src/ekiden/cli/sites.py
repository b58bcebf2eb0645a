"""`ekiden queue sites`, `suspend`, `resume`, `suspensions`, `reroute`: where letters go, and where nothing goes.

A face of `admin.sites` and `admin.steering`, with no rules of its own. Added to the group in `queue`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ekiden.cli.asking import look, steer, steer_sites
from ekiden.cli.options import Failure, config_option, json_option
from ekiden.cli.output import count, echo_json, table, with_reasons
from ekiden.cli.selecting import all_option, filter_options, letter_argument, parse_age, target

if TYPE_CHECKING:
    from ekiden.admin.queue import QueueView
    from ekiden.ports.spool import SiteStatus, Suspension

_SITE = click.argument("site", metavar="SITE")


@click.command("sites")
@config_option
@json_option
def queue_sites(config_path: str, *, as_json: bool) -> None:
    """List the sites that do not take all that waits: they rest, are suspended, or are at their limits.

    It is what the workers say, a second or a few ago. A site that is not listed takes what comes."""
    from ekiden.app.clock import SystemClock
    from ekiden.cli.reasons import SITE_HEAD, site_json, site_row

    now = SystemClock().now()
    found = look(config_path, lambda view: _hindered(view, now))
    if as_json:
        echo_json([site_json(status, waiting) for status, waiting in found])
    elif not found:
        click.echo("all sites take what comes")
    else:
        rows = [site_row(status, waiting, now) for status, waiting in found]
        click.echo(with_reasons(SITE_HEAD, rows, [status.reason for status, _ in found], frozenset({2, 3, 4})))


@click.command("suspend")
@_SITE
@click.option("--for", "lasting", default="", metavar="TIME", help='So long, such as "2h"; default: until resumed.')
@click.option("--reason", default="", help="Why; `suspensions` and `show` tell it.")
@config_option
@json_option
def queue_suspend(site: str, lasting: str, reason: str, config_path: str, *, as_json: bool) -> None:
    """Send nothing to a site for a while; its letters wait.

    SITE is a domain, an MX host, a route (its name, or route:NAME), "local", or a next-hop key as `queue shape --json`
    shows it. What is being sent right now is finished."""
    from ekiden.cli.reasons import suspension_json, suspension_text, waiting_text

    seconds = parse_age(lasting, "--for")
    if seconds == 0:
        raise click.UsageError("--for: no time at all; leave it out to suspend until you resume")
    done = steer_sites(config_path, lambda desk: desk.suspend(site, seconds, reason))
    if as_json:
        echo_json({"ok": True, **suspension_json(done.suspension, done.waiting)})
    else:
        click.echo(f"{suspension_text(done.suspension)}; {waiting_text(done.suspension.site, done.waiting)}")


@click.command("resume")
@_SITE
@config_option
@json_option
def queue_resume(site: str, config_path: str, *, as_json: bool) -> None:
    """End a suspension: letters for the site go again."""
    from ekiden.cli.reasons import site_text, waiting_text

    done = steer_sites(config_path, lambda desk: desk.resume(site))
    if done is None:
        raise Failure(f"{site} is not suspended; `ekiden queue suspensions` shows what is")
    name = done.suspension.site
    if as_json:
        echo_json({"ok": True, "site": name, "waiting": done.waiting})
    else:
        click.echo(f"{site_text(name)} is resumed; {waiting_text(name, done.waiting)}")


@click.command("suspensions")
@config_option
@json_option
def queue_suspensions(config_path: str, *, as_json: bool) -> None:
    """List the sites to which nothing is sent, until when, and who said so."""
    from ekiden.app.clock import SystemClock
    from ekiden.cli.reasons import SUSPENSION_HEAD, suspension_json, suspension_row

    now = SystemClock().now()
    found = look(config_path, lambda view: _with_waiting(view, now))
    if as_json:
        echo_json([suspension_json(one, waiting) for one, waiting in found])
    elif not found:
        click.echo("no site is suspended")
    else:
        rows = [suspension_row(one, waiting, now) for one, waiting in found]
        click.echo(table(SUSPENSION_HEAD, rows, right=frozenset({1})))


@click.command("reroute")
@letter_argument
@all_option
@filter_options
@click.option("--to", "to", required=True, metavar="URL", help='Where to, or "mx": back to the configuration\'s way.')
@config_option
@json_option
def queue_reroute(
    letter_id: str, to: str, config_path: str, *, everything: bool, as_json: bool, **filters: Any
) -> None:
    """Send letters another way, at once: smtp://HOST:PORT, smtps://, lmtp:// or lmtp+unix:///PATH.

    They stay on that way until they are delivered or sent back to what the configuration says (--to mx). Held letters
    go that way when they are released; what is being tried right now is left alone."""
    from ekiden.admin.sites import target_of
    from ekiden.admin.steering import BACK
    from ekiden.cli.options import complaints

    selection = target(letter_id, filters, everything=everything)
    with complaints():
        via = "" if to == BACK else target_of(to)
    legs = steer(config_path, lambda desk: desk.reroute(selection, via))
    if as_json:
        echo_json({"ok": True, "legs": legs, "to": via or BACK})
    elif legs:
        click.echo(f"{count(legs, 'leg')} rerouted to {via}" if via else f"{count(legs, 'leg')} back on the usual way")
    else:
        click.echo("nothing was rerouted: it is on that way already, or is being tried right now")


async def _hindered(view: QueueView, now: float) -> list[tuple[SiteStatus, int]]:
    from ekiden.admin.hindrances import all_hindered

    known = await view.hindrances()
    return [(status, await view.waiting_at(status)) for status in all_hindered(known, now)]


async def _with_waiting(view: QueueView, now: float) -> list[tuple[Suspension, int]]:
    from ekiden.admin.sites import next_hop_of

    return [(one, await view.waiting(next_hop_of(one.site))) for one in await view.suspensions(now)]
