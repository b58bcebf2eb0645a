"""What the commands about accounts share: the use cases, passwords from people, and how a change is told.

Passwords come from standard input (`--password-stdin`) or from a prompt that asks twice; never from the command line,
where every user of the machine can read them.

Called by `cli.accounts`, `cli.app_passwords` and `cli.grants`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ekiden.cli.options import complaints, load_config, operator
from ekiden.cli.output import echo_json, safe

if TYPE_CHECKING:
    from ekiden.admin.accounts import AccountDesk
    from ekiden.admin.app_passwords import AppPasswordDesk
    from ekiden.admin.grants import GrantDesk
    from ekiden.admin.quotas import QuotaDesk
    from ekiden.admin.sending import SendingDesk

#: A password has 1,024 octets at most; what is longer is the wrong file.
_MOST_STDIN = 64 * 1024

password_option = click.option(
    "--password-stdin", "from_stdin", is_flag=True, help="Read the password from standard input instead of asking."
)


class Desks(NamedTuple):
    accounts: AccountDesk
    app_passwords: AppPasswordDesk
    grants: GrantDesk
    sending: SendingDesk
    quotas: QuotaDesk


@contextmanager
def account_desk(config_path: str, *, look: bool = False, sets_password: bool = False) -> Iterator[AccountDesk]:
    """The use cases over this configuration's directory. `look`: nothing will be changed, so nothing is made either."""
    if sets_password:
        import zxcvbn  # noqa: F401 - loaded while it can be: `user` may not be able to read the program's folder
    with all_desks(config_path, look=look) as desks:
        yield desks.accounts


@contextmanager
def all_desks(config_path: str, *, look: bool = False) -> Iterator[Desks]:
    """As `account_desk`, with what stands beside it."""
    config = load_config(config_path)
    from ekiden.accounts.password_policy import PasswordPolicy
    from ekiden.admin.accounts import AccountDesk
    from ekiden.admin.app_passwords import AppPasswordDesk
    from ekiden.admin.grants import GrantDesk
    from ekiden.admin.quotas import QuotaDesk
    from ekiden.admin.sending import SendingDesk
    from ekiden.app.clock import SystemClock, SystemRandom
    from ekiden.app.stores import (
        act_as_user,
        open_breached,
        open_directory,
        open_event_log,
        open_hasher,
        open_known_recipients,
        open_usage,
    )
    from ekiden.policy.limits import profiles_of

    by, clock, random = operator(), SystemClock(), SystemRandom()
    domains = [(domain.name, domain.recipients) for domain in config.domain]
    with ExitStack() as opened, complaints():
        act_as_user(config, make=not look)
        directory = opened.enter_context(closing(open_directory(config, make=not look)))
        sink = opened.enter_context(closing(open_event_log(config, clock, make=not look)))
        hasher = opened.enter_context(closing(open_hasher()))
        breached = open_breached(config)
        policy = PasswordPolicy(config.passwords, hasher, server_name=config.hostname, breached=breached)
        accounts = AccountDesk(directory, hasher, policy, clock, random, sink, domains=domains, by=by)
        known = opened.enter_context(closing(open_known_recipients(config, clock, make=not look)))
        yield Desks(
            accounts,
            AppPasswordDesk(accounts, directory, clock, random),
            GrantDesk(accounts, directory, clock),
            SendingDesk(accounts, directory, known, clock, profiles=profiles_of(config)),
            QuotaDesk(accounts, directory, open_usage(config, clock), clock, domains=config.domain),
        )


def password_for(name: str, *, from_stdin: bool) -> str:
    """Raises click.UsageError where nobody could be asked."""
    if from_stdin:
        octets = sys.stdin.buffer.read(_MOST_STDIN)
        text = octets.decode("utf-8", "surrogateescape")
        return text.removesuffix("\n").removesuffix("\r")
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for the password; use --password-stdin")
    password: str = click.prompt(f"Password for {safe(name)}", hide_input=True, confirmation_prompt="Once more")
    return password


def done(text: str, *, as_json: bool, **facts: Any) -> None:
    if as_json:
        echo_json({"ok": True, **facts})
    else:
        click.echo(safe(text))
