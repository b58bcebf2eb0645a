"""What the POP3 server machine tells its session.

Rules
1. An event marked *owed* must be answered before the next event comes: pipelined input waits (RFC 2449 §6.6).
2. STAT, LIST, UIDL, DELE, RSET, NOOP, CAPA, USER and UTF8 make no event: once it has the list of messages
   (`Pop3Server.enter`) the machine answers them by itself.
3. Passwords show in no `repr`.
"""

from __future__ import annotations

from typing import NamedTuple

from ekiden.model.wrong_door import WrongDoor


class Login(NamedTuple):
    """*Owed.* USER and PASS (RFC 1939 §7). `Pop3Server.enter` or `answer(negative reply)`."""

    name: str
    password: str

    def __repr__(self) -> str:
        return f"Login(name={self.name!r}, password=…)"


class Auth(NamedTuple):
    """*Owed.* AUTH begins (RFC 5034 §4). `mechanism` in upper case, one of those announced. `initial`: the decoded
    initial response (`=` is b''), None if there was none. `challenge(octets)`, `enter`, or `answer(negative reply)`."""

    mechanism: str
    initial: bytes | None

    def __repr__(self) -> str:
        return f"Auth(mechanism={self.mechanism!r}, initial=…)"


class AuthResponse(NamedTuple):
    """*Owed*, as Auth. A decoded line of the client in an AUTH exchange."""

    data: bytes

    def __repr__(self) -> str:
        return "AuthResponse(data=…)"


class AuthCancelled(NamedTuple):
    """The exchange is over without result (`*`, no base64, a line too long); it is answered. Not owed."""


class StartTls(NamedTuple):
    """*Owed.* `answer(None)`: +OK; then `Wire.start_tls`, and `Pop3Server.tls_started` after the handshake."""


class Retrieve(NamedTuple):
    """*Owed.* RETR, or TOP with `lines` of the body. `item`: its index.

    `answer(None)`, then `content` as long as `wants_content`, then `end_content`; or `answer(negative reply)`."""

    item: int
    lines: int | None = None


class Quit(NamedTuple):
    """*Owed.* `deletions`: indexes to delete now (RFC 1939 §6), none outside of the TRANSACTION state.

    `answer(None)`: +OK; `answer(reply)`: not all could be deleted. Disconnect follows."""

    deletions: tuple[int, ...] = ()


class Mistaken(NamedTuple):
    """Not owed, answered already: the client is at the wrong door, or uses it in another door's way."""

    what: WrongDoor


class Disconnect(NamedTuple):
    """Not owed: the last reply is in the output. Flush it and close. `reason`: 'quit', 'errors' (too many), 'injection'
    (octets behind STLS), 'http'."""

    reason: str


Event = Login | Auth | AuthResponse | AuthCancelled | StartTls | Retrieve | Quit | Mistaken | Disconnect
