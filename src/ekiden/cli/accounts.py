"""`ekiden account`, `ekiden alias`, `ekiden domain`: a face of `admin.accounts`, with no rules of its own.

Passwords come from standard input (`--password-stdin`) or from a prompt that asks twice; never from the command line,
where every user of the machine can read them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import click

from ekiden.cli.options import complaints, config_option, finish, json_option, load_config, operator
from ekiden.cli.output import count, echo_json, local_time, safe, table, utc_time

if TYPE_CHECKING:
    from ekiden.admin.accounts import AccountDesk
    from ekiden.model.account import Account, Alias

#: A password has 1,024 octets at most; what is longer is the wrong file.
_MOST_STDIN = 64 * 1024

_password_option = click.option(
    "--password-stdin", "from_stdin", is_flag=True, help="Read the password from standard input instead of asking."
)


@click.group()
def account() -> None:
    """Accounts: login, mailbox and address in one. Changes reach a running server within a second."""


@account.command("add")
@click.argument("address")
@_password_option
@config_option
@json_option
def account_add(address: str, config_path: str, *, from_stdin: bool, as_json: bool) -> None:
    """Add the account ADDRESS, such as you@example.org."""
    with _desk(config_path) as desk:
        name = finish(desk.free_name(address))
        added = finish(desk.add(address, _password(name, from_stdin=from_stdin)))
    _done(f"added {added.name}", as_json=as_json, account=_as_json(added))


@account.command("passwd")
@click.argument("address")
@_password_option
@config_option
@json_option
def account_passwd(address: str, config_path: str, *, from_stdin: bool, as_json: bool) -> None:
    """Set a new password; sessions that are open end within a second."""
    with _desk(config_path) as desk:
        name = finish(desk.existing(address)).name
        finish(desk.passwd(address, _password(name, from_stdin=from_stdin)))
    _done(f"{name} has a new password", as_json=as_json)


@account.command("list")
@click.argument("domain", default="")
@config_option
@json_option
def account_list(domain: str, config_path: str, *, as_json: bool) -> None:
    """List all accounts, or those of DOMAIN."""
    with _desk(config_path, look=True) as desk:
        accounts = finish(desk.accounts(domain))
    if as_json:
        echo_json([_as_json(account) for account in accounts])
    elif not accounts:
        click.echo("no accounts" + (f" at {safe(domain)}" if domain else "; `ekiden account add` makes the first"))
    else:
        rows = [
            (a.name, "enabled" if a.enabled else "disabled", local_time(a.created), local_time(a.changed))
            for a in accounts
        ]
        click.echo(table(("ACCOUNT", "LOGIN", "ADDED", "CHANGED"), rows))


@account.command("disable")
@click.argument("address")
@config_option
@json_option
def account_disable(address: str, config_path: str, *, as_json: bool) -> None:
    """No login any more, open sessions end; mail still arrives."""
    with _desk(config_path) as desk:
        changed = finish(desk.disable(address))
    _done(f"{address} is disabled" if changed else f"{address} was disabled already", as_json=as_json, changed=changed)


@account.command("enable")
@click.argument("address")
@config_option
@json_option
def account_enable(address: str, config_path: str, *, as_json: bool) -> None:
    """Let a disabled account log in again, with the password it had."""
    with _desk(config_path) as desk:
        changed = finish(desk.enable(address))
    _done(f"{address} is enabled" if changed else f"{address} was enabled already", as_json=as_json, changed=changed)


@account.command("remove")
@click.argument("address")
@config_option
@json_option
def account_remove(address: str, config_path: str, *, as_json: bool) -> None:
    """Remove an account. Its mailbox stays on disk; letters on their way to it are reported to their senders."""
    with _desk(config_path) as desk:
        left = finish(desk.remove(address))
    _done(f"removed {address}; its mailbox stays on disk", as_json=as_json, aliases=[alias.name for alias in left])
    if left and not as_json:
        names = ", ".join(alias.name for alias in left)
        verb = "leads" if len(left) == 1 else "lead"
        click.echo(f"note: {count(len(left), 'alias', 'aliases')} still {verb} to it: {safe(names)}")


@click.group()
def alias() -> None:
    """Aliases: addresses that lead to others, here or elsewhere."""


@alias.command("add")
@click.argument("name", metavar="ALIAS")
@click.argument("targets", nargs=-1, required=True, metavar="TARGET...")
@config_option
@json_option
def alias_add(name: str, targets: tuple[str, ...], config_path: str, *, as_json: bool) -> None:
    """Let ALIAS lead to TARGET, and to what it led before. @example.org catches all that has no mailbox there."""
    with _desk(config_path) as desk:
        added = finish(desk.add_alias(name, targets))
    _done(f"{added.name} leads to {', '.join(added.targets)}", as_json=as_json, alias=_alias_as_json(added))


@alias.command("list")
@click.argument("domain", default="")
@config_option
@json_option
def alias_list(domain: str, config_path: str, *, as_json: bool) -> None:
    """List all aliases, or those of DOMAIN."""
    with _desk(config_path, look=True) as desk:
        aliases = finish(desk.aliases(domain))
    if as_json:
        echo_json([_alias_as_json(alias) for alias in aliases])
    elif not aliases:
        click.echo("no aliases" + (f" at {safe(domain)}" if domain else ""))
    else:
        click.echo(table(("ALIAS", "LEADS TO"), [(alias.name, ", ".join(alias.targets)) for alias in aliases]))


@alias.command("remove")
@click.argument("name", metavar="ALIAS")
@click.argument("target", default="")
@config_option
@json_option
def alias_remove(name: str, target: str, config_path: str, *, as_json: bool) -> None:
    """Remove ALIAS, or only its TARGET."""
    with _desk(config_path) as desk:
        finish(desk.remove_alias(name, target))
    _done(f"{name} leads no more to {target}" if target else f"removed {name}", as_json=as_json)


@click.group()
def domain() -> None:
    """Domains whose mail is ours. They are configured: [[domain]] in ekiden.toml."""


@domain.command("list")
@config_option
@json_option
def domain_list(config_path: str, *, as_json: bool) -> None:
    """List our domains.

    Says how the recipients of each are known, and how many accounts and aliases we hold.
    """
    with _desk(config_path, look=True) as desk:
        domains = finish(desk.domain_summaries())
    if as_json:
        echo_json([domain._asdict() for domain in domains])
    elif not domains:
        click.echo('no domains; add [[domain]] name = "example.org" to the configuration')
    else:
        rows = [(d.name, d.recipients, str(d.accounts), str(d.aliases)) for d in domains]
        click.echo(table(("DOMAIN", "RECIPIENTS", "ACCOUNTS", "ALIASES"), rows, right=frozenset({2, 3})))


@contextmanager
def _desk(config_path: str, *, look: bool = False) -> Iterator[AccountDesk]:
    """The use cases over this configuration's directory. `look`: nothing will be changed, so nothing is made either."""
    config = load_config(config_path)
    from ekiden.admin.accounts import AccountDesk
    from ekiden.app.clock import SystemClock, SystemRandom
    from ekiden.app.stores import act_as_user, open_directory, open_event_log, open_hasher

    by, clock = operator(), SystemClock()
    domains = [(domain.name, domain.recipients) for domain in config.domain]
    with ExitStack() as opened, complaints():
        act_as_user(config, make=not look)
        directory = opened.enter_context(closing(open_directory(config, make=not look)))
        sink = opened.enter_context(closing(open_event_log(config, clock, make=not look)))
        hasher = opened.enter_context(closing(open_hasher()))
        yield AccountDesk(directory, hasher, clock, SystemRandom(), sink, domains=domains, by=by)


def _password(name: str, *, from_stdin: bool) -> str:
    """Raises click.UsageError where nobody could be asked."""
    if from_stdin:
        octets = sys.stdin.buffer.read(_MOST_STDIN)
        text = octets.decode("utf-8", "surrogateescape")
        return text.removesuffix("\n").removesuffix("\r")
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for the password; use --password-stdin")
    password: str = click.prompt(f"Password for {safe(name)}", hide_input=True, confirmation_prompt="Once more")
    return password


def _done(text: str, *, as_json: bool, **facts: Any) -> None:
    if as_json:
        echo_json({"ok": True, **facts})
    else:
        click.echo(safe(text))


def _as_json(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "enabled": account.enabled,
        "added": utc_time(account.created),
        "changed": utc_time(account.changed),
    }


def _alias_as_json(alias: Alias) -> dict[str, Any]:
    return {"name": alias.name, "targets": list(alias.targets)}
