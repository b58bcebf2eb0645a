"""FakeWire: a connection without a socket, for sessions (dialog tests) and client connections.

    wire = FakeWire(user)               # any WireUser
    wire.open()                         # -> user.connected(wire)
    wire.feed(b"EHLO x\\r\\n")           # -> user.received(...), kept back while paused
    assert wire.take() == b"250 ..."    # what was written since the last take
    wire.finish_tls(verified=True)      # after the user called start_tls: -> user.tls_started()
    wire.hang_up()                      # the peer closes: -> user.lost(None)

It holds the user to the contract of `ports.wire`: writing between `start_tls` and `tls_started` fails the test.
What was fed while reading was paused comes at `resume` (or, across STARTTLS, after the handshake).
"""

from __future__ import annotations

from collections.abc import Callable

from ekiden.ports.wire import ConnectFailed, Endpoint, TlsFacts, TlsMode, Wire, WireUser

PEER = Endpoint("192.0.2.1", 40_000)
LOCAL = Endpoint("198.51.100.25", 25)
TLS13 = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", server_end_point=b"\x11" * 32)


class FakeWire:
    """`written`: every write, in order, one entry a call (so a test can count them). `tls_starts`: how often
    `start_tls` was called. `closed`, `aborted`: what the user asked for. `lost_count`: how often it was told."""

    def __init__(
        self,
        user: WireUser,
        *,
        peer: Endpoint = PEER,
        local: Endpoint = LOCAL,
        tls: TlsFacts | None = None,
    ) -> None:
        self.user = user
        self.peer = peer
        self.local = local
        self.tls = tls
        self.written: list[bytes] = []
        self.tls_starts = 0
        self.handshaking = False
        self.paused = False
        self.closed = False
        self.aborted = False
        self.is_lost = False
        self.lost_count = 0
        self._kept: list[bytes] = []
        self._taken = 0

    # ---- the Wire

    @property
    def is_closing(self) -> bool:
        return self.closed or self.aborted or self.is_lost

    def write(self, data: bytes) -> None:
        if self.is_lost:
            return
        assert not self.handshaking, "written between start_tls and tls_started (ports.wire rule 4)"
        assert isinstance(data, bytes)
        if self.is_closing or not data:
            return
        self.written.append(data)

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False
        self._give()

    def start_tls(self) -> None:
        if self.is_closing:
            return
        assert not self.handshaking, "start_tls twice"
        assert self.tls is None, "start_tls under TLS"
        self.tls_starts += 1
        self.handshaking = True

    def close(self) -> None:
        """As a real wire does, `lost` does not come inside the call: `settle()` brings it."""
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    # ---- the test's side

    def open(self) -> None:
        self.user.connected(self)

    def feed(self, data: bytes) -> None:
        """What the peer sends. Kept back while paused or during the handshake; dropped once closing."""
        if self.is_closing:
            return
        self._kept.append(data)
        self._give()

    def feed_split(self, data: bytes, size: int = 1) -> None:
        """The same octets in reads of `size`."""
        for start in range(0, len(data), size):
            self.feed(data[start : start + size])

    def finish_tls(self, facts: TlsFacts = TLS13, *, verified: bool = False) -> None:
        """The handshake that the user asked for succeeds."""
        assert self.handshaking, "the user never called start_tls"
        self.handshaking = False
        self.paused = False
        self.tls = facts._replace(verified=verified) if verified else facts
        self.user.tls_started()
        self._give()

    def fail_tls(self, error: Exception | None = None) -> None:
        """The handshake fails: the connection is gone."""
        assert self.handshaking, "the user never called start_tls"
        self.handshaking = False
        self.hang_up(error or ConnectionResetError("TLS handshake failed"))

    def hang_up(self, error: Exception | None = None) -> None:
        """The connection is gone: `lost`, once, whatever happened before."""
        if self.is_lost:
            return
        self.is_lost = True
        self.lost_count += 1
        self.user.lost(error)

    def half_close(self) -> None:
        """The peer hangs up its side and still reads: closed, unless the user owes an answer."""
        if not self.user.ended():
            self.closed = True

    def settle(self) -> None:
        """Brings `lost` if the user has closed the wire, as the loop would."""
        if self.closed and not self.is_lost:
            self.hang_up()

    def take(self) -> bytes:
        """What was written since the last `take`."""
        fresh = b"".join(self.written[self._taken :])
        self._taken = len(self.written)
        return fresh

    @property
    def output(self) -> bytes:
        """Everything ever written."""
        return b"".join(self.written)

    def _give(self) -> None:
        while self._kept and not (self.paused or self.handshaking or self.is_closing):
            self.user.received(self._kept.pop(0))


class FakeConnector:
    """`ports.wire.Connector`. `targets`: what stands behind an endpoint or path: a function that gets the new FakeWire
    (already opened) and plays the server, or an exception to raise. What is not listed is refused. `resuming`: TLS
    names of which a session is kept."""

    def __init__(self) -> None:
        self.targets: dict[Endpoint | str, Callable[[FakeWire], None] | ConnectFailed] = {}
        self.calls: list[tuple[Endpoint | str, TlsMode]] = []
        self.sources: list[str] = []
        self.wires: list[FakeWire] = []
        self.resuming: set[str] = set()

    def resumes(self, tls: TlsMode) -> bool:
        return tls.name in self.resuming

    async def connect(
        self, host: Endpoint | str, user: WireUser, tls: TlsMode, *, within: float, source: str = ""
    ) -> Wire:
        self.calls.append((host, tls))
        self.sources.append(source)
        target = self.targets.get(host, ConnectFailed("refused", f"{host}: connection refused"))
        if isinstance(target, ConnectFailed):
            raise target
        facts = TLS13._replace(server_end_point=b"", verified=tls.verify) if tls.implicit else None
        peer = host if isinstance(host, Endpoint) else Endpoint("", 0)
        wire = FakeWire(user, peer=peer, local=Endpoint("192.0.2.25", 50_000), tls=facts)
        self.wires.append(wire)
        wire.open()
        target(wire)
        return wire
