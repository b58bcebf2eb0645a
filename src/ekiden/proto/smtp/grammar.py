"""Parameters of MAIL and RCPT, sizes and xtext: octets to values (RFC 5321 §4.1.2 and the extensions' own RFCs).

Pure functions; what is wrong raises RemoteProtocolError with the reply that says what was expected. Called by the
commands of the SMTP server machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from ekiden.model.envelope import Notify
from ekiden.model.reply import Reply
from ekiden.proto.smtp import replies
from ekiden.proto.smtp.faults import RemoteProtocolError

#: RFC 1870 §4: size-value = 1*20DIGIT. RFC 3030 §2 sets no limit to a chunk's; ours is the same.
MAX_SIZE_DIGITS: Final = 20
#: RFC 3461 §4.4 (decoded) and §4.2.
MAX_ENVID: Final = 100
MAX_ORCPT: Final = 500

#: xchar of RFC 3461 §4: printable, but neither "+" nor "=".
_XCHAR: Final = bytes(octet for octet in range(33, 127) if octet not in b"+=")
_HIGH: Final = bytes(range(128, 256))
_HEX: Final = b"0123456789ABCDEFabcdef"
_PRINTABLE: Final = bytes(range(32, 127))
_ATOM: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


class MailParameters:
    __slots__ = ("body", "envid", "priority", "ret", "size", "smtputf8")

    def __init__(self) -> None:
        self.size = 0
        self.body = "7BIT"
        self.smtputf8 = False
        self.ret = ""
        self.envid = ""
        self.priority = 0


class RcptParameters:
    __slots__ = ("notify", "orcpt", "utf8")

    def __init__(self, *, utf8: bool) -> None:
        self.notify: tuple[Notify, ...] = ()
        self.orcpt = ""
        self.utf8 = utf8


def parse_mail_parameters(octets: bytes) -> MailParameters:
    """What follows the reverse-path. Raises RemoteProtocolError."""
    parameters = MailParameters()
    if octets:
        _parse(octets, parameters, _MAIL, replies.UNKNOWN_MAIL_PARAMETER)
    return parameters


def parse_rcpt_parameters(octets: bytes, *, utf8: bool) -> RcptParameters:
    """What follows the forward-path. `utf8`: MAIL had SMTPUTF8. Raises RemoteProtocolError."""
    parameters = RcptParameters(utf8=utf8)
    if octets:
        _parse(octets, parameters, _RCPT, replies.UNKNOWN_RCPT_PARAMETER)
    return parameters


def parse_number(octets: bytes) -> int | None:
    """1 to 20 decimal digits, or None."""
    return int(octets) if octets.isdigit() and len(octets) <= MAX_SIZE_DIGITS else None


def decode_xtext(octets: bytes, *, utf8: bool = False) -> bytes | None:
    """RFC 3461 §4: `+2B` is `+`. None if it is no xtext. `utf8`: octets above 127 stand for themselves (RFC 6533
    §3)."""
    head, *rest = octets.split(b"+")
    if b"".join([head, *rest]).translate(None, _XCHAR + _HIGH if utf8 else _XCHAR):
        return None
    decoded = [head]
    for part in rest:
        code = part[:2]
        if len(code) < 2 or code.translate(None, _HEX):
            return None
        decoded += [bytes.fromhex(code.decode()), part[2:]]
    return b"".join(decoded)


_P = TypeVar("_P", MailParameters, RcptParameters)


def _parse(octets: bytes, parameters: _P, table: dict[bytes, Callable[[_P, bytes], None]], unknown: Reply) -> None:
    if not octets.startswith((b" ", b"\t")):
        raise RemoteProtocolError(replies.EXPECTED_BLANK)
    seen = []
    for word in octets.split():
        keyword, _, _ = word.partition(b"=")
        keyword = keyword.upper()
        setter = table.get(keyword)
        if setter is None:
            raise RemoteProtocolError(unknown)
        if keyword in seen:
            raise RemoteProtocolError(replies.REPEATED_PARAMETER)
        seen.append(keyword)
        setter(parameters, word[len(keyword) :])


# Each setter gets the value with its "=", or b"" when there is neither: so `KEY` and `KEY=` can be told apart.


def _size(parameters: MailParameters, value: bytes) -> None:
    size = parse_number(value[1:])
    if size is None:
        raise RemoteProtocolError(replies.BAD_SIZE)
    parameters.size = size


def _body(parameters: MailParameters, value: bytes) -> None:
    match value.upper():
        case b"=8BITMIME":
            parameters.body = "8BITMIME"
        case b"=7BIT":
            parameters.body = "7BIT"
        case b"=BINARYMIME":
            raise RemoteProtocolError(replies.BINARY_NOT_OFFERED)
        case _:
            raise RemoteProtocolError(replies.BAD_BODY)


def _smtputf8(parameters: MailParameters, value: bytes) -> None:
    if value:
        raise RemoteProtocolError(replies.BAD_SMTPUTF8)
    parameters.smtputf8 = True


def _ret(parameters: MailParameters, value: bytes) -> None:
    match value.upper():
        case b"=FULL":
            parameters.ret = "FULL"
        case b"=HDRS":
            parameters.ret = "HDRS"
        case _:
            raise RemoteProtocolError(replies.BAD_RET)


def _envid(parameters: MailParameters, value: bytes) -> None:
    """RFC 3461 §4.4: printable US-ASCII, white space included."""
    envid = decode_xtext(value[1:])
    if not envid or len(envid) > MAX_ENVID or envid.translate(None, _PRINTABLE):
        raise RemoteProtocolError(replies.BAD_ENVID)
    parameters.envid = envid.decode()


def _auth(_parameters: MailParameters, value: bytes) -> None:
    """RFC 4954 §5: understood and ignored, as a server may that trusts no client to speak for another."""
    if value != b"=<>" and not decode_xtext(value[1:]):
        raise RemoteProtocolError(replies.BAD_AUTH_PARAMETER)


def _priority(parameters: MailParameters, value: bytes) -> None:
    """RFC 6710 §6: a digit, and a minus before it unless it is 0."""
    digit = value[-1:]
    if not digit.isdigit() or value[:-1] not in (b"=", b"=-") or value == b"=-0":
        raise RemoteProtocolError(replies.BAD_PRIORITY)
    parameters.priority = int(value[1:])


def _notify(parameters: RcptParameters, value: bytes) -> None:
    """RFC 3461 §4.1: NEVER stands alone."""
    words = value[1:].upper().split(b",")
    notify = tuple(_NOTIFY[word] for word in words if word in _NOTIFY)
    if len(notify) != len(words) or len(set(notify)) != len(notify) or (Notify.NEVER in notify and len(notify) > 1):
        raise RemoteProtocolError(replies.BAD_NOTIFY)
    parameters.notify = notify


def _orcpt(parameters: RcptParameters, value: bytes) -> None:
    """RFC 3461 §4.2, RFC 6533 §3: `type;address`. What xtext hides must be printable: it goes into reports."""
    kind, semicolon, encoded = value[1:].partition(b";")
    address = decode_xtext(encoded, utf8=parameters.utf8)
    if not semicolon or not kind or kind.translate(None, _ATOM) or not address or len(value) - 1 > MAX_ORCPT:
        raise RemoteProtocolError(replies.BAD_ORCPT)
    try:
        text = address.decode() if parameters.utf8 else address.decode("ascii")
    except UnicodeDecodeError:
        raise RemoteProtocolError(replies.BAD_ORCPT) from None
    if not text.isprintable():
        raise RemoteProtocolError(replies.BAD_ORCPT)
    parameters.orcpt = f"{kind.decode()};{text}"


_NOTIFY: Final = {notify.value.encode(): notify for notify in Notify}
_MAIL: Final[dict[bytes, Callable[[MailParameters, bytes], None]]] = {
    b"SIZE": _size,
    b"BODY": _body,
    b"SMTPUTF8": _smtputf8,
    b"RET": _ret,
    b"ENVID": _envid,
    b"AUTH": _auth,
    b"MT-PRIORITY": _priority,
}
_RCPT: Final[dict[bytes, Callable[[RcptParameters, bytes], None]]] = {b"NOTIFY": _notify, b"ORCPT": _orcpt}
