"""`ekiden account app-password`: a face of `admin.app_passwords`, with no rules of its own.

The secret is printed by `add`, in its JSON too, because there is no other moment to have it; nothing else shows it.
Added to the group in `cli.accounts`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ekiden.cli.account_desk import all_desks, done
from ekiden.cli.options import config_option, finish, json_option
from ekiden.cli.output import count, echo_json, local_time, safe, table, utc_time

if TYPE_CHECKING:
    from ekiden.model.account import AppPassword


@click.group("app-password")
def app_password() -> None:
    """App passwords: one a device or program.

    A lost device is locked out by revoking its own password; all others go on."""


@app_password.command("add")
@click.argument("address")
@click.option("--name", required=True, help="The device or program that will use it, such as Phone.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="SCOPE",
    help="submit (send) or fetch (read). Default: both. Repeatable.",
)
@click.option(
    "--network", "networks", multiple=True, metavar="CIDR", help="Only from there. Default: anywhere. Repeatable."
)
@click.option("--expires", default="", metavar="TIME", help='"90d", or the last day it works: "2027-06-30".')
@config_option
@json_option
def app_password_add(
    address: str,
    name: str,
    scopes: tuple[str, ...],
    networks: tuple[str, ...],
    expires: str,
    config_path: str,
    *,
    as_json: bool,
) -> None:
    """Make an app password for ADDRESS, and show it this once."""
    from ekiden.accounts.app_passwords import Wish

    with all_desks(config_path) as desks:
        wish = Wish(name, scopes, networks, _expiry(expires))
        new = finish(desks.app_passwords.add(address, wish))
    made = new.app_password
    if as_json:
        echo_json({"ok": True, "app_password": {**app_password_json(made), "secret": new.secret}})
        return
    click.echo(safe(f"app password {made.id} for {made.name}: {_terms(made)}"))
    click.echo(f"\n    {new.secret}\n")
    click.echo("Type it there in place of the password. It is shown this once, and is kept nowhere.")


@app_password.command("list")
@click.argument("address")
@config_option
@json_option
def app_password_list(address: str, config_path: str, *, as_json: bool) -> None:
    """List the app passwords of ADDRESS.

    LAST USED is right to the hour."""
    from ekiden.app.clock import SystemClock

    with all_desks(config_path, look=True) as desks:
        found = finish(desks.app_passwords.list(address))
    if as_json:
        echo_json([app_password_json(there) for there in found])
    elif not found:
        click.echo("no app passwords")
    else:
        now = SystemClock().now()
        click.echo(table(APP_PASSWORD_HEAD, [app_password_row(there, now) for there in found]))


@app_password.command("revoke")
@click.argument("address")
@click.argument("which", metavar="[ID|NAME]", default="")
@click.option("--all", "everything", is_flag=True, help="All that the account has.")
@config_option
@json_option
def app_password_revoke(address: str, which: str, config_path: str, *, everything: bool, as_json: bool) -> None:
    """Take an app password away.

    The account's open sessions end within a second; programs with another password log in again by themselves."""
    if everything == bool(which):
        raise click.UsageError("name one app password by its id or its name, or say --all")
    with all_desks(config_path) as desks:
        desk = desks.app_passwords
        gone = finish(desk.revoke_all(address)) if everything else [finish(desk.revoke(address, which))]
    if everything:
        text = f"revoked {count(len(gone), 'app password')} of {address}"
    else:
        text = f"revoked {gone[0].id} ({gone[0].name})"
    done(text, as_json=as_json, revoked=[there.id for there in gone])


APP_PASSWORD_HEAD = ("ID", "NAME", "FOR", "FROM", "MADE", "EXPIRES", "LAST USED")


def app_password_row(there: AppPassword, now: float) -> tuple[str, ...]:
    expires = local_time(there.expires) if there.expires else "never"
    if there.expires and there.expires <= now:
        expires = f"expired {expires}"
    used = f"{local_time(there.last_used)} from {there.last_client}" if there.last_used else "never"
    networks = ", ".join(there.networks) or "anywhere"
    return (there.id, there.name, ", ".join(there.scopes), networks, local_time(there.created), expires, used)


def app_password_json(there: AppPassword) -> dict[str, Any]:
    """Everything but verifiers."""
    return {
        "id": there.id,
        "name": there.name,
        "scopes": list(there.scopes),
        "networks": list(there.networks),
        "created": utc_time(there.created),
        "expires": utc_time(there.expires or None),
        "last_used": utc_time(there.last_used or None),
        "last_client": there.last_client,
    }


def _terms(there: AppPassword) -> str:
    """`submit and fetch, from anywhere, never expires`."""
    networks = ", ".join(there.networks) or "anywhere"
    until = f"until {local_time(there.expires)}" if there.expires else "never expires"
    return f"{' and '.join(there.scopes)}, from {networks}, {until}"


def _expiry(text: str) -> float:
    """Seconds since 1970, 0 for never. A date is the last day that it works, in local time."""
    import time

    from ekiden.app.config_values import parse_duration

    if not text:
        return 0.0
    wrong = click.UsageError(f'--expires: "{text}" is no time; write "90d", or a day such as "2027-06-30"')
    try:
        day = time.strptime(text, "%Y-%m-%d")
        return time.mktime((day.tm_year, day.tm_mon, day.tm_mday + 1, 0, 0, 0, 0, 0, -1))
    except OverflowError:
        raise wrong from None
    except ValueError:  # no day: a time from now on
        pass
    try:
        expires = time.time() + parse_duration(text)
        time.localtime(expires)  # what cannot be shown is not kept
    except (ValueError, OverflowError, OSError):
        raise wrong from None
    return expires
