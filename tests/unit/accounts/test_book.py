"""The address book's rules: what is refused, in which words, and what an account is made of."""

from __future__ import annotations

import pytest

from ekiden.accounts import book
from ekiden.accounts.refusal import Malformed, Refused
from ekiden.accounts.verifier import scram_verifier
from tests.fakes.clock import FakeRandom
from tests.fakes.passwords import FakeHasher

OURS = ["example.test", "Bücher.test"]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("you@example.test", "you@example.test"),
        ("You.Two@EXAMPLE.test", "you.two@example.test"),
        ("<you@example.test>", "you@example.test"),
        ("you+box@example.test", "you+box@example.test"),
        ("you@bücher.test", "you@xn--bcher-kva.test"),
        ("you@xn--bcher-kva.test", "you@xn--bcher-kva.test"),
        ("u\u0308@example.test", "\u00fc@example.test"),
    ],
)
def test_account_names(address, name):
    assert book.account_name(address, OURS) == name


@pytest.mark.parametrize(
    "address",
    [
        "",
        "you",
        "postmaster",
        "<>",
        "@example.test",
        "you@",
        "you@example.test you@example.test",
        "a@b@example.test",
        "you@exa mple.test",
        '"you two"@example.test',
        '"you"@example.test',
        "../you@example.test",
        "a/b@example.test",
        ".you@example.test",
        "you.@example.test",
        "y..u@example.test",
        "x" * 65 + "@example.test",
        "you\n@example.test",
        "you\x00@example.test",
        "\udcff@example.test",
    ],
)
def test_what_no_account_may_be_called(address):
    with pytest.raises(Malformed, match=r"^ADDRESS: "):
        book.account_name(address, OURS)


def test_a_foreign_domain_is_refused_and_ours_are_named():
    with pytest.raises(Refused, match=r"you@far\.test: far\.test is no \[\[domain\]\].*ours: example\.test") as caught:
        book.account_name("you@far.test", OURS)
    assert not isinstance(caught.value, Malformed)
    with pytest.raises(Refused, match="there is none yet"):
        book.account_name("you@far.test", [])


@pytest.mark.parametrize(
    ("alias", "name"), [("Info@example.test", "info@example.test"), ("@Example.test", "@example.test")]
)
def test_alias_names(alias, name):
    assert book.alias_name(alias, OURS) == name


@pytest.mark.parametrize("alias", ["info@far.test", "@far.test", "@", "info"])
def test_aliases_are_ours(alias):
    with pytest.raises(Refused, match=r"^ALIAS: "):
        book.alias_name(alias, OURS)


def test_alias_targets_are_anywhere_but_not_the_alias_itself():
    assert str(book.alias_target("Some.One@Far.test", "info@example.test")) == "Some.One@Far.test"
    with pytest.raises(Refused, match="round in circles"):
        book.alias_target("INFO@example.test", "info@example.test")
    with pytest.raises(Malformed, match=r"^TARGET: "):
        book.alias_target("nobody", "info@example.test")


async def test_an_account_is_made_of_verifiers_alone():
    account = await book.make_account("you@example.test", "cafe\u0301 au lait", FakeHasher(), FakeRandom(), 12.5)
    assert account.argon2 == "$fake$caf\u00e9 au lait"
    assert account.scram == scram_verifier("caf\u00e9 au lait", FakeRandom().token(16))
    assert (account.enabled, account.created, account.changed) == (True, 12.5, 12.5)


async def test_a_new_password_keeps_the_salt_and_count_of_the_account():
    account = await book.make_account("you@example.test", "first password", FakeHasher(), FakeRandom(), 1.0)
    changed = await book.with_password(account, "second password", FakeHasher(), 2.0, history=("$fake$x",))
    assert (changed.scram.salt, changed.scram.iterations) == (account.scram.salt, account.scram.iterations)
    assert changed.scram == scram_verifier("second password", account.scram.salt)
    assert changed.argon2 == "$fake$second password"
    assert (changed.created, changed.changed, changed.epoch) == (1.0, 2.0, account.epoch)
    assert (account.password_changed, changed.password_changed) == (1.0, 2.0)
    assert changed.password_history == ("$fake$x",)
