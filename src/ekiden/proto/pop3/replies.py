"""POP3 replies: a status indicator, an optional response code, a text (RFC 1939 §3, RFC 2449 §8, RFC 3206).

Rules
1. A reply is rendered once, when it is made; fixed ones are constants of this module.
2. A reply line has at most 512 octets with its CRLF (RFC 1939 §3); controls never reach the wire.
3. Response codes: IN-USE (another session has the maildrop), AUTH (the credentials, or how they came, are the problem),
   SYS/TEMP (ours, will pass), SYS/PERM (ours, somebody must look) tell a client whether to ask for the password again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: RFC 1939 §3: responses may be up to 512 characters long, including the terminating CRLF.
MAX_REPLY_LINE: Final = 512


class Pop3Reply:
    """`positive`: +OK or -ERR. `code`: such as `IN-USE`, or ''. `wire`: the line with its CRLF, made once."""

    __slots__ = ("code", "positive", "text", "wire")

    def __init__(self, text: str, code: str = "", *, positive: bool) -> None:
        self.positive = positive
        self.code = code
        self.text = text
        self.wire = _render(text, code, positive=positive)

    def __repr__(self) -> str:
        return f"Pop3Reply({self.wire[:-2].decode()!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pop3Reply) and other.wire == self.wire

    def __hash__(self) -> int:
        return hash(self.wire)


def _render(text: str, code: str, *, positive: bool) -> bytes:
    clean = "".join(c if c.isprintable() else " " for c in text)
    parts = ("+OK" if positive else "-ERR", f"[{code}]" if code else "", clean)
    octets = " ".join(part for part in parts if part).encode("utf-8", "replace")
    return octets[: MAX_REPLY_LINE - 2].decode("utf-8", "ignore").encode() + b"\r\n"


def ok(text: str, code: str = "") -> Pop3Reply:
    return Pop3Reply(text, code, positive=True)


def err(text: str, code: str = "") -> Pop3Reply:
    return Pop3Reply(text, code, positive=False)


def no_such_mechanism(offered: Iterable[str]) -> Pop3Reply:
    return err("This mechanism is not offered; these are: " + " ".join(offered))


GOODBYE: Final = ok("Goodbye")
NAME_NOTED: Final = ok("Name noted, now PASS")
NOTHING_DONE: Final = ok("Nothing done")
BEGIN_TLS: Final = ok("Begin TLS negotiation now")
UTF8_ON: Final = ok("UTF-8 from now on")
CAPABILITIES: Final = ok("What this server can do")

UNKNOWN_COMMAND: Final = err("Unknown command")
WRONG_STATE_LOGIN: Final = err("Not now: log in first")
WRONG_STATE_DONE: Final = err("Not now: you are logged in already")
NOT_ALLOWED_OCTETS: Final = err("A line ends with CR LF, and has no other CR, LF or NUL in it")
LINE_TOO_LONG: Final = err("The line is too long")
NEED_NUMBER: Final = err("The command needs a message number")
NEED_TWO_NUMBERS: Final = err("The command needs a message number and a number of lines")
NO_ARGUMENTS: Final = err("The command has no arguments")
NEED_NAME: Final = err("USER needs a name in UTF-8")
NEED_PASSWORD: Final = err("PASS needs a password in UTF-8")
USER_FIRST: Final = err("PASS comes after USER")
NO_SUCH_MESSAGE: Final = err("No such message")
NEED_MECHANISM: Final = err("AUTH needs a mechanism, see SASL in CAPA")
NOT_BASE64: Final = err("That was not base64, the login is cancelled")
CANCELLED: Final = err("The login is cancelled")
TLS_ALREADY: Final = err("TLS is on already: leave STLS out")
SENT_ELSEWHERE: Final = err("This door is for fetching (POP3); mail is sent on port 465 or 587 (SMTP)")
NO_WEB_SERVER: Final = err("This is a mail server, not a web server, closing")
NO_TLS_HERE: Final = err("STLS is not offered here, use port 995")
INJECTION: Final = err("Nothing may follow STLS before the handshake")
TOO_MANY_ERRORS: Final = err("Too many errors, closing")
LOGIN_NEEDS_STLS: Final = err("A login needs TLS: give STLS first, or use port 995", "AUTH")
LOGIN_NEEDS_995: Final = err("A login needs TLS: use port 995", "AUTH")

WRONG_LOGIN: Final = err("Login or password is wrong", "AUTH")
MALFORMED_LOGIN: Final = err("The login could not be understood", "AUTH")
TOO_MANY_LOGINS: Final = err("Too many failed logins, closing", "AUTH")
LOGINS_DOWN: Final = err("Logins cannot be checked right now, please try again", "SYS/TEMP")
MAILDROP_BUSY: Final = err("Another session has this mailbox, please try again in a moment", "IN-USE")
MAILDROP_FAILED: Final = err("The mailbox cannot be opened right now, please try again", "SYS/TEMP")
MESSAGE_GONE: Final = err("Another program has deleted this message meanwhile")
MESSAGE_FAILED: Final = err("The message cannot be read right now, please try again", "SYS/TEMP")
NOT_ALL_REMOVED: Final = err("Some messages could not be deleted", "SYS/TEMP")
SHUTTING_DOWN: Final = err("The server is going down for a moment, please come back", "SYS/TEMP")
