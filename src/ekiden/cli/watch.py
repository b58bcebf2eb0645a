"""`ekiden watch`: a face of `admin.watching`: live in a terminal, a line each time elsewhere, or JSON."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import click

from ekiden.cli.options import config_option, finish, json_option, load_config

if TYPE_CHECKING:
    from ekiden.admin.watching import Sight, Watch
    from ekiden.config.model import Config


@click.command()
@click.option("--once", is_flag=True, help="Look once; exit code 1 if no server runs.")
@click.option("--every", default=1, show_default=True, type=click.IntRange(1, 3600), help="Seconds between two looks.")
@config_option
@json_option
def watch(config_path: str, *, once: bool, every: int, as_json: bool) -> int:
    """Show what the server does right now: sessions, letters, queue, refusals, guessers. Until Ctrl-C.

    It changes nothing. Where the output is no terminal it is a line each time; with --json an object a line."""
    config = load_config(config_path)
    with contextlib.suppress(KeyboardInterrupt):
        return finish(_watch(config, once=once, every=every, as_json=as_json))
    return 0


async def _watch(config: Config, *, once: bool, every: int, as_json: bool) -> int:
    """The exit code of `--once`."""
    import asyncio

    from ekiden.app.stores import act_as_user

    with _screen(as_json=as_json, once=once) as show:
        act_as_user(config, make=False)
        while True:
            workers = -1
            async with _opened(config) as eye:
                while True:
                    sight = await eye.look()
                    show(sight)
                    if once:
                        return 0 if sight.workers else 1
                    await asyncio.sleep(every)
                    if workers == 0 and sight.workers:
                        break  # it has started meanwhile: its queue may be a new one
                    workers = sight.workers


@asynccontextmanager
async def _opened(config: Config) -> AsyncIterator[Watch]:
    from ekiden.admin.queue import QueueView
    from ekiden.admin.watching import Watch
    from ekiden.app.clock import SystemClock
    from ekiden.app.stores import open_bans, read_board, read_spool

    reader = read_spool(config)
    try:
        with contextlib.closing(open_bans(config, make=False)) as bans:
            yield Watch(read_board(config), QueueView(reader), bans, SystemClock())
    finally:
        await reader.close()


@contextmanager
def _screen(*, as_json: bool, once: bool) -> Iterator[Callable[[Sight], None]]:
    """What shows a look; all that it needs is imported before root is given up."""
    import sys

    from ekiden.admin import watching  # noqa: F401 - `user` may not be able to read the program's folder
    from ekiden.cli.watch_text import sight_json, sight_line, sight_text

    if as_json:
        yield lambda sight: click.echo(sight_json(sight))
    elif once:
        yield lambda sight: click.echo(sight_text(sight))
    elif not sys.stdout.isatty():
        yield lambda sight: click.echo(sight_line(sight))
    else:
        from rich.live import Live
        from rich.text import Text

        with Live(Text("…"), auto_refresh=False, vertical_overflow="crop") as live:
            yield lambda sight: live.update(Text(sight_text(sight), no_wrap=True, overflow="crop"), refresh=True)
