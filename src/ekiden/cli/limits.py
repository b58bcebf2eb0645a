"""`ekiden account profile`, `ekiden account recipients`: a face of `admin.sending`, with no rules of its own.

Added to the group in `cli.accounts`.
"""

from __future__ import annotations

from typing import TextIO

import click

from ekiden.cli.account_desk import all_desks, done
from ekiden.cli.options import config_option, finish, json_option
from ekiden.cli.output import count, echo_json


@click.command("profile")
@click.argument("address")
@click.argument("name", metavar="PROFILE")
@config_option
@json_option
def account_profile(address: str, name: str, config_path: str, *, as_json: bool) -> None:
    """Say how much ADDRESS may send.

    PROFILE is person (what everybody has at first), newsletter, application, or a [[profile]] of the configuration.
    Open sessions of the account end."""
    with all_desks(config_path) as desks:
        changed = finish(desks.sending.set_profile(address, name))
    text = f"{address} sends as {name}" if changed else f"{address} was {name} already"
    done(text, as_json=as_json, changed=changed)


@click.group("recipients")
def recipients() -> None:
    """Recipients that an account knows: those it has written to, and imported ones.

    Others are limited, first_time_recipients_per_day of the account's profile."""


@recipients.command("import")
@click.argument("address")
@click.argument("file", type=click.File(encoding="utf-8", errors="strict"))
@config_option
@json_option
def recipients_import(address: str, file: TextIO, config_path: str, *, as_json: bool) -> None:
    """Let ADDRESS know the recipients in FILE, one address a line; - is standard input.

    A running server learns of them within a minute."""
    try:
        lines = file.read().splitlines()
    except UnicodeDecodeError:
        raise click.UsageError("FILE is no UTF-8 text; write one address a line") from None
    with all_desks(config_path) as desks:
        imported = finish(desks.sending.import_recipients(address, lines))
    text = f"{address} knows {count(imported.new, 'more recipient')} now, {imported.known:,} in all"
    done(text, as_json=as_json, **imported._asdict())


@recipients.command("count")
@click.argument("address")
@config_option
@json_option
def recipients_count(address: str, config_path: str, *, as_json: bool) -> None:
    """Say how many recipients ADDRESS knows."""
    with all_desks(config_path, look=True) as desks:
        known = finish(desks.sending.known(address))
    if as_json:
        echo_json({"known": known})
    else:
        click.echo(f"{address} knows {count(known, 'recipient')}")
