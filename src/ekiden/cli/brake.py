"""`ekiden brake`: a face of `admin.brakes`, with no rules of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, TypeVar

import click

from ekiden.cli.account_desk import all_desks, done
from ekiden.cli.asking import queue_desk
from ekiden.cli.options import config_option, finish, json_option, load_config, operator
from ekiden.cli.output import count, echo_json, local_time, table, utc_time
from ekiden.model.mailbox import Mailbox

if TYPE_CHECKING:
    from ekiden.admin.brakes import BrakeDesk
    from ekiden.config.model import Config
    from ekiden.model.habits import Habits

T = TypeVar("T")

revoke_option = click.option(
    "--revoke-app-password",
    "revoke",
    default="",
    metavar="ID",
    help='Revoke the app password of that id or name, too; "all": all of them.',
)


@click.group()
def brake() -> None:
    """Accounts whose letters are held, because they suddenly send as if their password were stolen."""


@brake.command("list")
@config_option
@json_option
def brake_list(config_path: str, *, as_json: bool) -> None:
    """List them, and why each is held."""
    braked = _with_desk(_early(config_path), lambda desk: desk.braked())
    if as_json:
        echo_json([{"account": name, "since": utc_time(b.since), "reason": b.reason} for name, b in braked.items()])
    elif not braked:
        click.echo("no account is held")
    else:
        click.echo(table(("ACCOUNT", "SINCE", "WHY"), [(n, local_time(b.since), b.reason) for n, b in braked.items()]))


@brake.command("release")
@click.argument("address")
@revoke_option
@config_option
@json_option
def brake_release(address: str, revoke: str, config_path: str, *, as_json: bool) -> None:
    """It was the owner: send what is held, and take such letters from now on."""
    config = _early(config_path)
    name = _named(address, revoke, config_path)
    legs = _with_desk(config, lambda desk: desk.release(name))
    done(f"{name} sends again; {count(legs, 'leg')} released", as_json=as_json, legs=legs)


@brake.command("bounce")
@click.argument("address")
@revoke_option
@config_option
@json_option
def brake_bounce(address: str, revoke: str, config_path: str, *, as_json: bool) -> None:
    """It was not the owner: send what is held back, and forget it.

    First make sure that the thief cannot log in any more: `ekiden account passwd`, or --revoke-app-password."""
    config = _early(config_path)
    name = _named(address, revoke, config_path)
    taken = _with_desk(config, lambda desk: desk.bounce(name))
    text = f"{name} sends again; {count(taken.legs, 'leg')} sent back"
    if taken.busy:
        text += f", {count(taken.busy, 'leg')} could not be taken right now: give the command again"
    done(text, as_json=as_json, legs=taken.legs, busy=taken.busy)


def _named(address: str, revoke: str, config_path: str) -> str:
    """The account's name, after the app password was revoked: whoever has it must not send what comes next."""
    if not revoke:  # an account that was removed may still hold letters
        local_part, _, domain = address.rpartition("@")
        return Mailbox(local_part, domain).key
    with all_desks(config_path) as desks:
        name = finish(desks.accounts.existing(address)).name
        if revoke == "all":
            finish(desks.app_passwords.revoke_all(address))
        else:
            finish(desks.app_passwords.revoke(address, revoke))
    return name


def habits_of(config: Config, account: str) -> Habits | None:
    """What is known of an account, for looking; None if nothing is."""

    async def ask() -> Habits | None:
        from ekiden.app.stores import has_guard_file, open_guard_file

        if not has_guard_file(config):
            return None
        with closing(open_guard_file(config)) as book:
            return await book.habits(account)

    return finish(ask())


def _early(config_path: str) -> Config:
    """What must be read before the command becomes `user`, who may not be able to."""
    from ekiden.admin import brakes, sites, steering  # noqa: F401 - loaded while it can be

    return load_config(config_path)


def _with_desk(config: Config, action: Callable[[BrakeDesk], Awaitable[T]]) -> T:
    async def act() -> T:
        async with _desk(config) as desk:
            return await action(desk)

    return finish(act())


@asynccontextmanager
async def _desk(config: Config) -> AsyncIterator[BrakeDesk]:
    import asyncio

    from ekiden.admin.brakes import Books, BrakeDesk
    from ekiden.app.clock import SystemClock
    from ekiden.app.stores import open_event_log, open_guard_file

    by, clock = operator(), SystemClock()
    async with queue_desk(config, by) as queue:
        with closing(open_guard_file(config)) as book, closing(open_event_log(config, clock)) as sink:
            yield BrakeDesk(Books(book, book), queue, clock, sink, asyncio.sleep, by=by)
