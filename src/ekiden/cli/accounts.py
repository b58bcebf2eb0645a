"""`ekiden account`, `ekiden alias`, `ekiden domain`: a face of `admin.accounts`, with no rules of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ekiden.cli.account_desk import account_desk, all_desks, done, password_for, password_option
from ekiden.cli.app_passwords import APP_PASSWORD_HEAD, app_password, app_password_json, app_password_row
from ekiden.cli.brake import habits_of
from ekiden.cli.grants import send_as
from ekiden.cli.limits import account_profile, recipients
from ekiden.cli.options import config_option, finish, json_option, load_config
from ekiden.cli.output import count, echo_json, local_time, safe, span, table, utc_time
from ekiden.cli.quotas import account_quota, account_recount

if TYPE_CHECKING:
    from ekiden.model.account import Account, Alias


@click.group()
def account() -> None:
    """Accounts: login, mailbox and address in one. Changes reach a running server within a second."""


account.add_command(app_password)
account.add_command(send_as)
account.add_command(account_profile)
account.add_command(recipients)
account.add_command(account_quota)
account.add_command(account_recount)


@account.command("add")
@click.argument("address")
@password_option
@config_option
@json_option
def account_add(address: str, config_path: str, *, from_stdin: bool, as_json: bool) -> None:
    """Add the account ADDRESS, such as you@example.org."""
    with account_desk(config_path, sets_password=True) as desk:
        name = finish(desk.free_name(address))
        added = finish(desk.add(address, password_for(name, from_stdin=from_stdin)))
    done(f"added {added.name}", as_json=as_json, account=_as_json(added))


@account.command("passwd")
@click.argument("address")
@password_option
@config_option
@json_option
def account_passwd(address: str, config_path: str, *, from_stdin: bool, as_json: bool) -> None:
    """Set a new password.

    Sessions that are open end within a second. App passwords stay as they are."""
    with account_desk(config_path, sets_password=True) as desk:
        name = finish(desk.existing(address)).name
        finish(desk.passwd(address, password_for(name, from_stdin=from_stdin)))
    done(f"{name} has a new password", as_json=as_json)


@account.command("list")
@click.argument("domain", default="")
@config_option
@json_option
def account_list(domain: str, config_path: str, *, as_json: bool) -> None:
    """List all accounts, or those of DOMAIN."""
    with account_desk(config_path, look=True) as desk:
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


@account.command("show")
@click.argument("address")
@config_option
@json_option
def account_show(address: str, config_path: str, *, as_json: bool) -> None:
    """Show all about the account ADDRESS.

    Its state, the age of its password, the aliases that lead to it, what and how much it may send, what is usual for
    it (the brake compares with that), its app passwords."""
    from ekiden.admin.habit_text import habit_json, habit_lines
    from ekiden.app.clock import SystemClock

    config = load_config(config_path)
    with all_desks(config_path, look=True) as desks:
        found = finish(desks.accounts.existing(address))
        aliases = finish(desks.accounts.aliases_to(found))
        until = desks.accounts.password_until(found)
        profile = desks.sending.profile_of(found)
        known = finish(desks.sending.known(address))
        held = finish(desks.quotas.held(found))
    now = SystemClock().now()
    habits = habits_of(config, found.name)
    if as_json:
        shown = {
            "password_changed": utc_time(found.password_changed),
            "password_until": utc_time(until or None),
            "aliases": [alias.name for alias in aliases],
            "send_as": list(found.send_as),
            "profile": profile.name,
            "limits": profile.limits,
            "known_recipients": known,
            "mailbox": {"octets": held.octets, "messages": held.messages, "quota": held.quota},
            "habits": habit_json(habits, now),
            "app_passwords": [app_password_json(there) for there in found.app_passwords],
        }
        echo_json(_as_json(found) | shown)
        return
    lines = [
        ("account", found.name),
        ("login", "enabled" if found.enabled else "disabled; mail still arrives"),
        ("added", local_time(found.created)),
        ("password", _password_text(found.password_changed, until, now)),
        ("aliases", ", ".join(alias.name for alias in aliases) or "none lead to it"),
        ("may send as", ", ".join(("itself", *(["its aliases"] if aliases else []), *found.send_as))),
        ("mailbox", held.text),
        ("sends as a", profile.text),
        ("has written to", count(known, "recipient")),
        *habit_lines(habits, now),
        ("app passwords", "" if found.app_passwords else "none"),
    ]
    click.echo("\n".join(safe(f"{name + ':':<15}{text}".rstrip()) for name, text in lines))
    if found.app_passwords:
        click.echo(table(APP_PASSWORD_HEAD, [app_password_row(there, now) for there in found.app_passwords]))


@account.command("disable")
@click.argument("address")
@config_option
@json_option
def account_disable(address: str, config_path: str, *, as_json: bool) -> None:
    """No login any more, open sessions end; mail still arrives."""
    with account_desk(config_path) as desk:
        changed = finish(desk.disable(address))
    done(f"{address} is disabled" if changed else f"{address} was disabled already", as_json=as_json, changed=changed)


@account.command("enable")
@click.argument("address")
@config_option
@json_option
def account_enable(address: str, config_path: str, *, as_json: bool) -> None:
    """Let a disabled account log in again.

    With the passwords it had."""
    with account_desk(config_path) as desk:
        changed = finish(desk.enable(address))
    done(f"{address} is enabled" if changed else f"{address} was enabled already", as_json=as_json, changed=changed)


@account.command("remove")
@click.argument("address")
@config_option
@json_option
def account_remove(address: str, config_path: str, *, as_json: bool) -> None:
    """Remove an account. Its mailbox stays on disk; letters on their way to it are reported to their senders."""
    with all_desks(config_path) as desks:
        name = finish(desks.accounts.existing(address)).name
        left = finish(desks.accounts.remove(address))
        finish(desks.sending.forget(name))
    done(f"removed {address}; its mailbox stays on disk", as_json=as_json, aliases=[alias.name for alias in left])
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
    with account_desk(config_path) as desk:
        added = finish(desk.add_alias(name, targets))
    done(f"{added.name} leads to {', '.join(added.targets)}", as_json=as_json, alias=_alias_as_json(added))


@alias.command("list")
@click.argument("domain", default="")
@config_option
@json_option
def alias_list(domain: str, config_path: str, *, as_json: bool) -> None:
    """List all aliases, or those of DOMAIN."""
    with account_desk(config_path, look=True) as desk:
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
    with account_desk(config_path) as desk:
        finish(desk.remove_alias(name, target))
    done(f"{name} leads no more to {target}" if target else f"removed {name}", as_json=as_json)


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
    with account_desk(config_path, look=True) as desk:
        domains = finish(desk.domain_summaries())
    if as_json:
        echo_json([domain._asdict() for domain in domains])
    elif not domains:
        click.echo('no domains; add [[domain]] name = "example.org" to the configuration')
    else:
        rows = [(d.name, d.recipients, str(d.accounts), str(d.aliases)) for d in domains]
        click.echo(table(("DOMAIN", "RECIPIENTS", "ACCOUNTS", "ALIASES"), rows, right=frozenset({2, 3})))


def _password_text(changed: float, until: float, now: float) -> str:
    """`until`: 0 if it is never too old."""
    text = f"{span(now - changed)} old, set {local_time(changed)}"
    if not until:
        return text
    return f"{text}; too old {'since' if until <= now else 'from'} {local_time(until)}"


def _as_json(account: Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "enabled": account.enabled,
        "added": utc_time(account.created),
        "changed": utc_time(account.changed),
    }


def _alias_as_json(alias: Alias) -> dict[str, Any]:
    return {"name": alias.name, "targets": list(alias.targets)}
