"""Events as sentences: one for each class of `model.events`, for people who look for what happened.

Rules
1. A sentence says what happened, to whom and why, in words that need no manual; ids come last. It ends without a stop.
2. What strangers wrote stands in it as it is: whoever prints it makes it harmless (`cli.output.safe`).
3. An event of another version, which this one cannot read, is told field by field.
4. A test wants a sentence for every class. To add one: a function below, and its line in `_SENTENCES`.

Called by `admin.events`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Union

import msgspec

from ekiden.admin.anomaly_text import anomaly_sentence
from ekiden.model import caller_events, events
from ekiden.model.door import DOORS, Door
from ekiden.model.events import Event
from ekiden.model.road_block import TROUBLES, Trouble

#: `reason` of `login.failed`, in words.
LOGIN_REASONS: Final = {
    "unknown-user": "there is no such account",
    "wrong-password": "the password is wrong",
    "disabled": "the account is disabled",
    "changed-meanwhile": "the account was changed while the login was checked",
    "busy": "too many logins were waiting; nothing was decided",
    "store-failed": "the accounts could not be read; nothing was decided",
    "password-too-old": "the password is older than [passwords] max_age_days; `ekiden account passwd` sets a new one",
    "too-many-guesses": "too many wrong logins came from there",
    "expired": "the app password has expired",
    "out-of-scope": "the app password is not for this (sending or fetching)",
    "out-of-network": "the app password is not for this network",
    "token-malformed": "the token cannot be read, or has an algorithm that we do not take",
    "token-signature": "the token is signed by none of the issuer's keys",
    "token-expired": "the token has expired",
    "token-not-for-us": "the token is from another issuer, for another audience, or not valid yet",
    "token-out-of-scope": "the token does not allow mail",
    "token-names-nobody": "the token does not hold the claim that names the login",
    "token-address-unverified": "the issuer has not verified the address in the token",
    "token-for-another": "the token is for another account than the client named",
    "issuer-silent": "the issuer's keys could not be read; nothing was decided",
}
#: `reason` of `session.closed`, in words.
END_REASONS: Final = {
    "quit": "it said goodbye",
    "timeout": "it was silent for too long",
    "lost": "the connection was lost",
    "drain": "the server was stopping",
    "errors": "too many wrong commands",
    "commands": "too many commands, and no letter",
    "guessing": "too many wrong logins",
    "injection": "commands were hidden behind STARTTLS or STLS",
    "bare-lf": "lines did not end with CR LF",
    "pipelining": "it spoke before it was its turn",
    "http": "it spoke HTTP: no mail program",
    "tls-failed": "TLS could not be agreed on",
    "slow": "it sent next to nothing, and places ran short",
    "revoked": "the account was changed, disabled or removed",
    "fault": "a mistake of ours",
}
#: `what` of `door.wrong`, in words.
WRONG_DOORS: Final = {
    "tls": "began with TLS, and the door begins in the clear",
    "plain": "spoke in the clear, and the door begins with TLS",
    "silent": "said nothing, and the door begins with TLS",
    "starttls": "asked for STARTTLS, and TLS is on from the first byte",
    "login": "wanted to log in where mail servers come",
    "no-login": "wanted to send without a login",
    "smtp": "wanted to send where letters are fetched",
    "pop3": "wanted to fetch where letters are sent",
    "http": "spoke HTTP",
    "ssh": "spoke SSH",
    "proxy-header": "sent a PROXY header and is no listed proxy",
}
#: `rule` of `door.refused`, in words.
DOOR_RULES: Final = {
    "denied": "its address is in deny of this door",
    "not-allowed": "its address is not in allow of this door",
    "banned": "its network is banned (`ekiden ban list`)",
    "proxy-header-missing": "it is a listed proxy and sent no PROXY header",
    "proxy-header-malformed": "it is a listed proxy, and its PROXY header cannot be read",
}
_ACCOUNT_ACTIONS: Final = {
    "add": "added the account",
    "passwd": "gave a new password to",
    "disable": "disabled",
    "enable": "enabled",
    "remove": "removed the account",
    "alias-add": "added or changed the alias",
    "alias-remove": "removed the alias",
    "app-password-add": "made an app password for",
    "app-password-revoke": "revoked an app password of",
    "send-as-add": "granted another sender address to",
    "send-as-remove": "took back a sender address from",
}

_SERVER: Final = {
    "listening": "the doors are open",
    "configuration": "the check of the configuration found",
    "started": "the server has started",
    "draining": "the server is stopping, and finishes what is under way",
    "stopped": "the server has stopped",
    "reloaded": "the configuration was read again",
    "reload-refused": "the new configuration was refused, and the old one stays",
    "worker-started": "a worker has started",
    "worker-silent": "a worker stood still",
    "worker-died": "a worker ended",
}


def sentence(event: Event) -> str:
    """For people; without the time."""
    return _SENTENCES[type(event)](event)


def sentence_of_line(line: bytes) -> str:
    """Of an event as the store keeps it."""
    try:
        event = _decoder.decode(line)
    except msgspec.ValidationError:  # rule 3
        return _plain(msgspec.json.decode(line))
    return sentence(event)


def event_names() -> list[str]:
    """Of all events that this version has."""
    return sorted(str(kind.__struct_config__.tag) for kind in _SENTENCES)


def door_text(door: str) -> str:
    """`submission (587)`: people know doors by their ports."""
    return f"{door} ({DOORS[Door(door)].port})" if door in {known.value for known in Door} else door


def _plain(fields: dict[str, Any]) -> str:
    shown = {key: value for key, value in fields.items() if key not in ("time", "pid", "event", "level")}
    return ", ".join(f"{key} {value}" for key, value in shown.items())


def _at(door: str, client: str) -> str:
    return f"at {door_text(door)} from {client}" if client else f"at {door_text(door)}"


def _why(text: str) -> str:
    return f": {text}" if text else ""


def _many(number: int, one: str) -> str:
    return f"1 {one}" if number == 1 else f"{number} {one}s"


def _path(path: str) -> str:
    return f"<{path}>" if path in ("", "postmaster") else path


def _session_closed(e: events.SessionClosed) -> str:
    return f"a session {_at(e.door, e.client)} ended: {END_REASONS.get(e.reason, e.reason)}"


def _how_often(e: events.DoorWrong | events.DoorRefused) -> str:
    return f" ({e.count} times from {e.network} in this hour)" if e.count > 1 else ""


def _door_wrong(e: events.DoorWrong) -> str:
    what = WRONG_DOORS.get(e.what, e.what)
    return f"a client {_at(e.door, e.client)} {what}: {e.advice}{_how_often(e)}"


def _door_refused(e: events.DoorRefused) -> str:
    why = f"{DOOR_RULES.get(e.rule, e.rule)}{_why(e.detail)}"
    return f"a client {_at(e.door, e.client)} was not let in: {why}{_how_often(e)}"


def _login_succeeded(e: events.LoginSucceeded) -> str:
    soon = "; its password will soon be too old ([passwords] max_age_days)" if e.password_until else ""
    return f"{e.account} logged in {_at(e.door, e.client)} by {e.mechanism}{_app_password(e.app_password)}{soon}"


def _login_failed(e: events.LoginFailed) -> str:
    who, why = e.account or "somebody", LOGIN_REASONS.get(e.reason, e.reason)
    return f"{who} could not log in {_at(e.door, e.client)}{_app_password(e.app_password)}: {why}"


def _app_password(number: str) -> str:
    return f" with the app password {number}" if number else ""


def _guard_acted(e: events.GuardActed) -> str:
    where = f" {_at(e.door, e.client)}" if e.door else ""
    return f"the guard {e.guard} acted on {e.who}{where}: {e.reason}"


def _quota_near(e: events.QuotaNear) -> str:
    return f"{e.name} is nearly full: {e.octets} of {e.quota} octets; its owner was told"


def _quota_full(e: events.QuotaFull) -> str:
    return f"{e.name} is full: {e.octets} of {e.quota} octets, and a letter did not fit"


def _limit_near(e: events.LimitNear) -> str:
    return f"{e.who} is near its limit {e.limit} (profile {e.profile}): {e.count} of {e.allowed}"


def _limit_reached(e: events.LimitReached) -> str:
    return f"{e.who} has reached its limit {e.limit} (profile {e.profile}): {e.allowed}, and no more is taken for now"


def _ban_set(e: events.BanSet) -> str:
    again = f", the {e.times}. time in a row" if e.times > 1 else ""
    return f"{e.by} banned {e.network} from logging in{again}{_why(e.reason)}"


def _ban_lifted(e: events.BanLifted) -> str:
    return f"{e.by} lifted the ban of {e.network}"


def _caller_facts(e: caller_events.CallerRefused | caller_events.CallerMarked) -> str:
    who = f"{e.client} ({e.name})" if e.name else e.client
    return f"{who}{f', HELO {e.helo}' if e.helo else ''}{_why(e.reason)}"


def _caller_refused(e: caller_events.CallerRefused) -> str:
    return f"another server was turned away: {_caller_facts(e)}"


def _caller_marked(e: caller_events.CallerMarked) -> str:
    return f"a letter is taken, but marked, from {_caller_facts(e)}"


def _list_off(e: caller_events.ListOff) -> str:
    return f"the DNS list {e.zone} is not believed for {e.family}{_why(e.reason)}"


def _list_on(e: caller_events.ListOn) -> str:
    return f"the DNS list {e.zone} is well again for {e.family}"


def _recipient_refused(e: events.RecipientRefused) -> str:
    who = f"{_path(e.reverse_path)} to {_path(e.forward_path)}"
    return f"refused {who} {_at(e.door, e.client)}: {e.reply} (rule {e.rule})"


def _sender_refused(e: events.SenderRefused) -> str:
    return f"refused {_path(e.reverse_path)} from {e.account} {_at(e.door, e.client)}: {e.reply} (rule {e.rule})"


def _letter_accepted(e: events.LetterAccepted) -> str:
    to = ", ".join(e.recipients) + (" …" if e.recipient_count > len(e.recipients) else "")
    took = f"took the letter {e.letter} from {_path(e.reverse_path)} to {to} {_at(e.door, e.client)}"
    return f"{took}, and holds it: {e.held}" if e.held else took


def _letter_refused(e: events.LetterRefused) -> str:
    who = _path(e.reverse_path) + (f" (login {e.account})" if e.account else "")
    why = f"{e.reply} (rule {e.rule})" + (f": {e.reason}" if e.reason else "")
    return f"refused a letter from {who} {_at(e.door, e.client)}: {why}"


def _attempt_finished(e: events.AttemptFinished) -> str:
    outcomes = ", ".join(f"{count} {kind}" for kind, count in e.outcomes.items())
    return f"attempt {e.attempt} of the letter {e.letter} by {e.next_hop}: {outcomes}{_why(e.reply)}"


def _attempt_skipped(e: events.AttemptSkipped) -> str:
    outcomes = ", ".join(f"{count} {kind}" for kind, count in e.outcomes.items())
    return f"no attempt of the letter {e.letter} by {e.next_hop}: {outcomes}{_why(e.reason)}"


def _ipv6_refused(e: events.Ipv6Refused) -> str:
    what = f"the letter {e.letter}" if e.letter else "mail"
    return f"{e.remote} does not take {what} over IPv6, IPv4 is tried{_why(e.reply)}"


def _possible_duplicate(e: events.PossibleDuplicate) -> str:
    where = e.remote or e.next_hop
    return f"the letter {e.letter} may reach {_many(e.recipients, 'recipient')} at {where} twice{_why(e.reason)}"


def _claims_freed(e: events.ClaimsFreed) -> str:
    return f"a worker died with {_many(e.legs, 'leg')} in hand; they are tried again, and some may arrive twice"


def _site_state(e: events.SiteState) -> str:
    states = {
        "resting": "rests after failures",
        "slots": "has all the connections it may have",
        "suspended": "is suspended",
        "open": "takes letters again",
    }
    return f"the site {e.site} {states.get(e.what, e.what)}{_why(e.reason)}"


def _road_blocked(e: events.RoadBlocked) -> str:
    kind = TROUBLES.get(Trouble(e.kind), e.kind) if e.kind in {known.value for known in Trouble} else e.kind
    then = f"letters go through {', '.join(e.detour)}" if e.detour else "letters wait (docs/op25b.md)"
    return f"this network blocks port 25: connections over {e.family} {kind}; {then}"


def _road_open(e: events.RoadOpen) -> str:
    return f"port 25 is open again over {e.family}, and letters go directly{_why(e.host)}"


def _road_examined(e: events.RoadExamined) -> str:
    return f"several sites failed alike over {e.family}, but port 25 is not found blocked: {e.finding}"


def _detour_refused(e: events.DetourRefused) -> str:
    who = f"{_path(e.reverse_path)} as a sender of ours"
    return f"the letter {e.letter} is held, for {e.remote} does not take {who}: {e.reply}"


def _report_made(e: events.ReportMade) -> str:
    return f"told {_path(e.to)} that the letter {e.letter} is {e.kind} (report {e.report})"


def _notice_sent(e: events.NoticeSent) -> str:
    return f"wrote to {_path(e.to)}: {e.kind}{f' ({e.about})' if e.about else ''} (letter {e.letter})"


def _brake_set(e: events.BrakeSet) -> str:
    return f"the letters of {e.account} are held from now on: {e.reason}"


def _brake_lifted(e: events.BrakeLifted) -> str:
    what = {"release": "what was held is sent", "bounce": "what was held goes back"}.get(e.action, e.action)
    return f"{e.by}: the letters of {e.account} go their way again, {what}"


def _hold_expired(e: events.HoldExpired) -> str:
    return f"nobody decided about the letter {e.letter}, which goes back to its sender; it was held: {e.reason}"


def _report_withheld(e: events.ReportWithheld) -> str:
    return f"the letter {e.letter} failed for {_path(e.forward_path)}, and nobody may be told{_why(e.reason)}"


def _queue_changed(e: events.QueueChanged) -> str:
    letters = f"the letter {e.letter}" if e.letter != "all" else f"all letters {e.selection}".rstrip()
    to = f" to {e.to}" if e.to else ""
    return f"{e.by}: {e.action} {letters}{to}, {_many(e.legs, 'leg')}{_why(e.reason)}"


def _site_changed(e: events.SiteChanged) -> str:
    return f"{e.by}: {e.action} the site {e.site}{_why(e.reason)}"


def _certificate(key: str, names: list[str]) -> str:
    return f"the certificate for {', '.join(names) or 'no name'} ([{key.partition('[')[0]}])"


def _certificate_loaded(e: events.CertificateLoaded) -> str:
    return f"{_certificate(e.key, e.names)} is in use"


def _certificate_refused(e: events.CertificateRefused) -> str:
    return f"a changed certificate cannot be used, and the old one stays: {e.key}: {e.reason}"


def _sts_failed(e: events.StsFailed) -> str:
    return f"The MTA-STS policy of {e.domain} could not be had: {e.reason}"


def _certificate_expiring(e: events.CertificateExpiring) -> str:
    ends = f"expires in less than {_many(e.days, 'day')}" if e.days else "has expired"
    return f"{_certificate(e.key, e.names)} {ends}: renew it"


def _issuer_failed(e: events.IssuerFailed) -> str:
    return f"the keys of the issuer {e.issuer} could not be read: {e.reason}"


def _account_changed(e: events.AccountChanged) -> str:
    return f"{e.by} {_ACCOUNT_ACTIONS.get(e.action, e.action)} {e.account}{_why(e.what)}"


def _server_changed(e: events.ServerChanged) -> str:
    worker = f" (process {e.pid})" if e.what.startswith("worker") else ""
    return f"{_SERVER.get(e.what, e.what)}{worker}{_why(e.detail)}"


def _log_dropped(e: events.LogDropped) -> str:
    return f"{_many(e.lines, 'line')} of the log were lost{_why(e.reason)}"


def _events_dropped(e: events.EventsDropped) -> str:
    if not e.count:
        return f"the store of events cannot be written{_why(e.reason)}; the log has them"
    return f"{_many(e.count, 'event')} are in the log alone{_why(e.reason)}"


def _event_repeated(e: events.EventRepeated) -> str:
    who = f" of {e.account}" if e.account else ""
    where = f" from {e.client}" if e.client else ""
    return f"{e.times} more {e.name}{who}{where} within {e.seconds:.0f} s; the log has each"


def _internal_fault(e: events.InternalFault) -> str:
    return f"a mistake of ours in {e.where}: {e.error} (incident {e.incident})"


_SENTENCES: Final[dict[type[Event], Callable[[Any], str]]] = {
    events.SessionClosed: _session_closed,
    events.DoorWrong: _door_wrong,
    events.DoorRefused: _door_refused,
    events.LoginSucceeded: _login_succeeded,
    events.LoginFailed: _login_failed,
    events.GuardActed: _guard_acted,
    events.LimitNear: _limit_near,
    events.QuotaNear: _quota_near,
    events.QuotaFull: _quota_full,
    events.LimitReached: _limit_reached,
    events.BanSet: _ban_set,
    events.BanLifted: _ban_lifted,
    caller_events.CallerRefused: _caller_refused,
    caller_events.CallerMarked: _caller_marked,
    caller_events.ListOff: _list_off,
    caller_events.ListOn: _list_on,
    events.RecipientRefused: _recipient_refused,
    events.SenderRefused: _sender_refused,
    events.LetterAccepted: _letter_accepted,
    events.LetterRefused: _letter_refused,
    events.AttemptFinished: _attempt_finished,
    events.AttemptSkipped: _attempt_skipped,
    events.Ipv6Refused: _ipv6_refused,
    events.PossibleDuplicate: _possible_duplicate,
    events.ClaimsFreed: _claims_freed,
    events.SiteState: _site_state,
    events.RoadBlocked: _road_blocked,
    events.RoadOpen: _road_open,
    events.RoadExamined: _road_examined,
    events.DetourRefused: _detour_refused,
    events.ReportMade: _report_made,
    events.NoticeSent: _notice_sent,
    events.BrakeSet: _brake_set,
    events.BrakeLifted: _brake_lifted,
    events.HoldExpired: _hold_expired,
    events.ReportWithheld: _report_withheld,
    events.QueueChanged: _queue_changed,
    events.SiteChanged: _site_changed,
    events.AccountChanged: _account_changed,
    events.CertificateLoaded: _certificate_loaded,
    events.CertificateRefused: _certificate_refused,
    events.StsFailed: _sts_failed,
    events.CertificateExpiring: _certificate_expiring,
    events.IssuerFailed: _issuer_failed,
    events.ServerChanged: _server_changed,
    events.LogDropped: _log_dropped,
    events.EventsDropped: _events_dropped,
    events.EventRepeated: _event_repeated,
    events.AnomalyFound: anomaly_sentence,
    events.InternalFault: _internal_fault,
}
#: Any of them, by its tag.
_decoder: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(Union[tuple(_SENTENCES)])  # noqa: UP007 - made of a tuple
