"""PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login): the client shows the password itself, under TLS."""

from __future__ import annotations

from base64 import b64encode

from ekiden.proto.sasl.steps import (
    MAX_LOGIN_OCTETS,
    MAX_PASSWORD_OCTETS,
    OTHER_IDENTITY,
    Challenge,
    Credentials,
    SaslFault,
    Step,
    decode,
    same_identity,
)


def render_plain(login: str, password: str) -> bytes:
    """The client's side of PLAIN, in base64, as its initial response."""
    return b64encode(f"\0{login}\0{password}".encode())


class Plain:
    """PLAIN: `[authzid] NUL authcid NUL passwd`, all UTF-8 (RFC 4616 §2)."""

    __slots__ = ("name",)

    def __init__(self) -> None:
        self.name = "PLAIN"

    def step(self, data: bytes | None) -> Step:
        if data is None:
            return Challenge(b"")
        parts = data.split(b"\0")
        if len(parts) != 3:
            return SaslFault("PLAIN needs exactly two NULs: authorization identity, login, password")
        authzid, login, password = (decode(part) for part in parts)
        if authzid is None or login is None or password is None:
            return SaslFault("PLAIN must be UTF-8")
        return _credentials(authzid, login, password)


class Login:
    """LOGIN: two questions, two answers. A client may send the login as initial response (many do).

    The prompts are the ones that clients know: the draft's own ("User Name", with a NUL) are not understood by all.
    """

    __slots__ = ("_asked", "_login", "name")

    def __init__(self) -> None:
        self.name = "LOGIN"
        self._asked = False
        self._login: str | None = None

    def step(self, data: bytes | None) -> Step:
        # An empty initial response ("=") holds no login: some clients send it to ask for the first question. Once: who
        # answers nothing is not asked for ever.
        if self._login is None and not self._asked and not data:
            self._asked = True
            return Challenge(b"Username:")
        text = decode(data or b"")
        if text is None or "\0" in text:
            return SaslFault("LOGIN must be UTF-8 without NUL")
        if self._login is None:
            self._login = text
            return Challenge(b"Password:")
        return _credentials("", self._login, text)


def _credentials(authzid: str, login: str, password: str) -> Credentials | SaslFault:
    if not login or not password:
        return SaslFault("login and password must not be empty")  # RFC 4616 §2: both are 1*SAFE
    if len(login.encode()) > MAX_LOGIN_OCTETS or len(password.encode()) > MAX_PASSWORD_OCTETS:
        return SaslFault(f"longer than {MAX_LOGIN_OCTETS} octets of login or {MAX_PASSWORD_OCTETS} of password")
    if not same_identity(authzid, login):
        return OTHER_IDENTITY
    return Credentials(authzid, login, password)
