"""App passwords: what their secrets look like, how one is known again, and what may not be asked for."""

from __future__ import annotations

import itertools
import re

import msgspec
import pytest

from ekiden.accounts import app_passwords, book
from ekiden.accounts.app_passwords import ALPHABET, Wish, chosen, make_app_password, secret_digest
from ekiden.accounts.refusal import Malformed, Refused
from ekiden.accounts.verifier import scram_verifier
from tests.fakes.clock import FakeRandom
from tests.fakes.passwords import FakeHasher

NOW = 1_767_225_600.0


@pytest.fixture
async def account():
    return await book.make_account("you@example.test", "tall horses run", FakeHasher(), FakeRandom(), NOW)


def make(account, random=None, **wish):
    return make_app_password(account, Wish(**{"name": "Phone"} | wish), random or FakeRandom(), NOW)


def test_a_secret_has_more_than_100_bits_in_letters_that_nobody_mistakes(account):
    secrets = {make(account, FakeRandom(seed)).secret for seed in range(20)}
    assert len(secrets) == 20
    for secret in secrets:
        assert re.fullmatch(f"[{ALPHABET}]{{4}}(-[{ALPHABET}]{{4}}){{5}}", secret)
    assert not set(ALPHABET) & set("ilo01ILO")
    assert len(set(ALPHABET)) ** 24 > 2**100


def test_every_letter_comes_as_often_as_the_others():
    class Counting:
        def __init__(self):
            self.octets = itertools.cycle(range(256))

        def token(self, octets):
            return bytes(itertools.islice(self.octets, octets))

    drawn = app_passwords._letters(Counting(), 31 * 8 * 10)
    assert {drawn.count(letter) for letter in ALPHABET} == {80}


def test_what_is_kept_is_only_verifiers_of_it(account):
    made, secret = make(account, scopes=["fetch"], networks=["192.0.2.0/24"], expires=NOW + 60)
    assert made.digest == secret_digest(secret)
    scram = scram_verifier(secret, account.scram.salt, account.scram.iterations)
    assert (made.stored_key, made.server_key) == (scram.stored_key, scram.server_key)
    assert (made.name, made.scopes, made.networks) == ("Phone", ("fetch",), ("192.0.2.0/24",))
    assert (made.created, made.expires, made.last_used) == (NOW, NOW + 60, 0.0)
    octets = msgspec.msgpack.encode(made)
    assert secret.encode() not in octets
    assert secret.replace("-", "").encode() not in octets
    assert secret not in repr(make(account))


def test_blanks_hyphens_and_case_do_not_matter_where_the_secret_itself_is_sent(account):
    secret = make(account).secret
    for typed in (secret.replace("-", ""), secret.replace("-", " "), secret.upper(), f" {secret} "):
        assert secret_digest(typed) == secret_digest(secret)


@pytest.mark.parametrize("other", ["", "short", "x" * 25, "correct horse battery staple", "ä" * 24])
def test_what_can_not_be_one_has_no_digest(other):
    assert secret_digest(other) is None


def test_scopes_are_all_if_none_was_named_and_once_each(account):
    assert make(account).app_password.scopes == ("submit", "fetch")
    assert make(account, scopes=["fetch", "submit", "fetch"]).app_password.scopes == ("submit", "fetch")


@pytest.mark.parametrize(
    ("written", "kept"),
    [("192.0.2.7", "192.0.2.7/32"), ("2001:DB8::/32", "2001:db8::/32"), ("::1", "::1/128"), ("0.0.0.0/0", "0.0.0.0/0")],
)
def test_networks_are_kept_in_one_form(account, written, kept):
    assert make(account, networks=[written, written]).app_password.networks == (kept,)


@pytest.mark.parametrize(
    ("wish", "error", "words"),
    [
        ({"name": " "}, Malformed, "--name: is empty"),
        ({"name": "x" * 65}, Malformed, "--name: has more than 64"),
        ({"name": "bell\x07"}, Malformed, "--name: .*cannot be shown"),
        ({"scopes": ["imap"]}, Malformed, "'imap' is none; there are submit"),
        ({"networks": ["here"]}, Malformed, "'here' is none; write it like"),
        ({"networks": ["10.0.0.1/8"]}, Malformed, r"the network of that size is 10\.0\.0\.0/8"),
        ({"networks": ["::ffff:192.0.2.7"]}, Malformed, r"write 192\.0\.2\.7"),
        ({"networks": [f"192.0.2.{n}" for n in range(33)]}, Refused, "32 at most"),
        ({"expires": NOW}, Refused, "--expires: is in the past"),
    ],
)
def test_what_may_not_be_asked_for(account, wish, error, words):
    with pytest.raises(error, match=words):
        make(account, **wish)


def test_one_is_chosen_by_id_or_by_name_and_never_two(account):
    first = make(account, name="Phone").app_password
    account = msgspec.structs.replace(account, app_passwords=(first,))
    assert chosen(account, first.id) == chosen(account, " PHONE ") == first
    assert chosen(account, "Tablet") is None
    assert chosen(account, "") is None
    # the same chance again: another id all the same
    assert make(account, name="Tablet").app_password.id != first.id
