"""Events: what happened, in a form for the log, the trail and later the console. Grade A: plain data.

Rules
1. `event` (the tag) is a stable name, `noun.verb`; fields are only ever added. The log is one JSON object an event a
   line.
2. The same ids all the way: `session` (a connection), `letter`, `leg`, `attempt` (count from 1).
3. No event carries a password, a SASL response, or content. A login name is not a secret.
4. The hot path makes one event a letter accepted and one an attempt; never one a command.
5. `time` is set by the sink. Ids are shown as in `model.ids.render_id`.
6. The log has all events; the store keeps those that somebody asks about later (`is_kept`): not what the trail of a
   letter tells anyway, and not the end of an ordinary session.
7. Each class says when it happens in its docstring and has a sentence in `admin.event_text`; `docs/events.md` is made
   from here (`tools/event_table.py`). A field that is added has a default: older events lie in the store.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

#: How sessions end every day: nothing that anybody looks for.
ORDINARY_ENDS: Final = frozenset({"quit", "timeout", "lost", "drain"})


def _graver(level: str) -> Any:
    """The usual level of a class: written into the line, too, which leaves plain defaults out."""
    return msgspec.field(default_factory=lambda: level)


class Event(msgspec.Struct, tag_field="event", omit_defaults=True, kw_only=True):
    """The root of all events. `level` is 'info', 'warning' or 'error'."""

    level: str = "info"

    @property
    def is_kept(self) -> bool:
        """Whether it goes to the store of events."""
        return True


class SessionClosed(Event, tag="session.closed", kw_only=True):
    """A client's session ended. `reason`: quit, timeout, lost, errors, commands (many, without a letter), guessing (too
    many wrong logins), injection (octets behind STARTTLS or STLS), bare-lf, pipelining, http (not mail at all),
    tls-failed, slow (places ran short), drain, revoked, fault."""

    session: str
    door: str
    client: str
    reason: str
    letters: int = 0
    errors: int = 0
    seconds: float = 0.0

    @property
    def is_kept(self) -> bool:
        return self.reason not in ORDINARY_ENDS


class DoorWrong(Event, tag="door.wrong", kw_only=True):
    """Somebody is at the wrong door. `what`: see `model.wrong_door`; `advice`: what would be right. `count`: how often
    in this hour from this client's `network` (/24, /48), seen by this worker. The first few are told, then the tenth,
    the hundredth ...; `withheld`: from anywhere, since the last that was told."""

    door: str
    client: str
    what: str
    advice: str
    network: str = ""
    count: int = 1
    withheld: int = 0


class DoorRefused(Event, tag="door.refused", kw_only=True):
    """A client was not let in. `rule`: denied, not-allowed (`[doors.NAME]`), banned (`ekiden ban list`),
    proxy-header-missing or proxy-header-malformed (from a listed proxy). Told as `door.wrong` is."""

    door: str
    client: str
    rule: str
    detail: str = ""
    network: str = ""
    count: int = 1
    withheld: int = 0


class LoginSucceeded(Event, tag="login.succeeded", kw_only=True):
    """Somebody proved who they are. `tls`: version and cipher suite. `app_password`: the id of the one that was used,
    empty for the account's own password. `password_until`: when that one is over, in seconds since 1970, if that is
    within 14 days; then `level` is 'warning'."""

    session: str
    door: str
    client: str
    account: str
    mechanism: str
    tls: str = ""
    app_password: str = ""
    password_until: float = 0  # not 0.0, of which there are many: left out of a line is what is the default itself


class LoginFailed(Event, tag="login.failed", kw_only=True):
    """A login was refused. `account`: the account that was meant, '' if none can be told without showing what may be a
    password. `reason` is for the postmaster; the client gets the same reply for all of them.
    `app_password`: the id of the one that was shown and may not be used (expired, out of its scope or network)."""

    session: str
    door: str
    client: str
    account: str
    mechanism: str
    reason: str
    app_password: str = ""


class GuardActed(Event, tag="guard.acted", kw_only=True):
    """A guard refused or slowed somebody: told once in ten minutes for each. `guard`: its name, as in the page on
    protection. `who`: what was counted: an address, a network or an account."""

    guard: str
    who: str
    reason: str
    door: str = ""
    client: str = ""
    account: str = ""


class LimitNear(Event, tag="limit.near", kw_only=True):
    """An account, or an address of trusted_networks (`who`), has used four fifths of what it may send: told once for
    each limit, until its time is over. `limit`: the key of the profile."""

    who: str
    limit: str
    profile: str
    count: int
    allowed: int
    door: str = ""
    client: str = ""
    account: str = ""


class LimitReached(Event, tag="limit.reached", kw_only=True):
    """The same, and no more is taken until `again` (seconds since 1970). Told as `limit.near`; each refusal tells, too:
    `letter.refused` and `recipient.refused`."""

    who: str
    limit: str
    profile: str
    allowed: int
    again: float = 0.0
    door: str = ""
    client: str = ""
    account: str = ""
    level: str = _graver("warning")


class BanSet(Event, tag="ban.set", kw_only=True):
    """A network may not log in for a while. `by`: the operating-system user, or guard:logins. `until`: seconds since
    1970, 0 until somebody lifts it. `times`: how often in a row a guard banned it."""

    network: str
    by: str
    until: float = 0.0
    reason: str = ""
    times: int = 1


class BanLifted(Event, tag="ban.lifted", kw_only=True):
    """A person ended a ban. One that has run out is not told."""

    network: str
    by: str


class QuotaNear(Event, tag="quota.near", kw_only=True):
    """A mailbox (`name`; `@domain`: all of a domain together) holds nine tenths of its `quota`, and its owner (the
    postmaster) was told by mail: once, until it holds less than eight tenths."""

    name: str
    octets: int
    quota: int


class QuotaFull(Event, tag="quota.full", kw_only=True):
    """A letter did not fit: refused for now at the door, or waiting in the queue. Told once an hour for each."""

    name: str
    octets: int
    quota: int
    level: str = _graver("warning")


class RecipientRefused(Event, tag="recipient.refused", kw_only=True):
    """A recipient was refused at the door. `rule`: the one that decided; `reply`: what the client was told. `account`:
    the login."""

    session: str
    door: str
    client: str
    reverse_path: str
    forward_path: str
    rule: str
    reply: str
    account: str = ""


class SenderRefused(Event, tag="sender.refused", kw_only=True):
    """A login named a reverse-path at MAIL that is not its own. `rule`: the one that decided; `reply`: what the client
    was told."""

    session: str
    door: str
    client: str
    account: str
    reverse_path: str
    rule: str
    reply: str


class LetterAccepted(Event, tag="letter.accepted", kw_only=True):
    """Responsibility is ours from here on. `recipients`: forward-paths, the first 20 of `recipient_count`. `held`: why
    it waits for somebody who looks at it, '' if it goes its way. `rules`: the content rules that held or marked it.
    `first_time`: recipients that the login never wrote to before."""

    letter: str
    session: str = ""
    door: str = ""
    client: str = ""
    account: str = ""
    tls: str = ""
    reverse_path: str = ""
    recipients: list[str] = []
    recipient_count: int = 0
    size: int = 0
    message_id: str = ""
    held: str = ""
    rules: list[str] = []
    first_time: int = 0

    @property
    def is_kept(self) -> bool:
        return bool(self.held)


class LetterRefused(Event, tag="letter.refused", kw_only=True):
    """Refused after its data, by a rule or because the store could not take it. `rule`: the one that decided, such as
    owner-from (From is not the login's); `reason`: for the postmaster."""

    session: str
    door: str
    client: str
    reverse_path: str
    rule: str
    reply: str
    letter: str = ""
    account: str = ""
    reason: str = ""


class AttemptFinished(Event, tag="attempt.finished", kw_only=True):
    """One attempt of one leg. `outcomes`: outcome kind -> how many recipients.

    `next_attempt`: seconds since 1970, 0 if none is planned. `account`: whose letter it is, if a recipient failed."""

    letter: str
    leg: int
    attempt: int
    next_hop: str
    remote: str = ""
    tls: str = ""
    outcomes: dict[str, int] = {}
    reply: str = ""
    next_attempt: float = 0.0
    seconds: float = 0.0
    account: str = ""

    @property
    def is_kept(self) -> bool:
        return False


class AttemptSkipped(Event, tag="attempt.skipped", kw_only=True):
    """Nothing was tried, for the site takes no letters now or is at its limits: but the sender was told of the delay,
    or the letter's time is over. `outcomes`: outcome kind -> how many recipients. `reason`: what kept it.

    `next_attempt`: seconds since 1970, 0 if none is planned."""

    letter: str
    leg: int
    next_hop: str
    outcomes: dict[str, int] = {}
    reason: str = ""
    next_attempt: float = 0.0

    @property
    def is_kept(self) -> bool:
        return False


class Ipv6Refused(Event, tag="ipv6.refused", kw_only=True):
    """A host does not want our mail over IPv6, for reverse DNS or policy: IPv4 is tried, and comes first there for a
    while. `letter`, `leg`: what it said that of; none if it refused the session."""

    host: str
    remote: str
    reply: str
    letter: str = ""
    leg: int = 0
    level: str = _graver("warning")


class PossibleDuplicate(Event, tag="duplicate.possible", kw_only=True):
    """A next hop had the whole content and never answered: it is tried again, and may arrive twice. `recipients`: how
    many. `reason`: what ended the session."""

    letter: str
    leg: int
    attempt: int
    next_hop: str
    remote: str = ""
    recipients: int = 0
    reason: str = ""


class ClaimsFreed(Event, tag="claims.freed", kw_only=True):
    """A worker was killed with so many `legs` in hand; they are tried again. Those that it had sent without recording
    it arrive twice: which ones nobody knows, `legs` at most."""

    legs: int
    level: str = _graver("warning")


class SiteState(Event, tag="site.state", kw_only=True):
    """Whether a worker sends to a site (the set of MX hosts that `next_hops`, the first few, lead to). `what`: resting
    (it failed as a whole), slots (all connections it may have are in use by other workers), suspended (by a person),
    open."""

    site: str
    what: str
    next_hops: list[str] = []
    reason: str = ""


class RoadBlocked(Event, tag="road.blocked", kw_only=True):
    """This network blocks port 25 of other servers over `family` (IPv4, IPv6), docs/op25b.md. `kind`: dropped, reset,
    prohibited, foreign-banner, not-smtp; `evidence`: what each well-known host answered. `detour`: where letters go
    instead; none: they wait."""

    family: str
    kind: str
    evidence: list[str] = []
    detour: list[str] = []
    level: str = _graver("error")


class RoadOpen(Event, tag="road.open", kw_only=True):
    """Port 25 of other servers is open again; letters go directly. `since`: when it was found blocked, seconds since
    1970; `host`: who answered."""

    family: str
    since: float
    host: str = ""


class RoadExamined(Event, tag="road.examined", kw_only=True):
    """Several sites failed alike, but port 25 is not found blocked. `finding`: why not; a warning if STARTTLS is taken
    out on the way. `evidence`: what each well-known host answered."""

    family: str
    finding: str
    evidence: list[str] = []


class DetourRefused(Event, tag="detour.refused", kw_only=True):
    """The detour's server does not take this sender's address from us: the letter is held, not sent back. `remote`: who
    said `reply`."""

    letter: str
    reverse_path: str
    remote: str
    reply: str
    level: str = _graver("warning")


class ReportMade(Event, tag="report.made", kw_only=True):
    """A report was sent to whoever must know. `kind`: failed, delayed, relayed. `letter`: the one it is about;
    `report`: its own id."""

    letter: str
    report: str
    kind: str
    to: str

    @property
    def is_kept(self) -> bool:
        return False


class NoticeSent(Event, tag="notice.sent", kw_only=True):
    """The server itself wrote to somebody here: the postmaster, or the owner of an account. `kind`: what about (such as
    brake, quota); `about`: whom or what it concerns."""

    letter: str
    kind: str
    to: str
    about: str = ""


class ReportWithheld(Event, tag="report.withheld", kw_only=True):
    """A failure that nobody may be told of (null reverse-path; invariant 9)."""

    letter: str
    forward_path: str
    reason: str


class BrakeSet(Event, tag="brake.set", kw_only=True):
    """An account suddenly sends otherwise than usual: its letters are held from now on, until somebody decides.
    `signals`: new-network, bounces, networks, hours, volume."""

    account: str
    reason: str
    signals: list[str] = []
    level: str = _graver("warning")


class BrakeLifted(Event, tag="brake.lifted", kw_only=True):
    """Somebody decided: the letters of the account go their way again. `action`: release (what was held is sent) or
    bounce (it goes back). `by`: who."""

    account: str
    action: str
    by: str


class HoldExpired(Event, tag="hold.expired", kw_only=True):
    """Nobody decided about a letter that a rule held: its sender gets it back. `reason`: why it was held."""

    letter: str
    reason: str
    account: str = ""


class QueueChanged(Event, tag="queue.changed", kw_only=True):
    """A person steered. `action`: retry, hold, release, remove, bounce, reroute; `letter`: its id, or `all` that
    `selection` means (`domain=far.test state=held`; '': every one); `by`: the operating-system user. `to`: where it
    was rerouted to, `mx` for the way that the configuration says."""

    action: str
    letter: str
    by: str
    legs: int = 0
    selection: str = ""
    reason: str = ""
    to: str = ""


class SiteChanged(Event, tag="site.changed", kw_only=True):
    """A person acted on a site. `action`: suspend, resume; `until`: seconds since 1970, 0 until it is resumed; `by`:
    the operating-system user."""

    action: str
    site: str
    by: str
    until: float = 0.0
    reason: str = ""


class AccountChanged(Event, tag="account.changed", kw_only=True):
    """A person changed an account or an alias. `action`: add, passwd, disable, enable, remove, alias-add,
    alias-remove, app-password-add, app-password-revoke, send-as-add, send-as-remove; `by`: the operating-system user.
    `what`: the app password's id and name, or the address that was granted."""

    action: str
    account: str
    by: str
    what: str = ""


class ServerChanged(Event, tag="server.changed", kw_only=True):
    """Life of the processes. `what`: listening, configuration (a finding of its check), started, draining, stopped,
    reloaded, reload-refused, worker-started, worker-silent, worker-died."""

    what: str
    detail: str = ""
    pid: int = 0


class CertificateLoaded(Event, tag="certificate.loaded", kw_only=True):
    """A certificate of our doors is in use, from the start or because its files or the configuration changed. `key`:
    where it is configured, `tls` or `extra_certificate[1]`; `names`: what it is for; `until`: seconds since 1970."""

    key: str
    names: list[str]
    until: float
    fingerprint: str


class CertificateRefused(Event, tag="certificate.refused", kw_only=True):
    """The files of a certificate changed and cannot be used; the one that is in use stays."""

    key: str
    reason: str
    level: str = _graver("error")


class StsFailed(Event, tag="sts.failed", kw_only=True):
    """The MTA-STS policy of a domain could not be had, or names none of its mail hosts. What is in force stays."""

    domain: str
    reason: str
    level: str = _graver("warning")


class CertificateExpiring(Event, tag="certificate.expiring", kw_only=True):
    """`days`: 21, 7 or 1 or less are left; 0: it has expired. Once each a certificate, and after a start."""

    key: str
    names: list[str]
    until: float
    days: int
    fingerprint: str
    level: str = _graver("warning")


class IssuerFailed(Event, tag="issuer.failed", kw_only=True):
    """The keys of the configured issuer of tokens could not be read; those that we have go on for a day. Once a minute
    and worker at most."""

    issuer: str
    reason: str
    level: str = _graver("warning")


class LogDropped(Event, tag="log.dropped", kw_only=True):
    """The log itself could not keep up, or could not be written: so many lines are missing before this one."""

    lines: int
    reason: str
    level: str = _graver("warning")


class EventsDropped(Event, tag="events.dropped", kw_only=True):
    """The store of events could not be written, or not fast enough: so many events are in the log alone. `count` 0: it
    fails right now, and is tried again."""

    count: int
    reason: str
    level: str = _graver("warning")


class EventRepeated(Event, tag="event.repeated", kw_only=True):
    """Only in the store, instead of what came too often from one network or account: so many more of the event `name`
    in the `seconds` before. It is found by what finds that event. `client`: an address or a network."""

    name: str
    times: int
    seconds: float
    client: str = ""
    account: str = ""
    door: str = ""


class AnomalyFound(Event, tag="anomaly.found", kw_only=True):
    """An hour has far more of something than the same hour of the last weeks, or far too little of it (`fell`).
    `measure`: letters.in, letters.out, bounced, refused, logins.failed or queue; `hour`: when it began, in seconds
    since 1970; `count`: of it, as far as it went; `usual`: the median of the `compared` hours, which had `least` to
    `most`; `deviation`: how far such hours are from it; `bound`: from where on it is told. `top`: the keys with the
    most. Once an hour and measure."""

    measure: str
    hour: int
    count: int
    usual: float
    deviation: float
    bound: int
    compared: int
    least: int = 0
    most: int = 0
    fell: bool = False
    top: dict[str, int] = {}
    level: str = _graver("warning")


class InternalFault(Event, tag="fault.internal", kw_only=True):
    """A mistake of ours. `incident` is in the reply the client got; the stack is in the log under the same id."""

    incident: str
    where: str
    error: str
    stack: str = ""
    session: str = ""
    letter: str = ""
    level: str = _graver("error")
