"""OAUTHBEARER (RFC 7628) and XOAUTH2 (what Google and Microsoft had before it): the client shows a token that an
issuer gave it.

    exchange.step(data)      -> BearerToken(login, token): ask who knows the issuer
    exchange.failure(…)      -> Challenge with the error as JSON; whatever the client answers ends the exchange

Rules
1. The fields are `key=value`, each ended by %x01, and one more %x01 at the end (RFC 7628 §3.1). Fields that we do not
   use, such as host and port, are passed over.
2. There is no channel binding for bearer tokens: `p=` is refused.
3. An empty token asks which issuer we trust: it is a token that fails, and the error says so (RFC 7628 §3.2.2).

Called by `accounts.exchange`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ekiden.proto.sasl.steps import MAX_LOGIN_OCTETS, BearerToken, Challenge, SaslFault, Step, decode

#: Access tokens have one to four KiB; an AUTH line has 12 KiB, and base64 takes a quarter of that.
MAX_TOKEN_OCTETS: Final = 8192
OAUTHBEARER: Final = "OAUTHBEARER"
XOAUTH2: Final = "XOAUTH2"
_END: Final = "\x01"


class Bearer:
    """Both mechanisms: they differ in how the login comes, and in the words of the error."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def step(self, data: bytes | None) -> Step:
        if data is None:
            return Challenge(b"")  # RFC 4422 §5: the client speaks first; it is asked to
        text = decode(data)
        if text is None or "\0" in text or not text.endswith(_END * 2):
            return SaslFault(f"{self.name} is UTF-8 and ends with two %x01")
        first, *fields = text[:-2].split(_END)
        login = self._login(first)
        token = _token(fields)
        if isinstance(login, SaslFault):
            return login
        if token is None:
            return SaslFault(f"{self.name} needs one field auth=Bearer …")
        if len(login.encode()) > MAX_LOGIN_OCTETS or len(token.encode()) > MAX_TOKEN_OCTETS:
            return SaslFault(f"longer than {MAX_LOGIN_OCTETS} octets of login or {MAX_TOKEN_OCTETS} of token")
        return BearerToken(login, token)

    def failure(self, *, scope_is_missing: bool, scope: str, discovery: str) -> Challenge:
        """RFC 7628 §3.2.2. `scope`: what a token needs; `discovery`: where the issuer is found; '' leaves it out."""
        if self.name == XOAUTH2:
            said = {"status": "401", "schemes": "bearer", "scope": scope}
        else:
            said = {
                "status": "insufficient_scope" if scope_is_missing else "invalid_token",
                "scope": scope,
                "openid-configuration": discovery,
            }
        return Challenge(msgspec.json.encode({key: value for key, value in said.items() if value}))

    def _login(self, first: str) -> str | SaslFault:
        if self.name == XOAUTH2:
            named = first.removeprefix("user=")
            return named if named != first and named else SaslFault("XOAUTH2 begins with user=")
        flag, *rest = first.split(",")
        if flag.startswith("p="):
            return SaslFault("bearer tokens know no channel binding", malformed=False)
        if flag not in ("n", "y") or len(rest) != 2 or rest[1]:
            return SaslFault("OAUTHBEARER begins with n,a=login,")
        login = _unescape(rest[0].removeprefix("a="))
        if login is None or (rest[0] and not rest[0].startswith("a=")):
            return SaslFault("OAUTHBEARER needs a=login with nothing but =2C and =3D behind an equals sign")
        return login


def _token(fields: list[str]) -> str | None:
    """Of the one field `auth`; '' if it is empty."""
    found = [field[5:] for field in fields if field.startswith("auth=")]
    if len(found) != 1 or not all("=" in field for field in fields):
        return None
    scheme, _, token = found[0].partition(" ")
    if not found[0]:
        return ""
    return token.strip(" ") if scheme.lower() == "bearer" else None


def _unescape(text: str) -> str | None:
    """saslname (RFC 5801 §4): `=2C` is a comma, `=3D` an equals sign, and there is no other."""
    if text.count("=") != text.count("=2C") + text.count("=3D"):
        return None
    return text.replace("=2C", ",").replace("=3D", "=")
