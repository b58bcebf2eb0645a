"""What the SMTP server machine tells its session.

Rules
1. An event marked *owed* must be answered (`SmtpServer.answer`) before the next event comes: pipelined input waits
   (RFC 2920 §3.2: replies go out in the order of the commands).
2. Parameters are syntactically right and allowed by what was announced when the event comes; the machine has answered
   what was not.
3. Events are made for the hot path: slotted, compared by identity, dispatched by type.
"""

from __future__ import annotations

from typing import NamedTuple

from ekiden.model.envelope import Notify
from ekiden.model.mailbox import Mailbox
from ekiden.model.reply import Reply


class Hello(NamedTuple):
    """*Owed.* HELO or EHLO (`extended`). `name` as given, printable. Drops any transaction (RFC 5321 §4.1.4).

    `answer(None)` gives the usual reply with what the settings announce."""

    name: str
    extended: bool


class MailFrom(NamedTuple):
    """*Owed.* `reverse_path` None is `<>`. `size`: declared octets or 0. `body`: '7BIT' or '8BITMIME'.

    `ret`: 'FULL', 'HDRS' or ''. `envid` xtext-decoded. `priority`: MT-PRIORITY as asked for, from -9 to 9.
    `answer(None)`: 250 2.1.0."""

    reverse_path: Mailbox | None
    size: int = 0
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    priority: int = 0


class RcptTo(NamedTuple):
    """*Owed.* `orcpt`: `type;address`, xtext-decoded, or ''. `answer(None)`: 250 2.1.5."""

    forward_path: Mailbox
    notify: tuple[Notify, ...] = ()
    orcpt: str = ""


class ContentBegins(NamedTuple):
    """*Owed.* DATA, or the first BDAT of a transaction. `answer(None)`: go on (354 for DATA, nothing for BDAT).
    Any 4xx or 5xx refuses; for BDAT the machine swallows the announced octets."""

    chunking: bool


class ContentChunk(NamedTuple):
    """Octets of content, dot-stuffing already undone. Not owed."""

    data: bytes


class ContentEnds(NamedTuple):
    """*Owed.* The content is complete. `had_bare_lf`: lone LFs were turned into CRLF (logins, trusted networks).
    `octets`: its size after that. `answer` must be given a reply: 250 with the queue id, or a refusal."""

    octets: int
    had_bare_lf: bool = False


class ContentAborted(NamedTuple):
    """The machine refused the content (too large, bare CR/LF/NUL from a stranger) or the transaction was dropped in
    its midst, and has answered. What was received is to be forgotten. Not owed."""

    reply: Reply


class Reset(NamedTuple):
    """RSET. Not owed: it is answered. The transaction is gone."""


class StartTls(NamedTuple):
    """*Owed.* `answer(None)`: 220, after which `Wire.start_tls` is called and then `SmtpServer.tls_started`."""


class Auth(NamedTuple):
    """*Owed.* AUTH begins. `mechanism` in upper case, one of those announced. `initial`: decoded initial response;
    None: none was sent (`=` is b''). Answer with `challenge(octets)`, or `answer(reply)` (235 or a refusal)."""

    mechanism: str
    initial: bytes | None


class AuthResponse(NamedTuple):
    """*Owed.* A decoded line of the client in an AUTH exchange; answer as for Auth. `*` (cancel) is answered by the
    machine with 501 5.7.0 and comes as AuthCancelled."""

    data: bytes


class AuthCancelled(NamedTuple):
    """The exchange is over without result. Not owed."""


class CommandRefused(NamedTuple):
    """The machine answered a syntax or sequence error or an unknown command with `reply`. Not owed; for counting."""

    reply: Reply


class Quit(NamedTuple):
    """Not owed: 221 is in the output. Flush it and close."""


class Disconnect(NamedTuple):
    """Not owed: the last reply is in the output. Flush it and close. `reason`: 'errors' (too many), 'injection' (octets
    behind STARTTLS), 'bare-lf' (bare CR, LF or NUL), 'pipelining' (octets that came before the reply they depend on:
    content before 354, anything behind AUTH), 'http' (a web browser's request). Content that was under way is to be
    forgotten."""

    reason: str


Event = (
    Hello
    | MailFrom
    | RcptTo
    | ContentBegins
    | ContentChunk
    | ContentEnds
    | ContentAborted
    | Reset
    | StartTls
    | Auth
    | AuthResponse
    | AuthCancelled
    | CommandRefused
    | Quit
    | Disconnect
)
