"""SASL, server side: PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login) as pure step machines.

An exchange is fed what the client sent and says what comes next:

    exchange = mechanism("PLAIN")          # None: not a mechanism of ours
    exchange.step(initial)                 # octets, or None if the client sent no initial response
        -> Challenge(data)                 # send it, feed the answer to `step`
        -> Credentials(authzid, login, password)   # ask `accounts.login.Authenticator`
        -> SaslFault(reason, malformed)    # refuse; the exchange is over

Rules
1. SMTP (RFC 4954) and POP3 (RFC 5034) sessions use the same machines; base64 and `*` (cancel) are theirs.
2. Nothing here says whether a login exists: a fault depends on the client's octets alone.
3. An authorization identity must be empty or name the login itself: nobody acts for somebody else here.
4. Passwords appear in no `repr`, so that no traceback or log line can show one.
5. `prepare` is the one normalisation of passwords; it is applied where passwords are stored and where they are
   checked (accounts/), never to octets on their way through.

Called by session/ (conversation, pop3) and accounts/. Never decides whether credentials are right.
"""

from __future__ import annotations

import stringprep
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

#: RFC 4616 §2 asks for 255 octets at least; a mailbox has at most 64 + 1 + 255 (RFC 5321 §4.5.3.1).
MAX_LOGIN_OCTETS: Final = 320
#: RFC 4616 §2 asks for 255 octets at least. Past a kilobyte it is no password but an attempt to keep Argon2 busy.
MAX_PASSWORD_OCTETS: Final = 1024


class Challenge(NamedTuple):
    """Octets for the client: 334 in SMTP, `+ ` in POP3, in base64."""

    data: bytes


class Credentials(NamedTuple):
    """What the client claims. `authzid` is '' or names the login. None of it is checked against the directory."""

    authzid: str
    login: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(login={self.login!r}, password=…)"


class SaslFault(NamedTuple):
    """`malformed`: the octets are no message of the mechanism (SMTP 501 5.5.2), else they may not be honoured
    (535 5.7.8). `reason` is for the postmaster and shows no credential."""

    reason: str
    malformed: bool = True


Step = Challenge | Credentials | SaslFault


class Exchange(Protocol):
    """One authentication exchange. `name`: the mechanism, for events."""

    name: str

    def step(self, data: bytes | None) -> Step:
        """`data`: the decoded response; None only in the first step, when no initial response was sent."""


def mechanism(name: str) -> Exchange | None:
    """A fresh exchange; letter case of the name does not matter (RFC 4422 §3.1). None: unknown."""
    make = _MECHANISMS.get(name.upper())
    return make() if make else None


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
        authzid, login, password = (_decode(part) for part in parts)
        if authzid is None or login is None or password is None:
            return SaslFault("PLAIN must be UTF-8")
        return _credentials(authzid, login, password)


class Login:
    """LOGIN: two questions, two answers. A client may send the login as initial response (many do).

    The prompts are the ones that clients know: the draft's own ("User Name", with a NUL) are not understood by all.
    """

    __slots__ = ("_login", "name")

    def __init__(self) -> None:
        self.name = "LOGIN"
        self._login: str | None = None

    def step(self, data: bytes | None) -> Step:
        # An empty initial response ("=") holds no login: some clients send it to ask for the first question.
        if self._login is None and not data:
            return Challenge(b"Username:")
        text = _decode(data or b"")
        if text is None or "\0" in text:
            return SaslFault("LOGIN must be UTF-8 without NUL")
        if self._login is None:
            self._login = text
            return Challenge(b"Password:")
        return _credentials("", self._login, text)


_MECHANISMS: Final[dict[str, Callable[[], Exchange]]] = {"PLAIN": Plain, "LOGIN": Login}


def _decode(octets: bytes) -> str | None:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _credentials(authzid: str, login: str, password: str) -> Credentials | SaslFault:
    if not login or not password:
        return SaslFault("login and password must not be empty")  # RFC 4616 §2: both are 1*SAFE
    if len(login.encode()) > MAX_LOGIN_OCTETS or len(password.encode()) > MAX_PASSWORD_OCTETS:
        return SaslFault(f"longer than {MAX_LOGIN_OCTETS} octets of login or {MAX_PASSWORD_OCTETS} of password")
    if authzid and authzid.casefold() != login.casefold():
        return SaslFault("the authorization identity is not the login", malformed=False)
    return Credentials(authzid, login, password)


def prepare(password: str) -> str:
    """The form in which a password is stored and compared: SASLprep's mapping and NFKC (RFC 4013 §2.1, §2.2).

    So `é` typed on a Mac (two code points) and on Windows (one) is one password, and a client that does SCRAM comes
    to the same octets. The tables of Unicode 3.2 are used, as RFC 3454 says, so that a newer Python changes nobody's
    password. ASCII is unchanged.
    """
    # deviates RFC 4013 §2.3–2.5: prohibited, bidirectional and unassigned characters (emoji!) pass. Refusing them at
    # login would lock out who has such a password; PLAIN and LOGIN need no agreement about them; accounts.book
    # refuses control characters when a password is set. test_sasl.py::test_prepare_lets_emoji_pass
    if password.isascii():
        return password
    return unicodedata.ucd_3_2_0.normalize("NFKC", "".join(_mapped(password)))


def _mapped(text: str) -> Iterator[str]:
    for character in text:
        if stringprep.in_table_c12(character):
            yield " "
        elif not stringprep.in_table_b1(character):
            yield character
