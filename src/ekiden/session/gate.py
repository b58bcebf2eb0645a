"""DoorGate: `ports.gate.Gate` of one door, made of its `[doors.NAME]`. Decides by `policy.doors`, tells by `knocks`.

Made by the composition root for each configuration; `net` asks it at a connection's beginning, sessions tell it what
they met.
"""

from __future__ import annotations

from typing import Final

from ekiden.config.model import DoorRules
from ekiden.model.door import DOORS, Door
from ekiden.model.reply import Reply
from ekiden.model.wrong_door import WrongDoor
from ekiden.policy.doors import REFUSED, DoorNetworks, may_enter
from ekiden.proto.pop3 import replies as pop3
from ekiden.session.knocks import KnockBook

#: RFC 5321 §3.1: 554 in place of the greeting.
_TLS_FIRST_SMTP: Final = Reply(
    554, "5.7.0", "This door speaks TLS from the first byte (SSL/TLS); for STARTTLS use port 587"
)
_TLS_FIRST_POP3: Final = pop3.err("This door speaks TLS from the first byte (SSL/TLS); for STARTTLS use port 110")
_DENIED_POP3: Final = pop3.err(REFUSED.text)


class DoorGate:
    """`networks` serve `explain`, too."""

    def __init__(self, door: Door, rules: DoorRules, book: KnockBook) -> None:
        self.networks = DoorNetworks(rules)
        smtp = DOORS[door].speaks == "SMTP"
        self.denied = REFUSED.wire if smtp else _DENIED_POP3.wire
        self.tls_first = _TLS_FIRST_SMTP.wire if smtp else _TLS_FIRST_POP3.wire
        self._door = door
        self._book = book

    def expects_header(self, address: str) -> bool:
        return address in self.networks.proxies

    def admits(self, address: str) -> bool:
        if self.networks.open_to_all:
            return True
        decision = may_enter(self.networks, address)
        if not decision.accepted:
            self._book.refused(self._door, address, decision.rule)
        return decision.accepted

    def refused(self, address: str, rule: str, detail: str) -> None:
        self._book.refused(self._door, address, rule, detail)

    def wrong(self, address: str, what: WrongDoor) -> None:
        self._book.wrong(self._door, address, what)
