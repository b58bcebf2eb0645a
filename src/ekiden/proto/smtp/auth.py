"""AUTH: the frame of a SASL exchange (RFC 4954 §4). The mechanisms themselves are the session's (`proto.sasl`).

Rules
1. Base64 is strict: what is not exactly base64 ends the exchange with 501 5.5.2.
2. AUTH ends a group of commands: octets behind it, or behind a response before its challenge, are a fault. They could
   only be a guess at what we answer, and they may be a secret; they are thrown away unread.
3. Credentials are never kept: each line is handed on and forgotten.
"""

from __future__ import annotations

from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64

from ekiden.model.reply import Reply
from ekiden.proto.smtp import replies
from ekiden.proto.smtp.events import Auth, AuthCancelled, AuthResponse, Event
from ekiden.proto.smtp.faults import LocalProtocolError
from ekiden.proto.smtp.lines import AUTH_LINE, CRLF, ORDINARY
from ekiden.proto.smtp.machine import NEED_DATA, Machine, Need
from ekiden.proto.smtp.settings import mechanisms_reply


def auth(machine: Machine, argument: bytes) -> Event | None:
    """AUTH mechanism [initial-response]."""
    words = argument.split()
    refusal = _refusal(machine, words)
    if refusal is not None:
        return machine.reject(refusal)
    initial: bytes | None = None
    if len(words) == 2:
        initial = b"" if words[1] == b"=" else _decode(words[1])
        if initial is None:
            return machine.reject(replies.BAD_BASE64)
    if machine.at < len(machine.buffer):
        machine.sent_too_early()
        return None
    return machine.owe(Auth(words[0].decode().upper(), initial), _settle_auth)


def challenge(machine: Machine, octets: bytes) -> None:
    """334 with `octets` in base64; the client's response is read next."""
    if machine.owed is not _settle_auth:
        raise LocalProtocolError("a challenge is an answer to Auth and AuthResponse alone")
    machine.owed = None
    if machine.at < len(machine.buffer):
        machine.pending.append(AuthCancelled())
        machine.sent_too_early()
        return
    machine.out.append(b"334 " + b64encode(octets) + CRLF)
    machine.reader = _read_response


def _refusal(machine: Machine, words: list[bytes]) -> Reply | None:
    settings = machine.settings
    refusal: Reply | None = None
    if not machine.greeted:
        refusal = replies.HELLO_FIRST
    elif machine.authenticated:
        refusal = replies.AUTH_DONE
    elif settings.lacks_tls:
        refusal = replies.TLS_FIRST
    elif not settings.auth_mechanisms:
        refusal = settings.no_auth_reply or replies.AUTH_NOT_OFFERED
    elif machine.transaction:
        refusal = replies.AUTH_IN_TRANSACTION
    elif not 1 <= len(words) <= 2:
        refusal = replies.EXPECTED_MECHANISM
    elif words[0].upper().decode("latin-1") not in settings.auth_mechanisms:
        refusal = mechanisms_reply(settings)
    return refusal


def _decode(octets: bytes) -> bytes | None:
    try:
        return a2b_base64(octets, strict_mode=True)
    except (Base64Error, ValueError):
        return None


def _settle_auth(machine: Machine, reply: Reply | None) -> None:
    if reply is None:
        raise LocalProtocolError("AUTH must be answered with a reply or a challenge")
    machine.authenticated = reply.code == 235
    machine.say(reply)


def _read_response(machine: Machine) -> Event | Need | None:
    buffer, at = machine.buffer, machine.at
    end = buffer.find(CRLF, at)
    if not 0 <= end - at <= AUTH_LINE - len(CRLF):
        event = machine.no_line(AUTH_LINE, replies.AUTH_LINE_TOO_LONG)
        return _cancelled(machine, event) if event is not NEED_DATA else NEED_DATA
    line = buffer[at:end]
    machine.at = end + len(CRLF)
    machine.reader = None
    if line == b"*":
        machine.say(replies.AUTH_CANCELLED)
        return AuthCancelled()
    if line.translate(None, ORDINARY):
        machine.bare_octet()
        return _cancelled(machine, None)
    response = _decode(line)
    if response is None:
        return _cancelled(machine, machine.reject(replies.BAD_BASE64))
    return machine.owe(AuthResponse(response), _settle_auth)


def _cancelled(machine: Machine, event: Event | None) -> Event:
    """The exchange is over by a fault; `event`, if any, tells of it."""
    if event is not None:
        machine.pending.insert(0, event)
    return AuthCancelled()
