"""What all commands share: `-c`, `--json`, running a use case, and turning expected failures into one line.

Called by the commands. Nothing of ours is imported at the top: a command's `--help` must not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ekiden.config.model import Config

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

config_option = click.option(
    "-c",
    "--config",
    "config_path",
    default="",
    metavar="FILE",
    help="The configuration. Default: $EKIDEN_CONFIG, ./ekiden.toml, /etc/ekiden/ekiden.toml.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="For programs: JSON instead of text.")


class Failure(click.ClickException):
    """Exit code 1; `message` is one line an error."""


def config_file(given: str) -> str:
    """The file that a command means: its own `-c`, that of `ekiden -c`, or the first one that is there."""
    from ekiden.app.config_file import ConfigErrors, find_config

    root = click.get_current_context().find_root()
    try:
        return find_config(given or root.params.get("config_path") or "")
    except ConfigErrors as error:
        raise Failure(str(error)) from None


def load_config(given: str) -> Config:
    """Raises Failure with a line for each error in the configuration."""
    from ekiden.app.config_file import ConfigErrors, load

    try:
        return load(config_file(given))
    except ConfigErrors as error:
        raise Failure(str(error)) from None


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Runs a use case to its end. Raises Failure or click.UsageError for what can be expected to go wrong."""
    import asyncio

    with complaints():
        return asyncio.run(work)


@contextmanager
def complaints() -> Iterator[None]:
    """Expected failures become one line; what nobody expected keeps its stack."""
    from ekiden.accounts.refusal import Malformed, Refused
    from ekiden.admin.bans import NoSuchNetwork, NotBanned
    from ekiden.admin.queue import NoSuchLetter
    from ekiden.admin.sites import NoSuchSite
    from ekiden.app.stores import StoreRefused
    from ekiden.ports.bans import BansFailed
    from ekiden.ports.breached import BreachedFailed
    from ekiden.ports.directory import DirectoryConflict, DirectoryFailed
    from ekiden.ports.event_store import EventStoreFailed
    from ekiden.ports.habit_book import HabitsFailed
    from ekiden.ports.known_recipients import RecipientsFailed
    from ekiden.ports.mailboxes import MailboxFailed
    from ekiden.ports.passwords import HasherBusy
    from ekiden.ports.spool import SpoolFailed

    try:
        yield
    except (Malformed, NoSuchSite, NoSuchNetwork) as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    except (Refused, NoSuchLetter, NotBanned, StoreRefused, DirectoryConflict, HasherBusy, BreachedFailed) as error:
        raise Failure(str(error)) from None
    except EventStoreFailed as error:
        raise Failure(str(error)) from None
    except (BansFailed, DirectoryFailed, HabitsFailed, MailboxFailed, RecipientsFailed, SpoolFailed) as error:
        raise Failure(f"the store could not do it: {error}") from None


def operator() -> str:
    """The operating-system user who acts, also behind sudo; for events."""
    import os
    import pwd

    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    behind = os.environ.get("SUDO_USER", "") if uid == 0 else ""
    return f"{name} (sudo by {behind})" if behind and behind != name else name
