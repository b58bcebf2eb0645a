"""OAUTHBEARER and XOAUTH2: what is a message, and the words of a failure (RFC 7628 §3)."""

from __future__ import annotations

import json

import pytest

from ekiden.proto.sasl import Bearer, BearerToken, Challenge, SaslFault, mechanism
from ekiden.proto.sasl.bearer import MAX_TOKEN_OCTETS


def step(name: str, message: bytes) -> object:
    exchange = mechanism(name)
    assert exchange is not None
    return exchange.step(message)


@pytest.mark.parametrize(
    ("message", "login", "token"),
    [
        # RFC 7628 §4.1, as printed there
        (
            b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmTc2Nvb3==\x01\x01",
            "user@example.com",
            "vF9dft4qmTc2Nvb3==",
        ),
        (b"y,a=user@example.com,\x01auth=bearer abc\x01\x01", "user@example.com", "abc"),
        (b"n,,\x01auth=Bearer abc\x01\x01", "", "abc"),
        (b"n,a=a=2Cb=3Dc,\x01auth=Bearer abc\x01\x01", "a,b=c", "abc"),
        (b"n,,\x01auth=\x01\x01", "", ""),
    ],
)
def test_oauthbearer(message: bytes, login: str, token: str) -> None:
    assert step("OAUTHBEARER", message) == BearerToken(login, token)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n,,",
        b"n,,\x01\x01",
        b"n,,\x01auth=Bearer abc\x01",
        b"n,,\x01auth=Basic abc\x01\x01",
        b"n,,\x01auth=Bearer abc\x01auth=Bearer abc\x01\x01",
        b"n,,\x01nonsense\x01auth=Bearer abc\x01\x01",
        b"n,a=a=2Xb,\x01auth=Bearer abc\x01\x01",
        b"n,alice,\x01auth=Bearer abc\x01\x01",
        b"n,a=alice,rest\x01auth=Bearer abc\x01\x01",
        b"x,,\x01auth=Bearer abc\x01\x01",
        b"n,,\x01auth=Bearer a\x00c\x01\x01",
        b"n,,\x01auth=Bearer \xff\x01\x01",
        b"user=alice\x01auth=Bearer abc\x01\x01",
        b"n,a=" + b"x" * 321 + b",\x01auth=Bearer abc\x01\x01",
        b"n,,\x01auth=Bearer " + b"x" * (MAX_TOKEN_OCTETS + 1) + b"\x01\x01",
    ],
)
def test_what_is_no_oauthbearer(message: bytes) -> None:
    fault = step("OAUTHBEARER", message)
    assert isinstance(fault, SaslFault)
    assert fault.malformed
    assert "abc" not in fault.reason


def test_channel_binding_is_refused() -> None:
    fault = step("OAUTHBEARER", b"p=tls-server-end-point,,\x01auth=Bearer abc\x01\x01")
    assert isinstance(fault, SaslFault)
    assert not fault.malformed


def test_xoauth2() -> None:
    assert step("XOAUTH2", b"user=you@example.test\x01auth=Bearer abc\x01\x01") == BearerToken(
        "you@example.test", "abc"
    )
    for message in (b"user=\x01auth=Bearer abc\x01\x01", b"n,,\x01auth=Bearer abc\x01\x01", b"user=you\x01\x01"):
        assert isinstance(step("XOAUTH2", message), SaslFault)


def test_the_client_is_asked_to_begin() -> None:
    for name in ("OAUTHBEARER", "xoauth2"):
        exchange = mechanism(name)
        assert exchange is not None
        assert exchange.step(None) == Challenge(b"")
        assert exchange.name == name.upper()


def test_a_failure_is_told_as_json() -> None:
    """RFC 7628 §3.2.2; XOAUTH2 has words of its own."""

    def said(name: str, **given: object) -> object:
        return json.loads(Bearer(name).failure(**given).data)  # type: ignore[arg-type]

    url = "https://login.example.test/.well-known/openid-configuration"
    assert said("OAUTHBEARER", scope_is_missing=False, scope="mail", discovery=url) == {
        "status": "invalid_token",
        "scope": "mail",
        "openid-configuration": url,
    }
    assert said("OAUTHBEARER", scope_is_missing=True, scope="", discovery="") == {"status": "insufficient_scope"}
    assert said("XOAUTH2", scope_is_missing=True, scope="mail", discovery=url) == {
        "status": "401",
        "schemes": "bearer",
        "scope": "mail",
    }


def test_a_token_is_never_shown() -> None:
    assert "abc" not in repr(step("OAUTHBEARER", b"n,,\x01auth=Bearer abc\x01\x01"))
