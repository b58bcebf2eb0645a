"""What a SASL exchange says after each message of the client, and what the machines share.

Limits are of the mechanisms' messages; those of lines belong to the protocols around them. RFC 4422.
"""

from __future__ import annotations

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


class ScramLookup(NamedTuple):
    """The client named itself: give `Scram.offer` what is stored for that login, or something that looks like it."""

    login: str


class ScramResult(NamedTuple):
    """`matched`: index of the key that the client has proven to know, None if it is none. `final`: the server's own
    proof (`v=…`), for the client if it is let in, b'' else."""

    matched: int | None
    final: bytes


class BearerToken(NamedTuple):
    """A token of somebody else's (RFC 7628). `login`: whom the client claims to be, '' if it leaves that to the
    token."""

    login: str
    token: str

    def __repr__(self) -> str:
        return f"BearerToken(login={self.login!r}, token=…)"


class SaslFault(NamedTuple):
    """`malformed`: the octets are no message of the mechanism (SMTP 501 5.5.2), else they may not be honoured
    (535 5.7.8). `reason` is for the postmaster and shows no credential."""

    reason: str
    malformed: bool = True


Step = Challenge | Credentials | ScramLookup | ScramResult | BearerToken | SaslFault


class Exchange(Protocol):
    """One authentication exchange. `name`: the mechanism, for events."""

    name: str

    def step(self, data: bytes | None) -> Step:
        """`data`: the decoded response; None only in the first step, when no initial response was sent."""


def decode(octets: bytes) -> str | None:
    """UTF-8, None if it is none."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return None


def same_identity(authzid: str, login: str) -> bool:
    """Nobody acts for somebody else: an authorization identity is empty, or the login itself."""
    return not authzid or authzid.casefold() == login.casefold()


OTHER_IDENTITY: Final = SaslFault("the authorization identity is not the login", malformed=False)
