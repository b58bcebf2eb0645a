"""`ekiden account quota`, `ekiden account recount`: a face of `admin.quotas`, with no rules of its own.

Added to the group in `cli.accounts`.
"""

from __future__ import annotations

import click

from ekiden.cli.account_desk import all_desks, done
from ekiden.cli.options import config_option, finish, json_option


@click.command("quota")
@click.argument("address")
@click.argument("quota", metavar="SIZE")
@config_option
@json_option
def account_quota(address: str, quota: str, config_path: str, *, as_json: bool) -> None:
    """Say what the mailbox ADDRESS may hold.

    SIZE is such as 500MiB or 2GiB; none is no limit, default is mailbox_quota of its domain. Open sessions of the
    account end."""
    octets = _octets(quota)
    with all_desks(config_path) as desks:
        changed = finish(desks.quotas.set(address, octets))
    text = f"{address} has the quota {quota}" if changed else f"{address} had that quota already"
    done(text, as_json=as_json, changed=changed)


@click.command("recount")
@click.argument("address")
@config_option
@json_option
def account_recount(address: str, config_path: str, *, as_json: bool) -> None:
    """Count anew what the mailbox ADDRESS holds.

    For when another program has brought or removed letters; it happens by itself once a day."""
    with all_desks(config_path) as desks:
        held = finish(desks.quotas.recount(address))
    done(f"{address} holds {held.text}", as_json=as_json, octets=held.octets, messages=held.messages, quota=held.quota)


def _octets(text: str) -> int:
    from ekiden.app.config_values import parse_size
    from ekiden.policy.quota import AS_DOMAIN

    if text in ("none", "default"):
        return 0 if text == "none" else AS_DOMAIN
    try:
        octets = parse_size(int(text) if text.isascii() and text.isdigit() else text)
    except ValueError as error:
        raise click.UsageError(f"SIZE: {error}") from None
    if not octets:
        raise click.UsageError("SIZE: 0 would take no letter; write none for no limit")
    return octets
