"""SCRAM-SHA-256 and -PLUS: an independent client (scramp) gets in with the right password and no other, and what is
no message of the mechanism is called so."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode

import pytest
import scramp
from hypothesis import given
from hypothesis import strategies as st

from ekiden.proto.sasl import Challenge, SaslFault, Scram, ScramKeys, ScramLookup, ScramResult, mechanism, offered
from ekiden.proto.sasl import scram as scram_module

SALT = b"0123456789abcdef"
COUNT = 4096
BINDING = b"\x22" * 32
NONCE = b"n" * 18
PLUS = "SCRAM-SHA-256-PLUS"
PLAIN = "SCRAM-SHA-256"


def keys(password: str) -> ScramKeys:
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), SALT, COUNT)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return ScramKeys(hashlib.sha256(client_key).digest(), hmac.digest(salted, b"Server Key", "sha256"))


def client(password: str, name: str = PLAIN, user: str = "you@example.test", binding: bytes = BINDING):
    bound = ("tls-server-end-point", binding) if name == PLUS else None
    return scramp.ScramClient([name], user, password, channel_binding=bound)


def talk(exchange: Scram, peer: scramp.ScramClient, *known: ScramKeys) -> ScramResult | SaslFault:
    assert exchange.step(peer.get_client_first().encode()) == ScramLookup("you@example.test")
    peer.set_server_first(exchange.offer(SALT, COUNT, known, NONCE).data.decode())
    result = exchange.step(peer.get_client_final().encode())
    assert isinstance(result, ScramResult | SaslFault)
    return result


@pytest.mark.parametrize("name", [PLAIN, PLUS])
def test_the_right_password_is_proven_by_both_sides(name):
    peer = client("secret", name)
    result = talk(Scram(name, binding=BINDING if name == PLUS else b""), peer, keys("secret"))
    assert isinstance(result, ScramResult)
    assert result.matched == 0
    peer.set_server_final(result.final.decode())  # raises if the server does not know the password


def test_each_secret_of_a_login_is_tried():
    known = [keys(f"secret {n}") for n in range(12)]
    for n in (0, 7, 8, 11):
        peer = client(f"secret {n}")
        result = talk(Scram(PLAIN), peer, *known)
        assert result.matched == n
        peer.set_server_final(result.final.decode())


@pytest.mark.parametrize("known", [[], [keys("another")], [ScramKeys(bytes(32), bytes(32))]])
def test_a_wrong_password_matches_nothing(known):
    assert talk(Scram(PLAIN), client("secret"), *known) == ScramResult(None, b"")


def test_nobody_costs_what_somebody_costs(monkeypatch):
    tried = []
    digest = hmac.digest

    def counting(*arguments):
        tried.append(arguments)
        return digest(*arguments)

    costs = []
    for known in ([], [keys("a")], [keys("a"), keys("secret")]):
        exchange, peer = Scram(PLAIN), client("secret")
        exchange.step(peer.get_client_first().encode())
        peer.set_server_first(exchange.offer(SALT, COUNT, known, NONCE).data.decode())
        final = peer.get_client_final().encode()
        tried.clear()
        with monkeypatch.context() as patch:
            patch.setattr(scram_module.hmac, "digest", counting)
            exchange.step(final)
        costs.append(len(tried))
    assert len(set(costs)) == 1


def test_what_was_not_said_by_this_client_is_no_proof():
    peer = client("secret")
    exchange = Scram(PLAIN)
    exchange.step(peer.get_client_first().encode())
    peer.set_server_first(exchange.offer(SALT, COUNT, [keys("secret")], NONCE).data.decode())
    final = peer.get_client_final().encode()
    again = Scram(PLAIN)
    again.step(b"n,,n=you@example.test,r=another")
    again.offer(SALT, COUNT, [keys("secret")], NONCE)
    assert again.step(final) == SaslFault("the nonce is not the one of this exchange", malformed=False)


def test_the_client_must_see_our_certificate():
    result = talk(Scram(PLUS, binding=BINDING), client("secret", PLUS, binding=b"\x33" * 32), keys("secret"))
    assert isinstance(result, SaslFault)
    assert not result.malformed
    assert "certificate" in result.reason


def test_a_client_that_was_told_we_cannot_bind_was_lied_to():
    first = b"y,,n=you,r=abc"
    step = Scram(PLAIN, binding=BINDING).step(first)
    assert isinstance(step, SaslFault)
    assert not step.malformed
    assert Scram(PLAIN).step(first) == ScramLookup("you")  # without a binding we did not offer it
    assert Scram(PLAIN, binding=BINDING).step(b"n,,n=you,r=abc") == ScramLookup("you")


@pytest.mark.parametrize("kind", ["tls-unique", "tls-exporter", "x"])
def test_other_channel_bindings_are_not_taken(kind):
    step = Scram(PLUS, binding=BINDING).step(f"p={kind},,n=you,r=abc".encode())
    assert isinstance(step, SaslFault)
    assert "tls-server-end-point" in step.reason


@pytest.mark.parametrize(
    ("first", "login"),
    [
        (b"n,,n=a=2Cb=3Dc,r=x", "a,b=c"),
        (b"n,a=You@Example.test,n=you@example.test,r=x", "you@example.test"),
        ("n,,n=ü@example.test,r=x".encode(), "ü@example.test"),
        (b"n,,n=you,r=x,some=extension", "you"),
    ],
)
def test_names(first, login):
    assert Scram(PLAIN).step(first) == ScramLookup(login)


def test_nobody_acts_for_somebody_else():
    step = Scram(PLAIN).step(b"n,a=boss,n=you,r=x")
    assert isinstance(step, SaslFault)
    assert not step.malformed


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n",
        b"n,,n=you",
        b"x,,n=you,r=x",
        b"p=tls-server-end-point,,n=you,r=x",  # not without -PLUS
        b"n,,m=must,n=you,r=x",  # an extension that must be understood
        b"n,you,n=you,r=x",
        b"n,,you,r=x",
        b"n,,n=,r=x",
        b"n,,n=a=2Db,r=x",
        b"n,,n=a=2cb,r=x",
        b"n,,n=a=,r=x",
        b"n,,n=you,r=",
        b"n,,n=you,x",
        b"n,,n=you,r=a\x7fb",
        b"n,,n=you\0,r=a",
        b"n,,n=\xff,r=a",
        b"n,,n=" + b"a" * 321 + b",r=a",
        b"n,,n=you,r=" + b"a" * 5000,
    ],
)
def test_what_is_no_first_message(first):
    step = Scram(PLAIN).step(first)
    assert isinstance(step, SaslFault)
    assert step.malformed


@pytest.mark.parametrize("first", [b"n,,n=you,r=x", b"y,,n=you,r=x"])
def test_plus_without_binding_is_none(first):
    assert isinstance(Scram(PLUS, binding=BINDING).step(first), SaslFault)


@pytest.mark.parametrize(
    "final",
    [b"", b"c=biws", b"c=biws,r=x,p=", b"c=biws,r=x,p=!!!!", b"c=biws,r=x,p=AAAA", b"r=x,c=biws,p=" + b"A" * 43 + b"="],
)
def test_what_is_no_last_message(final):
    exchange = Scram(PLAIN)
    exchange.step(b"n,,n=you,r=x")
    exchange.offer(SALT, COUNT, [keys("secret")], NONCE)
    step = exchange.step(final)
    assert isinstance(step, SaslFault)
    assert step.malformed


def test_the_header_must_be_said_again_as_it_was():
    exchange = Scram(PLAIN)
    exchange.step(b"n,,n=you,r=x")
    first = exchange.offer(SALT, COUNT, [keys("secret")], NONCE).data.decode()
    nonce = first.split(",")[0]
    other = b64encode(b"y,,").decode()
    step = exchange.step(f"c={other},{nonce},p={b64encode(bytes(32)).decode()}".encode())
    assert isinstance(step, SaslFault)
    assert not step.malformed


def test_without_initial_response_the_client_is_asked():
    exchange = Scram(PLAIN)
    assert exchange.step(None) == Challenge(b"")
    assert exchange.step(b"n,,n=you,r=x") == ScramLookup("you")


def test_the_first_message_of_the_server_has_both_nonces_salt_and_count():
    exchange = Scram(PLAIN)
    exchange.step(b"n,,n=you,r=abc")
    offer = exchange.offer(SALT, COUNT, [], NONCE).data.decode()
    assert offer == f"r=abc{b64encode(NONCE).decode()},s={b64encode(SALT).decode()},i=4096"


def test_plus_is_there_only_with_a_binding():
    assert mechanism(PLUS) is None
    assert mechanism(PLUS.lower(), binding=BINDING).name == PLUS
    assert mechanism(PLAIN).name == PLAIN
    assert offered((PLUS, PLAIN, "PLAIN"), binding=False) == (PLAIN, "PLAIN")
    assert offered((PLUS, PLAIN, "PLAIN"), binding=True) == (PLUS, PLAIN, "PLAIN")


@given(st.binary(max_size=100), st.binary(max_size=100), st.booleans())
def test_any_octets_come_to_a_step(first, final, bound):
    exchange = Scram(PLUS if bound else PLAIN, binding=BINDING if bound else b"")
    assert isinstance(exchange.step(first), ScramLookup | SaslFault)
    exchange = Scram(PLAIN)
    exchange.step(b"n,,n=you,r=x")
    exchange.offer(SALT, COUNT, [keys("secret")], NONCE)
    assert isinstance(exchange.step(b"c=biws," + final), SaslFault)
