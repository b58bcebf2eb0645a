"""Doorway: everything that the sessions of one door share. Built by the composition root, replaced as a whole at
reload.

A session keeps the doorway it began with, so a reload never changes the rules in the middle of a transaction.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from ekiden.accounts.login import Authenticator
from ekiden.accounts.quotas import Quotas
from ekiden.config.model import Config, Domain
from ekiden.model.door import DOORS, Door
from ekiden.model.ids import IdSequence
from ekiden.model.mailbox import domain_key
from ekiden.model.reply import Reply
from ekiden.model.wrong_door import WrongDoor
from ekiden.policy.content_rules import CompiledRule, rules_of
from ekiden.policy.limits import Limits, limits_by_name
from ekiden.policy.networks import NetworkSet
from ekiden.policy.next_hop import NextHops
from ekiden.policy.restrict import Restriction, restrictions_of
from ekiden.policy.trusted import TrustedNetworks
from ekiden.ports.brake import NO_BRAKES, Brakes
from ekiden.ports.clock import Clock, Random
from ekiden.ports.directory import Directory
from ekiden.ports.events import EventSink
from ekiden.ports.gate import OPEN_GATE, Gate
from ekiden.ports.known_recipients import KnownRecipients
from ekiden.ports.recipients import RecipientLists, RecipientProbe
from ekiden.ports.spool import Spool
from ekiden.ports.tally import Tally
from ekiden.ports.wire import TlsFacts
from ekiden.proto.sasl import PASSWORD_MECHANISMS, offered
from ekiden.proto.smtp import replies
from ekiden.proto.smtp.server import ServerSettings
from ekiden.session.callers import Callers
from ekiden.session.guard_report import GuardReport
from ekiden.spool.window import Window

#: RFC 5321 §4.5.3.2.7: a server waits at least 5 minutes for the next command; the same for a piece of data.
IDLE_SECONDS: Final = 300.0
#: Before EHLO nobody has a reason to think for five minutes; scanners do. 60 s still serves a slow satellite link.
GREETING_SECONDS: Final = 60.0
#: How much content must come within IDLE_SECONDS: 14 octets a second, less than any modem brought. Who sends a single
#: octet every few minutes only holds the session open.
PROGRESS_OCTETS: Final = 4096
#: What a client may send ahead of our replies before we stop reading: ten times the longest pipelined envelope of
#: 100 recipients.
AHEAD_OCTETS: Final = 256 * 1024

_NOBODY: Final = NetworkSet(())
#: What AUTH gets at the relay door.
LOGIN_ELSEWHERE: Final = Reply(
    502,
    "5.5.1",
    "There is no login at this door: port 25 is for mail servers",
    "To send mail use port 465 (TLS from the first byte) or port 587 (STARTTLS), with your login",
)
#: Replies that go to somebody who wanted another door.
_WRONG_DOORS: Final = {
    LOGIN_ELSEWHERE: WrongDoor.LOGIN,
    replies.MAIL_NEEDS_TLS: WrongDoor.NO_LOGIN,
    replies.MAIL_NEEDS_LOGIN: WrongDoor.NO_LOGIN,
    replies.FETCHED_ELSEWHERE: WrongDoor.POP3,
}


async def _at_once(_: float) -> None:
    """For who has no time to wait: tests, `explain`."""


@dataclass(frozen=True, slots=True)
class Doorway:
    """`tls`: a certificate is there, so TLS can be offered. `mechanisms`: SASL mechanisms offered once TLS is on.
    `pause`: waits so many seconds.
    `gateways`: addresses of the default gateways, which no range of `trusted_networks` makes trusted. `shared`:
    addresses that speak for many clients (`policy.crowding.exempt`). `callers`: of the relay door alone; None: nobody
    asks who calls."""

    door: Door
    config: Config
    clock: Clock
    random: Random
    ids: IdSequence
    events: EventSink
    spool: Spool
    window: Window
    directory: Directory
    authenticator: Authenticator
    lists: RecipientLists
    probe: RecipientProbe
    tally: Tally
    guards: GuardReport
    known_recipients: KnownRecipients
    tls: bool = True
    mechanisms: tuple[str, ...] = PASSWORD_MECHANISMS
    callers: Callers | None = None
    gateways: frozenset[str] = frozenset()
    shared: NetworkSet = _NOBODY
    pause: Callable[[float], Awaitable[None]] = _at_once
    gate: Gate = OPEN_GATE
    brakes: Brakes = NO_BRAKES
    quotas: Quotas | None = None
    trusted: TrustedNetworks = field(init=False)
    domains: dict[str, Domain] = field(init=False)
    next_hops: NextHops = field(init=False)
    sending_limits: dict[str, Limits] = field(init=False)
    restrictions: tuple[Restriction, ...] = field(init=False)
    content_rules: tuple[CompiledRule, ...] = field(init=False)
    _settings: dict[tuple[bool, bool, bool, bool], ServerSettings] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        proxies = self.config.doors.of(self.door).proxies
        trusted = TrustedNetworks(self.config.relay.trusted_networks, self.gateways, proxies)
        object.__setattr__(self, "trusted", trusted)
        object.__setattr__(self, "next_hops", NextHops(self.config))
        object.__setattr__(self, "restrictions", restrictions_of(self.config.restrict))
        object.__setattr__(self, "sending_limits", limits_by_name(self.config))
        object.__setattr__(self, "content_rules", rules_of(self.config, self.door))
        object.__setattr__(self, "domains", {domain_key(d.name): d for d in self.config.domain})

    def wrong_door(self, reply: Reply) -> WrongDoor | None:
        """What the refusal of a command says about the door that was meant."""
        if reply == replies.TLS_ACTIVE:
            return WrongDoor.STARTTLS if DOORS[self.door].implicit_tls else None
        return _WRONG_DOORS.get(reply)

    def settings(self, *, tls: TlsFacts | None, logged_in: bool, trusted: bool) -> ServerSettings:
        """What the protocol machine announces and allows in this state; made once a state, not once a session."""
        binding = tls is not None and bool(tls.server_end_point)
        state = (tls is not None, binding, logged_in, trusted)
        made = self._settings.get(state)
        if made is None:
            made = self._settings[state] = self._make_settings(*state)
        return made

    def _make_settings(self, tls: bool, binding: bool, logged_in: bool, trusted: bool) -> ServerSettings:  # noqa: FBT001
        needs_login = DOORS[self.door].login
        limits = self.config.limits
        return ServerSettings(
            hostname=self.config.hostname,
            offer_starttls=self.tls and not tls and not DOORS[self.door].implicit_tls,
            tls_active=tls,
            auth_mechanisms=offered(self.mechanisms, binding=binding) if needs_login and tls and not logged_in else (),
            size_limit=limits.message_size,
            max_recipients=limits.recipients,
            error_limit=limits.errors,
            command_limit=limits.commands,
            lenient_lf=logged_in or trusted,
            lenient_paths=logged_in or trusted,
            require_auth=needs_login and not logged_in,
            require_tls=needs_login,
            no_auth_reply=None if needs_login else LOGIN_ELSEWHERE,
        )
