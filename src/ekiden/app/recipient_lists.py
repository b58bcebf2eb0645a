"""FileRecipientLists: the files of `recipients = "list:FILE"`. Implements `ports.recipients.RecipientLists`.

One address a line; empty lines and lines that begin with `#` are skipped. Held in memory as keys; read at start and
at each reload. A file that has gone, or cannot be read, keeps its last content (an event says so).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ekiden.config.model import Config
from ekiden.model.mailbox import Mailbox

PREFIX = "list:"


class FileRecipientLists:
    """`told(path, text)`: what could not be read. `before`: the lists of the last configuration."""

    def __init__(
        self, config: Config, told: Callable[[str, str], None], before: FileRecipientLists | None = None
    ) -> None:
        self._lists: dict[str, frozenset[str]] = {}
        for domain in config.domain:
            path = domain.recipients.removeprefix(PREFIX)
            if path == domain.recipients:
                continue
            try:
                with open(path, encoding="utf-8") as file:
                    self._lists[path] = frozenset(_keys(file))
            except (OSError, UnicodeDecodeError) as error:
                told(path, str(error))
                self._lists[path] = before._lists.get(path, frozenset()) if before is not None else frozenset()

    def contains(self, path: str, mailbox_key: str) -> bool:
        return mailbox_key in self._lists.get(path.removeprefix(PREFIX), frozenset())


def _keys(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        text = line.strip()
        local_part, at, domain = text.rpartition("@")
        if at and not text.startswith("#"):
            yield Mailbox(local_part, domain).key
