"""FakeUsage: what mailboxes hold, as a test says. `asked`: names that were not in memory; `recounts`: counted anew.

`found`: what a recount finds, where it differs. `warnings`: notices that were sent by `warn`."""

from __future__ import annotations

from ekiden.message.notice import Notice
from ekiden.ports.mailboxes import MailboxFailed
from ekiden.ports.usage import Usage


class FakeUsage:
    def __init__(self, *, cached: bool = True) -> None:
        self.held: dict[str, int] = {}
        self.found: dict[str, int] = {}
        self.marked: set[str] = set()
        self.asked: list[str] = []
        self.recounts: list[str] = []
        self.warnings: list[Notice] = []
        self.cached = cached
        self.fails = False

    def peek(self, name: str) -> Usage | None:
        return self._usage(name) if self.cached and not self.fails else None

    async def find(self, name: str) -> Usage:
        if self.fails:
            raise MailboxFailed("told to fail")
        self.asked.append(name)
        return self._usage(name)

    async def recount(self, name: str) -> Usage:
        self.recounts.append(name)
        self.held[name] = self.found.get(name, self.held.get(name, 0))
        return self._usage(name)

    async def mark(self, name: str) -> bool:
        new = name not in self.marked
        self.marked.add(name)
        return new

    async def unmark(self, name: str) -> None:
        self.marked.discard(name)

    async def warn(self, notice: Notice) -> bool:
        self.warnings.append(notice)
        return True

    def _usage(self, name: str) -> Usage:
        return Usage(self.held.get(name, 0), 1, name in self.marked)
