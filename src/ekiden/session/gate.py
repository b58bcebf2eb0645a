"""DoorGate: `ports.gate.Gate` of one door, made of its `[doors.NAME]`. Decides by `policy.doors`, tells by `knocks`.

Made by the composition root for each configuration; `net` asks it at a connection's beginning, sessions tell it what
they met.
"""

from __future__ import annotations

from typing import Final

from ekiden.accounts.bans import BanBook
from ekiden.config.model import DoorRules
from ekiden.model.door import DOORS, Door
from ekiden.model.reply import Reply
from ekiden.model.wrong_door import WrongDoor
from ekiden.policy.doors import REFUSED, DoorNetworks, may_enter
from ekiden.proto.pop3 import replies as pop3
from ekiden.session.crowd import Crowd
from ekiden.session.knocks import KnockBook

#: RFC 5321 §3.1: 554 in place of the greeting.
_TLS_FIRST_SMTP: Final = Reply(
    554, "5.7.0", "This door speaks TLS from the first byte (SSL/TLS); for STARTTLS use port 587"
)
_TLS_FIRST_POP3: Final = pop3.err("This door speaks TLS from the first byte (SSL/TLS); for STARTTLS use port 110")
_DENIED_POP3: Final = pop3.err(REFUSED.text)
_BANNED: Final = Reply(421, "4.7.0", "Logins from your address are refused for now")
_BANNED_POP3: Final = pop3.err(_BANNED.text, "SYS/TEMP")


class DoorGate:
    """`networks` serve `explain`, too. `crowd` None: connections are not counted. `bans` None, or a door without a
    login: nobody is banned here."""

    def __init__(
        self,
        door: Door,
        rules: DoorRules,
        book: KnockBook,
        crowd: Crowd | None = None,
        bans: BanBook | None = None,
    ) -> None:
        self.networks = DoorNetworks(rules)
        smtp = self._smtp = DOORS[door].speaks == "SMTP"
        self.tls_first = _TLS_FIRST_SMTP.wire if smtp else _TLS_FIRST_POP3.wire
        self._door = door
        self._book = book
        self._crowd = crowd
        self._bans = bans if DOORS[door].login else None

    def expects_header(self, address: str) -> bool:
        return address in self.networks.proxies

    def enter(self, address: str) -> bytes | None:
        if not self.networks.open_to_all:
            decision = may_enter(self.networks, address)
            if not decision.accepted:
                self._book.refused(self._door, address, decision.rule)
                return REFUSED.wire if self._smtp else _DENIED_POP3.wire
        if not self.still_welcome(address):
            self._book.refused(self._door, address, "banned")
            return _BANNED.wire if self._smtp else _BANNED_POP3.wire
        if self._crowd is None:
            return None
        decision = self._crowd.enter(self._door, address)
        if decision.reply is None:
            return None
        return decision.reply.wire if self._smtp else pop3.err(decision.reply.text, "SYS/TEMP").wire

    def still_welcome(self, address: str) -> bool:
        return self._bans is None or not self._bans.banned(address) or address in self.networks.proxies

    def left(self, address: str) -> None:
        if self._crowd is not None:
            self._crowd.leave(address)

    def refused(self, address: str, rule: str, detail: str) -> None:
        self._book.refused(self._door, address, rule, detail)

    def wrong(self, address: str, what: WrongDoor) -> None:
        self._book.wrong(self._door, address, what)
