"""TLS sessions of outbound connections, to be resumed: a handshake without certificates, signatures and their proof.

Rules
1. A session is offered only under the name and the policy that it was made under: nothing is trusted that a full
   handshake would not have proven. Each policy has a context, and each context its own sessions, by server name.
2. It is forgotten after `AGE`, so that a certificate that was withdrawn or has run out is looked at again, and when
   a handshake fails.
3. Event loops have no parameter for a session, but all of them call `wrap_bio` of the context with the server's name:
   that is where it is offered. Without a name there is none.

deviates RFC 8446 §C.4: a ticket is offered more than once. Who listens could tell that two connections come from the
same client: the address and the EHLO name of a mail server say so anyway. tests/integration/test_tls_sessions.py

Used by `net.tls` (contexts), `net.outbound` (keeps) and `net.connector` (forgets).
"""

from __future__ import annotations

import ssl
from collections import OrderedDict
from typing import Final

from ekiden.ports.clock import Clock

#: Sessions kept of a context; each takes a few KiB, its certificate chain included.
MOST: Final = 1000
#: Seconds. Servers keep theirs for one to two hours.
AGE: Final = 3600.0


class TlsSessions:
    """The latest session a name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, ssl.SSLSession]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, name: str) -> ssl.SSLSession | None:
        until, session = self._kept.get(name, (0.0, None))
        return session if until > self._clock.monotonic() else None

    def keep(self, name: str, session: ssl.SSLSession | None) -> None:
        """A session of a handshake that succeeded. Without a ticket or an id nothing can be resumed."""
        if session is None or not (session.has_ticket or session.id):
            return
        self._kept[name] = (self._clock.monotonic() + AGE, session)
        self._kept.move_to_end(name)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def forget(self, name: str) -> None:
        self._kept.pop(name, None)


class ResumingContext(ssl.SSLContext):
    """A client's context. `sessions` is set once, by who makes it."""

    sessions: TlsSessions

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - the library's signature
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        if session is None and isinstance(server_hostname, str):
            session = self.sessions.find(server_hostname)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


def keep_session(secret: ssl.SSLObject) -> None:
    """When octets have come: TLS 1.3 sends its tickets behind the handshake (RFC 8446 §4.6.1)."""
    context, name = secret.context, secret.server_hostname
    if isinstance(context, ResumingContext) and name:
        context.sessions.keep(name, secret.session)
