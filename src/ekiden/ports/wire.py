"""Wire: one connection, as the rooms see it. Connector: makes outbound ones.

`net` adapts `asyncio.Protocol` to this, so that dialog tests and fuzzers need no socket.

Contract
1. All calls and callbacks happen on one event loop's thread; none blocks.
2. `write` buffers without limit; `WireUser.writable(False)` says that the peer is slow: stop producing until
   `writable(True)`.
3. `pause` stops callbacks of `received` (at most one more may come from bytes already read); `resume` undoes it.
4. `start_tls` has paused reading before it returns (invariant 5). Then either `tls_started()` or `lost()` follows.
   Nothing may be written in between. What was written before it is flushed before the handshake starts.
5. `close` flushes what was written, then closes; `abort` drops it. `lost` is called exactly once, whoever closed.
6. After `lost` all methods do nothing.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from ekiden.model.tlsa import Tlsa


class Endpoint(NamedTuple):
    """An IP address in text form (IPv4-mapped IPv6 already turned into IPv4) and a port; ('', 0) if there is none."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


class TlsFacts(NamedTuple):
    """`version`: such as 'TLSv1.3'; `cipher`; `verified`: the peer's name was proven; `server_end_point`: channel
    binding octets (RFC 5929 §4) of our own certificate on server side, b'' elsewhere. `resumed`: the handshake went on
    from an earlier session. `proof`: by what the name was proven ("certificate", "DANE"), '' if it was not."""

    version: str
    cipher: str
    verified: bool = False
    server_end_point: bytes = b""
    resumed: bool = False
    proof: str = ""

    def __str__(self) -> str:
        return f"{self.version} {self.cipher}"


class Wire(Protocol):
    @property
    def peer(self) -> Endpoint: ...

    @property
    def local(self) -> Endpoint: ...

    @property
    def tls(self) -> TlsFacts | None:
        """None while the connection is in the clear."""

    @property
    def is_closing(self) -> bool: ...

    def write(self, data: bytes) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def start_tls(self) -> None:
        """Server side: with the door's certificates. Client side: with what the Connector was told."""

    def close(self) -> None: ...

    def abort(self) -> None: ...


class WireUser(Protocol):
    """Who talks over a wire: a server session or a client connection. The callbacks must not raise: what they raise
    ends the connection and is reported as an internal fault."""

    def connected(self, wire: Wire) -> None:
        """First call. On an implicit-TLS door or target it comes after the handshake (`wire.tls` is set)."""

    def received(self, data: bytes) -> None: ...

    def tls_started(self) -> None: ...

    def writable(self, ok: bool) -> None: ...  # noqa: FBT001 - a callback with one fact

    def ended(self) -> bool:
        """The peer will send no more but may still read (a script that hangs up its side behind the final dot).
        True: an answer is owed, keep the wire open; the user closes it. Under TLS there is no such half: `lost`."""

    def lost(self, error: Exception | None) -> None:
        """`error` None: the peer closed in good order or we did."""

    def tick(self, now: float) -> None:
        """About once a second, with `Clock.monotonic()`: close if the deadline has passed (hot-path rule 2)."""


class ServerUser(WireUser, Protocol):
    """A session of a door, as the worker steers it."""

    def drain(self) -> None:
        """The server is stopping: finish the transaction under way, say so to the client, and close."""

    def too_slow(self) -> bool:
        """Places run short, and its client sends next to nothing: say so, and close. False: it stays, for the client
        waits for us, or has nothing to send. Must not raise."""

    async def accounts_changed(self) -> None:
        """Accounts were changed: close if the login of this session is no longer valid (invariant 4). Must not
        raise."""


class TlsMode(NamedTuple):
    """How an outbound connection is protected. `implicit`: TLS from the first byte. `verify`: certificate and `name`
    must match. `tlsa`: with `verify`, the certificate must be one of these instead (DANE).

    `required`: without TLS nothing may be sent (the client machine enforces that; the connector only handshakes)."""

    implicit: bool = False
    required: bool = False
    verify: bool = False
    allowed: bool = True
    name: str = ""
    tlsa: tuple[Tlsa, ...] = ()


class ConnectFailed(Exception):
    """No connection. `kind`: refused, timeout, unreachable, prohibited (by a firewall that says so), reset, tls,
    forbidden-address, source (the local address cannot be bound). `str()`: a text for the trail."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Connector(Protocol):
    async def connect(
        self, host: Endpoint | str, user: WireUser, tls: TlsMode, *, within: float, source: str = ""
    ) -> Wire:
        """Connects to an endpoint, or to a Unix socket path (a str); calls `user.connected` and returns.

        `within`: seconds for connecting and, for implicit TLS, the handshake. `source`: local address to bind, ''
        for any. Raises ConnectFailed."""

    def resumes(self, tls: TlsMode) -> bool:
        """A handshake in this mode would go on from an earlier session (which is forgotten when that fails)."""
