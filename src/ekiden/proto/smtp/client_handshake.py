"""ClientHandshake: from the greeting to a session that may carry letters.

    greeting -> EHLO (or HELO, LHLO) -> [STARTTLS -> TLS -> EHLO] -> [AUTH] -> Ready

Rules
1. 5xx to EHLO: HELO (RFC 5321 §3.2). 4xx: the server has no time; refused. LMTP has no older form (RFC 2033 §4.1).
2. STARTTLS whenever it is offered and allowed. If TLS is required and is not to be had, our refusal is *temporary* (451
   4.7.4): it may be a fault, or somebody who took the word out of the line; neither is a reason to return a letter.
3. What was learned before TLS is dropped (RFC 3207 §4.2). Octets in clear behind the 220 are an injection: refused.
4. A password goes out under TLS only, and only to a proven name unless the settings allow otherwise (DESIGN §8,
   invariant 4).
5. What is refused in STARTTLS or AUTH gets a 4xx of ours with the server's words in it: it is about us, not the letter.

Each answer gives what to write and at most one event. Called by `proto.smtp.client` alone.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from ekiden.model.reply import Reply
from ekiden.proto.smtp.client_events import ClientSettings, Phase, Ready, SessionRefused, StartTlsWanted
from ekiden.proto.smtp.extensions import parse_hello
from ekiden.proto.smtp.reply_reader import PeerProtocolError, ReplyReader
from ekiden.proto.smtp.timeouts import Wait

HandshakeEvent = Ready | StartTlsWanted | SessionRefused
Answer = tuple[bytes, HandshakeEvent | None]

TLS_NOT_OFFERED: Final = Reply(451, "4.7.4", "TLS is required, but the server does not offer STARTTLS")
NOT_VERIFIED: Final = Reply(451, "4.7.5", "the server has not proven its name")
INJECTION: Final = Reply(451, "4.7.5", "octets in clear behind the answer to STARTTLS: somebody may be in the line")
LOGIN_IN_CLEAR: Final = Reply(454, "4.7.11", "our login is never sent in clear, and the connection has no TLS")
LOGIN_UNVERIFIED: Final = Reply(454, "4.7.5", "our login is not sent to a server that has not proven its name")
LOGIN_NOT_OFFERED: Final = Reply(454, "4.7.4", "the server offers neither AUTH PLAIN nor AUTH LOGIN")


class Step(Enum):
    """Whose answer is awaited."""

    GREETING = auto()
    EHLO = auto()
    HELO = auto()
    STARTTLS = auto()
    TLS = auto()
    PLAIN = auto()
    USERNAME = auto()
    PASSWORD = auto()
    VERDICT = auto()
    DONE = auto()


_WAITS: Final = {
    Step.GREETING: Wait.GREETING,
    Step.EHLO: Wait.HELLO,
    Step.HELO: Wait.HELLO,
    Step.STARTTLS: Wait.STARTTLS,
    Step.TLS: Wait.HANDSHAKE,
}


_PHASES: Final = {
    Step.GREETING: Phase.GREETING,
    Step.EHLO: Phase.HELLO,
    Step.HELO: Phase.HELLO,
    Step.STARTTLS: Phase.STARTTLS,
    Step.TLS: Phase.STARTTLS,
}


class ClientHandshake:
    """`step`: what is awaited. After `Step.DONE` it is of no more use."""

    __slots__ = ("_extensions", "_host", "_reader", "_settings", "_tls", "_verified", "step")

    def __init__(self, settings: ClientSettings, reader: ReplyReader, *, tls_active: bool, verified: bool) -> None:
        self.step = Step.GREETING
        self._settings = settings
        self._reader = reader
        self._tls = tls_active
        self._verified = verified
        self._extensions: dict[str, str] = {}
        self._host = ""

    @property
    def wait(self) -> Wait:
        return _WAITS.get(self.step, Wait.AUTH)

    def answered(self, code: int) -> Answer:
        """The reader has a reply of this code. Raises PeerProtocolError for one that makes no sense here."""
        if code == 421:
            return self._refused(self._reader.reply(), _PHASES.get(self.step, Phase.AUTH))
        return _ANSWERS[self.step](self, code)

    def tls_started(self, *, verified: bool) -> Answer:
        """Back to EHLO, knowing nothing."""
        self._tls, self._verified = True, verified
        self._extensions, self._host = {}, ""
        if self._settings.tls.verify and not verified:
            return self._refused(NOT_VERIFIED, Phase.STARTTLS)
        return self._hello()

    # -- answers -----------------------------------------------------------------------------------------------------

    def _on_greeting(self, code: int) -> Answer:
        if code >= 400:
            return self._refused(self._reader.reply(), Phase.GREETING)
        _expect_positive(code, "the greeting")
        if self._tls and self._settings.tls.verify and not self._verified:
            return self._refused(NOT_VERIFIED, Phase.STARTTLS)
        return self._hello()

    def _hello(self) -> Answer:
        self.step = Step.EHLO
        return self._greet("LHLO" if self._settings.lmtp else "EHLO"), None

    def _greet(self, verb: str) -> bytes:
        return f"{verb} {self._settings.helo_name}\r\n".encode()

    def _on_ehlo(self, code: int) -> Answer:
        if code >= 500 and not self._settings.lmtp:
            self.step = Step.HELO
            return self._greet("HELO"), None
        return self._on_hello(code)

    def _on_hello(self, code: int) -> Answer:
        if code >= 400:
            return self._refused(self._reader.reply(), Phase.HELLO)
        _expect_positive(code, "the answer to EHLO")
        self._host, self._extensions = parse_hello(self._reader.lines)
        if self.step is Step.HELO:
            self._extensions = {}
        if self._tls:
            return self._log_in()
        tls = self._settings.tls
        if (tls.allowed or self._settings.tls_required) and "STARTTLS" in self._extensions:
            self.step = Step.STARTTLS
            return b"STARTTLS\r\n", None
        return self._without_tls()

    def _on_starttls(self, code: int) -> Answer:
        if code >= 400:
            # RFC 3207 §4: the client decides whether to go on. Only who does not insist on TLS does.
            if self._settings.tls_required:
                text = f"TLS is required, but the server refused STARTTLS: {self._reader.reply()}"
                return self._refused(Reply(451, "4.7.4", text), Phase.STARTTLS)
            return self._log_in()
        _expect_positive(code, "the answer to STARTTLS")
        if self._reader.has_octets:
            return self._refused(INJECTION, Phase.STARTTLS)
        self.step = Step.TLS
        return b"", StartTlsWanted()

    def injected(self, code: int = 0) -> Answer:
        """Octets in clear came instead of the TLS handshake, whatever they say."""
        del code
        return self._refused(INJECTION, Phase.STARTTLS)

    def _without_tls(self) -> Answer:
        if self._settings.tls_required:
            return self._refused(TLS_NOT_OFFERED, Phase.STARTTLS)
        return self._log_in()

    def _log_in(self) -> Answer:
        settings = self._settings
        if not settings.username:
            self.step = Step.DONE
            return b"", Ready(self._extensions, self._host)
        if not self._tls:
            return self._refused(LOGIN_IN_CLEAR, Phase.AUTH)
        if not (self._verified or settings.allow_unverified_login):
            return self._refused(LOGIN_UNVERIFIED, Phase.AUTH)
        mechanisms = self._extensions.get("AUTH", "").upper().split()
        if "PLAIN" in mechanisms:
            self.step = Step.PLAIN
            return b"AUTH PLAIN " + self._plain(), None
        if "LOGIN" in mechanisms:
            self.step = Step.USERNAME
            return b"AUTH LOGIN\r\n", None
        return self._refused(LOGIN_NOT_OFFERED, Phase.AUTH)

    def _plain(self) -> bytes:
        """RFC 4616 §2: no authorization identity."""
        return _base64(f"\0{self._settings.username}\0{self._settings.password}")

    def _on_plain(self, code: int) -> Answer:
        if code == 334:  # It overlooked the initial response (RFC 4954 §4) and asks for it.
            self.step = Step.VERDICT
            return self._plain(), None
        return self._on_verdict(code)

    def _on_username(self, code: int) -> Answer:
        if code != 334:
            return self._on_verdict(code)
        self.step = Step.PASSWORD
        return _base64(self._settings.username), None

    def _on_password(self, code: int) -> Answer:
        if code != 334:
            return self._on_verdict(code)
        self.step = Step.VERDICT
        return _base64(self._settings.password), None

    def _on_verdict(self, code: int) -> Answer:
        if code >= 400:
            text = f"the server refused our login: {self._reader.reply()}"
            return self._refused(Reply(454, "4.7.8", text), Phase.AUTH)
        if code != 235:
            raise PeerProtocolError(f"{code} as the answer to AUTH")
        self.step = Step.DONE
        return b"", Ready(self._extensions, self._host)

    def _refused(self, reply: Reply, phase: Phase) -> Answer:
        self.step = Step.DONE
        return b"", SessionRefused(reply, phase)


_ANSWERS: Final[dict[Step, Callable[[ClientHandshake, int], Answer]]] = {
    Step.GREETING: ClientHandshake._on_greeting,
    Step.EHLO: ClientHandshake._on_ehlo,
    Step.HELO: ClientHandshake._on_hello,
    Step.STARTTLS: ClientHandshake._on_starttls,
    Step.TLS: ClientHandshake.injected,
    Step.PLAIN: ClientHandshake._on_plain,
    Step.USERNAME: ClientHandshake._on_username,
    Step.PASSWORD: ClientHandshake._on_password,
    Step.VERDICT: ClientHandshake._on_verdict,
}


def _expect_positive(code: int, what: str) -> None:
    if code >= 300:
        raise PeerProtocolError(f"{code} as {what}")


def _base64(text: str) -> bytes:
    return b2a_base64(text.encode(), newline=False) + b"\r\n"
