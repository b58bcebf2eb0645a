"""`ekiden account send-as`: a face of `admin.grants`, with no rules of its own.

Added to the group in `cli.accounts`.
"""

from __future__ import annotations

import click

from ekiden.cli.account_desk import all_desks, done
from ekiden.cli.options import config_option, finish, json_option
from ekiden.cli.output import echo_json, safe


@click.group("send-as")
def send_as() -> None:
    """Other addresses that an account may send as.

    Its own address and its aliases need no grant."""


@send_as.command("add")
@click.argument("address")
@click.argument("other", metavar="OTHER")
@config_option
@json_option
def send_as_add(address: str, other: str, config_path: str, *, as_json: bool) -> None:
    """Let ADDRESS send as OTHER too.

    OTHER is an address, here or elsewhere, or @example.org for all of a domain. Open sessions of the account end."""
    with all_desks(config_path) as desks:
        changed = finish(desks.grants.add(address, other))
    text = f"{address} may send as {other}" if changed else f"{address} could send as {other} already"
    done(text, as_json=as_json, changed=changed)


@send_as.command("list")
@click.argument("address")
@config_option
@json_option
def send_as_list(address: str, config_path: str, *, as_json: bool) -> None:
    """List what ADDRESS was granted."""
    with all_desks(config_path, look=True) as desks:
        granted = finish(desks.grants.list(address))
    if as_json:
        echo_json(list(granted))
    else:
        click.echo("\n".join(map(safe, granted)) or "nothing was granted; it may send as itself and its aliases")


@send_as.command("remove")
@click.argument("address")
@click.argument("other", metavar="OTHER")
@config_option
@json_option
def send_as_remove(address: str, other: str, config_path: str, *, as_json: bool) -> None:
    """Take OTHER away from ADDRESS. Open sessions of the account end."""
    with all_desks(config_path) as desks:
        finish(desks.grants.remove(address, other))
    done(f"{address} may no longer send as {other}", as_json=as_json)
