"""How the commands on the queue get at it: looking takes no lock, steering becomes an incarnation of its own.

Called by the commands of `queue` and `sites`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ekiden.cli.options import finish, load_config, operator

if TYPE_CHECKING:
    from ekiden.admin.queue import QueueView
    from ekiden.admin.sites import SiteDesk
    from ekiden.admin.steering import QueueDesk
    from ekiden.config.model import Config

T = TypeVar("T")


class Desks(NamedTuple):
    queue: QueueDesk
    sites: SiteDesk


def look(config_path: str, question: Callable[[QueueView], Awaitable[T]]) -> T:
    """Answers a question about the queue; beside a running server it takes no lock."""
    config = load_config(config_path)

    async def ask() -> T:
        from ekiden.admin.queue import QueueView
        from ekiden.app.stores import act_as_user, read_spool
        from ekiden.cli import letters  # noqa: F401 - `user` may not be able to read the program's folder

        act_as_user(config, make=False)
        reader = read_spool(config)
        try:
            return await question(QueueView(reader))
        finally:
            await reader.close()

    return finish(ask())


def steer(config_path: str, action: Callable[[QueueDesk], Awaitable[T]]) -> T:
    """Changes letters."""
    return _act(config_path, lambda desks: action(desks.queue))


def steer_sites(config_path: str, action: Callable[[SiteDesk], Awaitable[T]]) -> T:
    """Changes what is sent to sites."""
    return _act(config_path, lambda desks: action(desks.sites))


def _act(config_path: str, action: Callable[[Desks], Awaitable[T]]) -> T:
    config = load_config(config_path)
    by = operator()

    async def act() -> T:
        async with _desks(config, by) as desks:
            return await action(desks)

    return finish(act())


@asynccontextmanager
async def queue_desk(config: Config, by: str) -> AsyncIterator[QueueDesk]:
    """For commands that steer as a part of something else."""
    async with _desks(config, by) as desks:
        yield desks.queue


@asynccontextmanager
async def _desks(config: Config, by: str) -> AsyncIterator[Desks]:
    from ekiden.admin.sites import SiteDesk
    from ekiden.admin.steering import QueueDesk, Reporting
    from ekiden.app.clock import SystemClock, SystemRandom
    from ekiden.app.stores import act_as_user, open_event_log, open_spool
    from ekiden.model.ids import IdSequence

    act_as_user(config)
    clock = SystemClock()
    spool = open_spool(config, clock, move_history=False)
    try:
        with closing(open_event_log(config, clock)) as sink:
            reporting = Reporting(config, SystemRandom(), IdSequence(spool.incarnation))
            queue = QueueDesk(spool, sink, clock, reporting, by=by)
            yield Desks(queue, SiteDesk(spool, sink, clock, config, by=by))
    finally:
        await spool.close()
