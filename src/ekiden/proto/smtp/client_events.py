"""What the SMTP and LMTP client machine takes and what it tells its user.

Rules
1. A `Transaction` is one letter's way over one session: MAIL to the reply to its content. It is used once.
2. `Transaction.replies` fills up as the server decides, one place a recipient, in order; None is *unknown*. After a
   session was lost the places that are filled still hold: a 550 to one RCPT is a fact, the rest is unknown.
3. *Unknown* is never a failure (model.outcome): it is tried again.
4. A reply of our own making, for what the server cannot take, stands in `replies` like one of the server's.

Used by `proto.smtp.client` and by `delivery`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from ekiden.model.envelope import Recipient
from ekiden.model.reply import Reply
from ekiden.ports.wire import TlsMode

#: TLS if it is offered, with any certificate.
OPPORTUNISTIC: Final = TlsMode()


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How to speak to one next hop. Made once a next hop, not once a letter.

    `helo_name`: our name, or an address literal. `tls`: see `TlsMode`; `verify` implies `required`. `username`,
    `password`: AUTH PLAIN, else LOGIN; never in the clear, and never to a server that has not proven its name unless
    `allow_unverified_login` (which still needs TLS). `lmtp`: LHLO, and one reply a recipient (RFC 2033).
    """

    helo_name: str
    tls: TlsMode = OPPORTUNISTIC
    username: str = ""
    password: str = field(default="", repr=False)
    allow_unverified_login: bool = False
    lmtp: bool = False

    @property
    def tls_required(self) -> bool:
        return self.tls.required or self.tls.verify or self.tls.implicit


class Transaction:
    """One letter for recipients of one next hop.

    `reverse_path`: as written, '' is `<>`. `size`: octets of the content, as stored (0: not known, then no SIZE is
    sent). `body`: '7BIT' or '8BITMIME'. `ret`: 'FULL', 'HDRS' or ''. `envid`: xtext-decoded. `priority`: MT-PRIORITY,
    from -9 to 9. `octets`: the content, if it is in memory; None: the machine asks for it (`ContentWanted`). `probe`:
    ask for the recipients only and send no content (call-ahead). `tag`: the caller's own.

    The machine fills in `replies` (rule 2), `mail_reply` if MAIL was refused (the same stands in `replies`), and
    `content_complete`: the content was put into the output with its end. While that is False the peer cannot have
    taken the letter, so it may be sent again at once.
    """

    __slots__ = (
        "accepted",
        "asked",
        "body",
        "chunking",
        "content_complete",
        "envid",
        "mail_reply",
        "octets",
        "pipelined",
        "priority",
        "probe",
        "reached_data",
        "recipients",
        "replies",
        "ret",
        "reverse_path",
        "size",
        "smtputf8",
        "step",
        "tag",
    )

    def __init__(  # noqa: PLR0913 - the words of MAIL, each by its name
        self,
        reverse_path: str,
        recipients: list[Recipient],
        *,
        size: int = 0,
        body: str = "7BIT",
        smtputf8: bool = False,
        ret: str = "",
        envid: str = "",
        priority: int = 0,
        octets: bytes | None = None,
        probe: bool = False,
        tag: object = None,
    ) -> None:
        self.reverse_path = reverse_path
        self.recipients = recipients
        self.size = size
        self.body = body
        self.smtputf8 = smtputf8
        self.ret = ret
        self.envid = envid
        self.priority = priority
        self.octets = octets
        self.probe = probe
        self.tag = tag
        self.replies: list[Reply | None] = [None] * len(recipients)
        self.content_complete = False
        self.reached_data = False
        # The machine's own marks (proto.smtp.client_transfers); not for others.
        self.step = 0
        self.asked: range | list[int] = range(len(recipients))
        self.accepted: list[int] = []
        self.mail_reply: Reply | None = None
        self.chunking = False
        self.pipelined = False


class Phase(StrEnum):
    """Where a session was refused. Only GREETING and HELLO are the server's word about us and the mail; a wrong
    password, a missing STARTTLS or noise is never a reason to fail a letter, whatever the code: it is delayed."""

    GREETING = "greeting"
    HELLO = "hello"
    STARTTLS = "starttls"
    AUTH = "auth"
    GARBAGE = "garbage"


class Ready(NamedTuple):
    """The session may carry letters. `extensions`: EHLO keyword in upper case -> its parameters as written; empty after
    HELO. `host`: the name the server gave itself."""

    extensions: dict[str, str]
    host: str


class StartTlsWanted(NamedTuple):
    """The server said 220 to STARTTLS: hand the wire to TLS, then call `SmtpClient.tls_started`."""


class ContentWanted(NamedTuple):
    """Feed `SmtpClient.content` with the transaction's octets, then `end_content`."""

    transaction: Transaction


class TransactionEnded(NamedTuple):
    """`replies`: one a recipient, in order. `reached_data`: they took part in sending the content. `dsn`: the server
    offers DSN, so it has taken over the recipients' wishes (RFC 3461 §5.2.1)."""

    transaction: Transaction
    replies: list[Reply]
    reached_data: bool
    dsn: bool


class SessionRefused(NamedTuple):
    """No letter can go over this session. `reply`: the server's, or ours. Say `quit` (if it still listens) and close.

    After GARBAGE the session is out of step: close at once, and take the unfinished from `SmtpClient.lost`."""

    reply: Reply
    phase: Phase


class PeerClosing(NamedTuple):
    """421, whenever it came: the server hangs up. Close, and take the unfinished from `SmtpClient.lost`."""

    reply: Reply


class CutWanted(NamedTuple):
    """Abort the wire: a content that was begun must not be ended (ours), or was refused before its end (theirs).
    What was decided has been told before; take the rest from `SmtpClient.lost`."""

    reply: Reply


class SessionEnded(NamedTuple):
    """The server answered QUIT. Close."""


ClientEvent = (
    Ready | StartTlsWanted | ContentWanted | TransactionEnded | SessionRefused | PeerClosing | CutWanted | SessionEnded
)
