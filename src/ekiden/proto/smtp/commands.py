"""The commands of the SMTP server machine, but for content and AUTH: one function each, found by a dict.

Rules
1. A function gets the machine and what follows the verb's blank; it gives an event, or None when the answer is in the
   output already. What it settles later is the function beside it.
2. Order of refusals: sequence, then what the door demands (TLS, login), then syntax, then limits.
3. White space behind a command is tolerated (RFC 5321 §4.1.1).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ekiden.model.mailbox import Mailbox
from ekiden.model.path import PathError, parse_path
from ekiden.model.reply import Reply
from ekiden.proto.smtp import replies
from ekiden.proto.smtp.auth import auth
from ekiden.proto.smtp.content import bdat, data
from ekiden.proto.smtp.events import ContentAborted, Event, Hello, MailFrom, Quit, RcptTo, Reset, StartTls
from ekiden.proto.smtp.faults import RemoteProtocolError
from ekiden.proto.smtp.grammar import parse_mail_parameters, parse_rcpt_parameters
from ekiden.proto.smtp.machine import Machine
from ekiden.proto.smtp.settings import ehlo_reply, helo_reply

Command = Callable[[Machine, bytes], "Event | None"]

#: RFC 5321 §4.5.3.1.2: a name is no longer than a domain.
MAX_HELLO_NAME: Final = 255
_PRINTABLE: Final = bytes(range(32, 127))


def command(machine: Machine, line: bytes) -> Event | None:
    """Does what a line without its CRLF says."""
    machine.commands += 1
    if machine.commands >= machine.settings.command_limit > 0:
        machine.say(replies.TOO_MANY_COMMANDS)
        machine.hang_up("commands")
        return None
    verb, _, argument = line.partition(b" ")
    found = COMMANDS.get(verb) or COMMANDS.get(verb.upper())
    if found is not None:
        return found(machine, argument)
    return machine.reject(replies.UNKNOWN_COMMAND if verb.isalpha() else replies.GARBAGE)


# --- HELO, EHLO, LHLO -------------------------------------------------------------------------------------------


def _helo(machine: Machine, argument: bytes) -> Event | None:
    return machine.reject(replies.UNKNOWN_COMMAND) if machine.settings.lmtp else _hello(machine, argument, _helo)


def _ehlo(machine: Machine, argument: bytes) -> Event | None:
    return machine.reject(replies.UNKNOWN_COMMAND) if machine.settings.lmtp else _hello(machine, argument, _ehlo)


def _lhlo(machine: Machine, argument: bytes) -> Event | None:
    """RFC 2033 §4.1."""
    return _hello(machine, argument, _lhlo) if machine.settings.lmtp else machine.reject(replies.UNKNOWN_COMMAND)


def _hello(machine: Machine, argument: bytes, verb: Command) -> Event | None:
    # deviates RFC 5321 §4.1.1.1: any printable ASCII is taken for a name (printers, and programs that send the name
    # of the computer): test_any_printable_helo_name
    name = argument.strip()
    if not 0 < len(name) <= MAX_HELLO_NAME or name.translate(None, _PRINTABLE):
        return machine.reject(replies.EXPECTED_HELLO_NAME)
    if machine.in_content:
        return machine.forget_content(replies.RESET, verb, argument)
    machine.reset_transaction()  # RFC 5321 §4.1.4
    extended = verb is not _helo
    return machine.owe(Hello(name.decode(), extended), _settle_extended if extended else _settle_plain)


def _settle_plain(machine: Machine, reply: Reply | None) -> None:
    reply = reply or helo_reply(machine.settings)
    machine.say(reply)
    machine.greeted |= reply.code < 400


def _settle_extended(machine: Machine, reply: Reply | None) -> None:
    reply = reply or ehlo_reply(machine.settings)
    machine.say(reply)
    machine.greeted |= reply.code < 400


# --- MAIL and RCPT ----------------------------------------------------------------------------------------------


def _mail(machine: Machine, argument: bytes) -> Event | None:
    refusal = _may_mail(machine)
    if refusal is not None:
        machine.aborted |= not machine.transaction
        return machine.reject(refusal)
    machine.aborted = True  # until it is accepted
    if argument[:5].upper() != b"FROM:":
        return machine.reject(replies.EXPECTED_FROM)
    # deviates RFC 5321 §4.1.1.2: blanks behind FROM: are skipped: test_blank_behind_the_colon
    octets = argument[5:].lstrip()
    utf8 = not octets.isascii()
    try:
        path, rest = parse_path(octets, utf8=utf8, lenient=machine.settings.lenient_paths)
        parameters = parse_mail_parameters(rest)
    except PathError as error:
        return machine.reject(_expected("5.1.7", error))
    except RemoteProtocolError as fault:
        return machine.reject(fault.reply)
    if path is not None and not path.domain:
        return machine.reject(replies.EXPECTED_SENDER_DOMAIN)
    if utf8 and not parameters.smtputf8:
        return machine.reject(replies.NEEDS_SMTPUTF8)
    if parameters.size > machine.settings.size_limit > 0:
        machine.say(replies.TOO_LARGE)
        return None
    machine.smtputf8 = parameters.smtputf8
    event = MailFrom(
        path,
        parameters.size,
        parameters.body,
        parameters.smtputf8,
        parameters.ret,
        parameters.envid,
        parameters.priority,
    )
    return machine.owe(event, _settle_mail)


def _expected(status: str, error: PathError) -> Reply:
    text = str(error)
    return Reply(501, status, text[0].upper() + text[1:])


def _may_mail(machine: Machine) -> Reply | None:
    settings = machine.settings
    refusal: Reply | None = None
    if not machine.greeted:
        refusal = replies.HELLO_FIRST
    elif machine.transaction:
        refusal = replies.NESTED_MAIL
    elif settings.lacks_tls:
        refusal = replies.MAIL_NEEDS_TLS if settings.require_auth else replies.TLS_FIRST
    elif settings.require_auth and not machine.authenticated:
        refusal = replies.MAIL_NEEDS_LOGIN
    return refusal


def _settle_mail(machine: Machine, reply: Reply | None) -> None:
    if reply is None:
        reply = replies.SENDER_OK
    machine.say(reply)
    if reply.code < 400:
        machine.transaction = True
        machine.aborted = False


def _rcpt(machine: Machine, argument: bytes) -> Event | None:
    if not machine.transaction:
        return machine.refuse_sequel(replies.MAIL_FIRST if machine.greeted else replies.HELLO_FIRST)
    if machine.chunking:
        return machine.reject(replies.CHUNKS_UNDER_WAY)
    if argument[:3].upper() != b"TO:":
        return machine.reject(replies.EXPECTED_TO)
    # deviates RFC 5321 §4.1.1.3: blanks behind TO: are skipped: test_blank_behind_the_colon
    octets = argument[3:].lstrip()
    try:
        path, rest = parse_path(octets, utf8=not octets.isascii(), lenient=machine.settings.lenient_paths)
        parameters = parse_rcpt_parameters(rest, utf8=machine.smtputf8)
    except PathError as error:
        return machine.reject(_expected("5.1.3", error))
    except RemoteProtocolError as fault:
        return machine.reject(fault.reply)
    if path is None:
        return machine.reject(replies.NULL_FORWARD_PATH)
    return _recipient(machine, path, RcptTo(path, parameters.notify, parameters.orcpt))


def _recipient(machine: Machine, path: Mailbox, event: RcptTo) -> Event | None:
    if not machine.smtputf8 and path.needs_smtputf8:
        return machine.reject(replies.NEEDS_SMTPUTF8)
    if machine.recipients >= machine.settings.max_recipients:
        _too_many(machine)
        return None
    return machine.owe(event, _settle_rcpt)


def _too_many(machine: Machine) -> None:
    """RFC 5321 §4.5.3.1.10: no error of the client's, which may have sent the whole list before it heard of the limit
    and must not lose the letter for that. As many as could have been accepted count as no commands; no more."""
    machine.surplus += 1
    if machine.surplus <= machine.settings.max_recipients:
        machine.commands -= 1
    machine.say(replies.TOO_MANY_RECIPIENTS)


def _settle_rcpt(machine: Machine, reply: Reply | None) -> None:
    if reply is None:
        reply = replies.RECIPIENT_OK
    machine.say(reply)
    if reply.code < 400:
        machine.recipients += 1
        machine.commands -= 1


# --- the rest ---------------------------------------------------------------------------------------------------


def _rset(machine: Machine, argument: bytes) -> Event | None:
    if argument.strip():
        return machine.reject(replies.EXPECTED_NOTHING)
    if machine.in_content:
        return machine.forget_content(replies.RESET, _rset, argument)
    machine.reset_transaction()
    machine.say(replies.RESET)
    return Reset()


def _noop(machine: Machine, _argument: bytes) -> None:
    machine.say(replies.NOOP)


def _help(machine: Machine, _argument: bytes) -> None:
    machine.say(replies.HELP)


def _vrfy(machine: Machine, argument: bytes) -> Event | None:
    if not argument.strip():
        return machine.reject(replies.EXPECTED_ARGUMENT)
    machine.say(replies.CANNOT_VERIFY)
    return None


def _expn(machine: Machine, argument: bytes) -> Event | None:
    if not argument.strip():
        return machine.reject(replies.EXPECTED_ARGUMENT)
    machine.say(replies.CANNOT_EXPAND)
    return None


def _not_implemented(machine: Machine, _argument: bytes) -> Event:
    return machine.reject(replies.NOT_IMPLEMENTED)


def _fetch(machine: Machine, _argument: bytes) -> Event:
    """A POP3 client at a door for SMTP."""
    return machine.reject(replies.FETCHED_ELSEWHERE)


def _web_request(machine: Machine, _argument: bytes) -> None:
    """A browser or a web service that was made to post to us: what follows as its header and body could be commands."""
    machine.say(replies.NO_WEB_SERVER)
    if machine.in_content:
        machine.pending.append(ContentAborted(replies.NO_WEB_SERVER))
    machine.hang_up("http")


def _quit(machine: Machine, argument: bytes) -> Event | None:
    if argument.strip():
        return machine.reject(replies.EXPECTED_NOTHING)
    if machine.in_content:
        return machine.forget_content(replies.BYE, _quit, argument)
    machine.reset_transaction()
    machine.say(replies.BYE)
    machine.close()
    return Quit()


def _starttls(machine: Machine, argument: bytes) -> Event | None:
    refusal: Reply | None = None
    if machine.settings.tls_active:
        refusal = replies.TLS_ACTIVE
    elif not machine.settings.offer_starttls:
        refusal = replies.TLS_NOT_OFFERED
    elif machine.chunking:
        refusal = replies.CHUNKS_UNDER_WAY
    elif argument.strip():
        refusal = replies.EXPECTED_NOTHING
    if refusal is not None:
        return machine.reject(refusal)
    if _injected(machine):
        return None
    return machine.owe(StartTls(), _settle_starttls)


def _injected(machine: Machine) -> bool:
    """DESIGN §8, invariant 5 (RFC 3207 §5): octets behind STARTTLS would be taken for what TLS protects."""
    if machine.at == len(machine.buffer):
        return False
    machine.say(replies.TLS_INJECTION)
    machine.hang_up("injection")
    return True


def _settle_starttls(machine: Machine, reply: Reply | None) -> None:
    if reply is not None:
        machine.say(reply)
    elif not _injected(machine):
        machine.say(replies.START_TLS)
        machine.handshaking = True


COMMANDS: Final[dict[bytes, Command]] = {
    b"HELO": _helo,
    b"EHLO": _ehlo,
    b"LHLO": _lhlo,
    b"MAIL": _mail,
    b"RCPT": _rcpt,
    b"DATA": data,
    b"BDAT": bdat,
    b"RSET": _rset,
    b"NOOP": _noop,
    b"VRFY": _vrfy,
    b"EXPN": _expn,
    b"HELP": _help,
    b"QUIT": _quit,
    b"STARTTLS": _starttls,
    b"AUTH": auth,
    # RFC 821 §3.4, §3.8 and RFC 1985, RFC 2645: known, and not for us
    b"SEND": _not_implemented,
    b"SOML": _not_implemented,
    b"SAML": _not_implemented,
    b"TURN": _not_implemented,
    b"ETRN": _not_implemented,
    b"ATRN": _not_implemented,
    # RFC 1939 §7, RFC 2449 §5, RFC 2595 §4: what a POP3 client may say first
    b"USER": _fetch,
    b"PASS": _fetch,
    b"APOP": _fetch,
    b"CAPA": _fetch,
    b"STLS": _fetch,
    # RFC 9110 §9.3, RFC 5789: methods of HTTP
    b"GET": _web_request,
    b"HEAD": _web_request,
    b"POST": _web_request,
    b"PUT": _web_request,
    b"PATCH": _web_request,
    b"DELETE": _web_request,
    b"OPTIONS": _web_request,
    b"CONNECT": _web_request,
}
