"""`ekiden`: the command line's entry. Commands are imported when they are called, and not before.

Rules
1. `ekiden --help` imports click and nothing of ours: a command's module, and one line of help, stand in `COMMANDS`.
2. Exit codes: 0 success, 1 a finding or failure, 2 wrong usage. An error is one line on standard error.
3. Nothing is decided here or in a command: commands call `admin` and `app`.

Called by the console script `ekiden` and by `python -m ekiden`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

import click

#: Name -> (module:object, one line for `ekiden --help`), in the order people read them.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "serve": ("ekiden.cli.serve:serve", "Run the mail server."),
    "config": ("ekiden.cli.config:config", "Check the configuration."),
    "account": ("ekiden.cli.accounts:account", "Add, list and change accounts."),
    "alias": ("ekiden.cli.accounts:alias", "Add, list and remove aliases."),
    "domain": ("ekiden.cli.accounts:domain", "List our domains."),
    "ban": ("ekiden.cli.bans:ban", "See and change which networks may not log in."),
    "queue": ("ekiden.cli.queue:queue", "See and steer the letters that wait."),
    "trace": ("ekiden.cli.queue:trace", "Tell a letter's story: who, when, which door, each attempt."),
    "events": ("ekiden.cli.events:events", "Show what happened: logins, refusals, changes."),
    "watch": ("ekiden.cli.watch:watch", "Show what the server does right now."),
    "brake": ("ekiden.cli.brake:brake", "Accounts whose letters are held: was it the owner?"),
    "explain": ("ekiden.cli.explain:explain", "Say what a door would answer to a client, and why."),
    "demo": ("ekiden.cli.lab:demo", "Two servers on this machine, and letters between them to watch."),
    "bench": ("ekiden.cli.lab:bench", "Letters a second on this machine, beside Postfix."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Says what may have been meant: click itself only knows commands that are imported."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"there is no command {args[0]}" + (f"; did you mean {near[0]}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


def _show_version(ctx: click.Context, _: click.Parameter, value: object) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"ekiden {version('ekiden')}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every command explains itself: ekiden COMMAND --help",
)
@click.option("-c", "--config", "config_path", default="", metavar="FILE", help="The configuration (ekiden.toml).")
@click.option("--version", is_flag=True, callback=_show_version, expose_value=False, is_eager=True, help="Show it.")
def cli(config_path: str) -> None:
    """Ekiden: a complete mail system. Letters come in by its doors and end in a mailbox, on another server, or as a
    report to whoever sent them."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line; the exit code. Prints errors as one line each."""
    try:
        status = cli.main(arguments, prog_name="ekiden", standalone_mode=False)
    except click.UsageError as error:
        return _usage(error)
    except click.ClickException as error:
        _complain(error.format_message())
        return error.exit_code
    except click.Abort:
        _complain("stopped; nothing was changed")
        return 1
    except BrokenPipeError:  # `ekiden queue list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status if isinstance(status, int) else 0


def main() -> None:
    """The console script."""
    sys.exit(run())


def _usage(error: click.UsageError) -> int:
    path = error.ctx.command_path if error.ctx else "ekiden"
    if error.__class__.__name__ == "NoArgsIsHelpError":  # click 8.2 and later: the message is the help
        click.echo(error.format_message(), err=True)
    else:
        _complain(f"{error.format_message().rstrip('.')} (see {path} --help)")
    return 2


def _complain(text: str) -> None:
    from ekiden.cli.output import safe

    for line in text.splitlines():
        click.echo(f"ekiden: {safe(line)}", err=True)
