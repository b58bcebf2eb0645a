"""JoseVerifier: which tokens are good, and what is wrong with each of the others."""

from __future__ import annotations

import base64
import hmac
import json
import warnings
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from ekiden.net.issuer_keys import IssuerKeys, KeySet, KeysFailed
from ekiden.net.tokens import ALGORITHMS, LEEWAY, JoseVerifier
from ekiden.ports.tokens import TokenClaims, TokenFault
from tests.fakes.clock import FakeClock

ISSUER = "https://login.example.test/realms/people"
KEYS = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa"}),
    "PS256": RSAKey.generate_key(2048, {"kid": "pss"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
    "EdDSA": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
    "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "ed2"}),
}
STRANGER = ECKey.generate_key("P-256", {"kid": "ec"})
CLOCK = FakeClock()


def public(*names: str) -> KeySet:
    return KeySet(tuple(type(KEYS[n]).import_key(KEYS[n].as_dict(private=False)) for n in names or KEYS))  # type: ignore[arg-type]


def verifier(keys: KeySet | None = None, *, login_claim: str = "email", scope: str = "") -> JoseVerifier:
    kept = IssuerKeys(lambda: keys or public(), CLOCK, print)
    return JoseVerifier(kept, CLOCK, issuer=ISSUER, audience="mail", login_claim=login_claim, scope=scope)


def token(alg: str = "ES256", key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
    """A good one but for `claims`; None takes one away."""
    key = key or KEYS[alg]
    now = int(CLOCK.now())
    told = {"iss": ISSUER, "aud": ["other", "mail"], "exp": now + 300, "email": "you@example.test"} | claims
    told = {name: value for name, value in told.items() if value is not None}
    shown = {
        name: value for name, value in ({"alg": alg, "kid": key.kid} | (header or {})).items() if value is not None
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jwt.encode(shown, told, key, registry=JWSRegistry(algorithms=[alg], strict_check_header=False))


@pytest.mark.parametrize("alg", KEYS)
async def test_good_ones_of_every_algorithm(alg: str) -> None:
    assert await verifier().verify(token(alg)) == TokenClaims("you@example.test", CLOCK.now() + 300)


async def test_one_key_and_a_token_that_names_none() -> None:
    assert isinstance(await verifier(public("ES256")).verify(token(header={"kid": None})), TokenClaims)


async def test_words_of_the_issuers_own_in_the_header() -> None:
    assert isinstance(await verifier().verify(token(header={"nonce": "x" * 900, "x5t": "abc"})), TokenClaims)


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        ({"exp": -LEEWAY - 1}, TokenFault.EXPIRED),
        ({"exp": None}, TokenFault.NOT_FOR_US),
        ({"nbf": LEEWAY + 1}, TokenFault.NOT_FOR_US),
        ({"iss": "https://login.example.test/realms/other"}, TokenFault.NOT_FOR_US),
        ({"iss": None}, TokenFault.NOT_FOR_US),
        ({"aud": "other"}, TokenFault.NOT_FOR_US),
        ({"aud": None}, TokenFault.NOT_FOR_US),
        ({"aud": 7}, TokenFault.NOT_FOR_US),
        ({"email": None}, TokenFault.NOBODY),
        ({"email": " "}, TokenFault.NOBODY),
        ({"email": ["you@example.test"]}, TokenFault.NOBODY),
        ({"email_verified": False}, TokenFault.UNVERIFIED),
        ({"email_verified": "false"}, TokenFault.UNVERIFIED),
    ],
    ids=str,
)
async def test_claims_that_do_not_hold(claims: dict[str, Any], fault: TokenFault) -> None:
    times = {name: int(CLOCK.now()) + value for name, value in claims.items() if name in ("exp", "nbf") and value}
    assert await verifier().verify(token(**(claims | times))) is fault


async def test_clocks_may_differ_a_little() -> None:
    now = int(CLOCK.now())
    assert isinstance(await verifier().verify(token(exp=now - LEEWAY + 2, nbf=now + LEEWAY - 2)), TokenClaims)


async def test_scopes() -> None:
    strict = verifier(scope="mail send")
    assert await strict.verify(token()) is TokenFault.SCOPE
    assert await strict.verify(token(scope="openid mail")) is TokenFault.SCOPE
    assert isinstance(await strict.verify(token(scope="openid send mail")), TokenClaims)
    assert isinstance(await strict.verify(token(scp=["mail", "send"])), TokenClaims)
    assert await strict.verify(token(scope=7)) is TokenFault.SCOPE


async def test_another_claim_names_the_login() -> None:
    found = await verifier(login_claim="preferred_username").verify(
        token(preferred_username="you", email_verified=False)
    )
    assert isinstance(found, TokenClaims)
    assert found.login == "you"


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_no_algorithm_without_a_secret_or_with_a_shared_one() -> None:
    """RFC 8725 §3.1. That our keys have other types would stop these, too."""
    assert not [name for name in ALGORITHMS if name == "none" or name.startswith("HS")]


async def test_forged_ones() -> None:
    good = token()
    header, payload, signature = good.split(".")
    assert await verifier().verify(token(key=STRANGER)) is TokenFault.SIGNATURE
    assert (
        await verifier().verify(f"{header}.{part({'email': 'other@example.test'})}.{signature}") is TokenFault.SIGNATURE
    )
    assert await verifier().verify(f"{header}.{payload}.") is TokenFault.SIGNATURE
    assert await verifier().verify(token(header={"kid": "nobody's"})) is TokenFault.SIGNATURE
    assert await verifier(public("ES256", "RS256")).verify(token(header={"kid": None})) is TokenFault.SIGNATURE
    none = part({"alg": "none", "kid": "ec"})
    assert await verifier().verify(f"{none}.{payload}.") is TokenFault.MALFORMED
    # RFC 8725 §2.1: the public key taken for a shared secret
    signed = f"{part({'alg': 'HS256', 'kid': 'rsa'})}.{payload}"
    mac = hmac.digest(KEYS["RS256"].as_pem(private=False), signed.encode(), "sha256")
    shared = f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    assert await verifier().verify(shared) is TokenFault.MALFORMED
    # another algorithm than the key's
    assert await verifier().verify(token("RS256", header={"kid": "ec"})) is TokenFault.MALFORMED


@pytest.mark.parametrize(
    "octets",
    ["", "x", "a.b", "a.b.c", "a.b.c.d.e", "é.b.c", "." * 8000, "x" * 30_000, f"{part([])}.x.y", f"{part({})}.x.y"],
)
async def test_what_is_no_token(octets: str) -> None:
    assert await verifier().verify(octets) is TokenFault.MALFORMED


async def test_without_keys_nothing_is_decided() -> None:
    def read() -> KeySet:
        raise KeysFailed("nobody answers")

    lost = JoseVerifier(
        IssuerKeys(read, CLOCK, print), CLOCK, issuer=ISSUER, audience="mail", login_claim="email", scope=""
    )
    assert await lost.verify(token()) is TokenFault.KEYS
    assert await lost.verify("nonsense") is TokenFault.MALFORMED


def test_where_a_client_finds_the_issuer() -> None:
    assert verifier().discovery == ISSUER + "/.well-known/openid-configuration"
