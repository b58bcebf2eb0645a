"""One letter as the client puts it on the wire: what the server can take, MAIL and RCPT, the content's octets.

Rules
1. What the server cannot take is answered here, by a reply of ours, before MAIL (DESIGN §8, invariant 8): never sent as
   it is, never altered.
2. Content passes unchanged but for dot-stuffing (RFC 5321 §4.5.2) and the CRLF that DATA needs before its final
   dot. BDAT needs neither.
3. Content with a CR or LF that is not part of CRLF is refused with 554 5.6.0, by DATA and BDAT alike. RFC 5321 §2.3.8
   forbids to send it; making CRLF of it would break signatures (invariant 8), and sending it is how letters are
   smuggled past the next server. Our doors take none in, so this is the lock behind the lock.
4. A path with control characters never reaches a command line: one more way to smuggle.

Pure functions and two small encoders; called by `proto.smtp.client`.
"""

from __future__ import annotations

from typing import Final

from ekiden.model.envelope import Recipient
from ekiden.model.reply import Reply
from ekiden.proto.smtp.client_events import Transaction
from ekiden.proto.smtp.extensions import Capabilities

FINAL_DOT: Final = b".\r\n"

NO_SMTPUTF8: Final = Reply(550, "5.6.7", "the next server does not take internationalized mail (SMTPUTF8)")
NO_EIGHT_BIT: Final = Reply(554, "5.6.3", "the next server does not take 8-bit content (8BITMIME)")
BARE_LINE_END: Final = Reply(554, "5.6.0", "the content has a CR or LF that is not part of CRLF")
BAD_REVERSE_PATH: Final = Reply(501, "5.1.7", "the reverse-path has control characters")
BAD_FORWARD_PATH: Final = Reply(501, "5.1.3", "the forward-path has control characters")
#: Temporary: the store's file and its row disagree, which is ours to mend.
WRONG_SIZE: Final = Reply(451, "4.3.0", "the stored content is not as long as it was when it was accepted")
#: RFC 9422 §4.2: more than RCPTMAX recipients go in a later transaction.
TOO_MANY_RECIPIENTS: Final = Reply(452, "4.5.3", "the next server takes fewer recipients at once")


class ContentFault(Exception):
    """Streamed content that must not be ended on the wire. `reply`: for its recipients."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


# --- what the server can take ---------------------------------------------------------------------------------------


def weigh(transaction: Transaction, peer: Capabilities) -> None:
    """Puts our reply into `replies` of each recipient the server cannot take the letter for, and sets `asked` to
    the indexes of the others. If MAIL must say SMTPUTF8, `smtputf8` is True afterwards."""
    refusal = _refusal(transaction, peer)
    if refusal is not None:
        transaction.replies = [refusal] * len(transaction.recipients)
        transaction.asked = []
        return
    asked: list[int] = []
    for index, recipient in enumerate(transaction.recipients):
        path = recipient.forward_path
        if not path.isascii():
            transaction.smtputf8 = peer.smtputf8
        if not is_sound(path):
            transaction.replies[index] = BAD_FORWARD_PATH
        elif not (peer.smtputf8 or path.isascii()):
            transaction.replies[index] = NO_SMTPUTF8
        elif len(asked) >= peer.recipient_limit:
            transaction.replies[index] = TOO_MANY_RECIPIENTS
        else:
            asked.append(index)
    if len(asked) < len(transaction.recipients):
        transaction.asked = asked


def _refusal(transaction: Transaction, peer: Capabilities) -> Reply | None:
    """Why the letter cannot go to this server for any recipient."""
    octets = transaction.octets
    if not is_sound(transaction.reverse_path):
        return BAD_REVERSE_PATH
    if peer.size_limit and transaction.size > peer.size_limit:
        text = f"the letter has {transaction.size} octets, the next server takes {peer.size_limit}"
        return Reply(552, "5.3.4", text)
    if not transaction.reverse_path.isascii():
        transaction.smtputf8 = True
    if not peer.smtputf8 and transaction.smtputf8:
        # RFC 6531 §3.4: the flag of a letter that is ASCII throughout may be dropped.
        if not (transaction.reverse_path.isascii() and octets is not None and _head_is_ascii(octets)):
            return NO_SMTPUTF8
        transaction.smtputf8 = False
    if not peer.eight_bit and transaction.body == "8BITMIME" and not transaction.probe:
        # RFC 6152 §3: convert or give up. A declaration without any 8-bit octet behind it needs neither.
        if octets is None or not octets.isascii():
            return NO_EIGHT_BIT
        transaction.body = "7BIT"
    if octets is not None and has_bare_line_end(octets):
        return BARE_LINE_END
    return None


def is_sound(path: str) -> bool:
    """No control characters, and encodable."""
    if path.isascii():
        return path.isprintable()
    return not any(c < " " or "\x7f" <= c <= "\x9f" or "\ud800" <= c <= "\udfff" for c in path)


def has_bare_line_end(octets: bytes) -> bool:
    rest = octets.replace(b"\r\n", b"")  # half the time of three counts
    return b"\n" in rest or b"\r" in rest


def _head_is_ascii(octets: bytes) -> bool:
    end = octets.find(b"\r\n\r\n")
    return (octets if end < 0 else octets[:end]).isascii()


# --- commands -------------------------------------------------------------------------------------------------------


def render_mail(transaction: Transaction, peer: Capabilities) -> bytes:
    """`MAIL FROM:<…>` with the parameters the server knows, CRLF included (RFC 5321 §4.1.1.2)."""
    command = f"MAIL FROM:<{transaction.reverse_path}>"
    if peer.size and transaction.size:
        command = f"{command} SIZE={transaction.size}"
    if transaction.body == "8BITMIME" and peer.eight_bit:
        command += " BODY=8BITMIME"
    if transaction.smtputf8 and peer.smtputf8:
        command += " SMTPUTF8"
    if peer.dsn:
        if transaction.ret:
            command = f"{command} RET={transaction.ret}"
        if transaction.envid:
            command = f"{command} ENVID={render_xtext(transaction.envid)}"
    if transaction.priority and peer.priority:  # RFC 6710 §4.2; §4.3: a server that does not offer it gets none
        command = f"{command} MT-PRIORITY={transaction.priority}"
    return f"{command}\r\n".encode()


def render_rcpt(recipient: Recipient, peer: Capabilities) -> bytes:
    """`RCPT TO:<…>` with NOTIFY and ORCPT if the server offers DSN (RFC 3461 §4.1, §4.2), CRLF included."""
    command = f"RCPT TO:<{recipient.forward_path}>"
    if peer.dsn:
        if recipient.notify:
            command = f"{command} NOTIFY={','.join(recipient.notify)}"
        if recipient.orcpt:
            command += render_orcpt(recipient.orcpt)
    return f"{command}\r\n".encode()


def render_orcpt(orcpt: str) -> str:
    """` ORCPT=type;address`, encoded; '' for what has no type, or is not ASCII under a type that must be."""
    kind, found, address = orcpt.partition(";")
    if not found or not kind.isascii() or not kind.isprintable() or " " in kind:
        return ""
    if kind.lower() == "utf-8":
        return f" ORCPT={kind};{_render_utf8_address(address)}"
    return f" ORCPT={kind};{render_xtext(address)}" if address.isascii() else ""


def render_xtext(text: str) -> str:
    """RFC 3461 §4: printable ASCII but `+`, `=` and the blank as it is, all else as +HH (octets of UTF-8)."""
    if text.isalnum() and text.isascii():
        return text
    return "".join(
        chr(o) if 33 <= o <= 126 and o not in b"+=" else f"+{o:02X}" for o in text.encode("utf-8", "replace")
    )


def _render_utf8_address(text: str) -> str:
    r"""utf-8-addr-xtext (RFC 6533 §3): \x{HEX} for what xtext cannot carry, so that it is ASCII on any way."""
    return "".join(c if "!" <= c <= "~" and c not in "\\+=" else f"\\x{{{ord(c):X}}}" for c in text)


# --- content --------------------------------------------------------------------------------------------------------


def stuff(octets: bytes) -> bytes:
    """Whole content for DATA: dot-stuffed, ended by CRLF, without the final dot. Bare line ends were refused before."""
    if b"\r\n." in octets:
        octets = octets.replace(b"\r\n.", b"\r\n..")
    if octets.startswith(b"."):
        octets = b"." + octets
    return octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n"


class DataEncoder:
    """Content for DATA piece by piece; however it is cut, the same octets come out as from `stuff`."""

    __slots__ = ("_held", "_line_start")

    def __init__(self) -> None:
        self._line_start = True
        #: A CR at the end of a piece waits for its LF.
        self._held = b""

    def encode(self, data: bytes) -> bytes:
        """What can be written now. Raises ContentFault."""
        data, self._held = _hold_back(self._held + data if self._held else data)
        if not data:
            return b""
        stuffed = data.replace(b"\r\n.", b"\r\n..") if b"\r\n." in data else data
        if self._line_start and data[0] == 0x2E:
            stuffed = b"." + stuffed
        self._line_start = data.endswith(b"\r\n")
        return stuffed

    def finish(self) -> bytes:
        """The end, with the final dot. Raises ContentFault."""
        if self._held:
            raise ContentFault(BARE_LINE_END)
        return FINAL_DOT if self._line_start else b"\r\n" + FINAL_DOT


class BdatEncoder:
    """Content for BDAT: the announced number of octets, unchanged (RFC 3030 §2)."""

    __slots__ = ("_held", "missing")

    def __init__(self, size: int) -> None:
        self.missing = size
        self._held = b""

    def encode(self, data: bytes) -> bytes:
        """What can be written now. Raises ContentFault, also for more octets than announced."""
        self.missing -= len(data)
        if self.missing < 0:
            raise ContentFault(WRONG_SIZE)
        data, self._held = _hold_back(self._held + data if self._held else data)
        return data

    def finish(self) -> bytes:
        """Nothing. Raises ContentFault, also if octets are missing: the server would take commands for content."""
        if self._held:
            raise ContentFault(BARE_LINE_END)
        if self.missing:
            raise ContentFault(WRONG_SIZE)
        return b""


def _hold_back(data: bytes) -> tuple[bytes, bytes]:
    """(what is complete, a CR at the end that waits). Raises ContentFault."""
    held = b""
    if data.endswith(b"\r"):
        data, held = data[:-1], b"\r"
    if has_bare_line_end(data):
        raise ContentFault(BARE_LINE_END)
    return data, held
