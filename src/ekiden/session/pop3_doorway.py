"""Pop3Doorway: what the sessions of a POP3 door share. Pop3Report: what one session tells the postmaster.

A session keeps the doorway it began with, so a reload changes nothing in its midst.
"""

from __future__ import annotations

from dataclasses import dataclass

from ekiden.accounts.login import Authenticator
from ekiden.model.door import Door
from ekiden.model.events import SessionClosed
from ekiden.model.ids import IdSequence, render_id
from ekiden.ports.clock import Clock
from ekiden.ports.events import EventSink
from ekiden.ports.gate import OPEN_GATE, Gate
from ekiden.ports.mailboxes import Mailboxes
from ekiden.ports.wire import TlsFacts
from ekiden.proto.pop3.server import Pop3Settings
from ekiden.proto.sasl import PASSWORD_MECHANISMS, offered
from ekiden.session.faults import report_fault


@dataclass(frozen=True, slots=True)
class Pop3Doorway:
    """`tls`: a certificate is there. `mechanisms`: for SASL, once TLS is on. `error_limit`: `[limits] errors`."""

    door: Door
    hostname: str
    clock: Clock
    ids: IdSequence
    events: EventSink
    mailboxes: Mailboxes
    authenticator: Authenticator
    tls: bool = True
    mechanisms: tuple[str, ...] = PASSWORD_MECHANISMS
    error_limit: int = 10
    gate: Gate = OPEN_GATE

    def settings(self, tls: TlsFacts | None) -> Pop3Settings:
        """What the protocol machine announces and allows."""
        binding = tls is not None and bool(tls.server_end_point)
        return Pop3Settings(
            hostname=self.hostname,
            offer_stls=self.tls and tls is None,
            tls_active=tls is not None,
            mechanisms=offered(self.mechanisms, binding=binding),
            error_limit=self.error_limit,
        )


class Pop3Report:
    """Events of one session, all with its id. `client`: set by the session."""

    __slots__ = ("_began", "_doorway", "_id", "_session", "client")

    def __init__(self, doorway: Pop3Doorway, session: int) -> None:
        self._doorway = doorway
        self._id = session
        self._session = render_id(session)
        self._began = doorway.clock.monotonic()
        self.client = ""

    def fault(self, where: str, error: BaseException) -> str:
        """Invariant 7: the stack goes to the log; the incident id comes back, for the client."""
        doorway = self._doorway
        return report_fault(doorway.events, doorway.ids, doorway.clock, session=self._id, where=where, error=error)

    def closed(self, reason: str, *, fetched: int, errors: int) -> None:
        self._doorway.events.emit(
            SessionClosed(
                session=self._session,
                door=self._doorway.door.value,
                client=self.client,
                reason=reason,
                letters=fetched,
                errors=errors,
                seconds=round(self._doorway.clock.monotonic() - self._began, 3),
            )
        )
