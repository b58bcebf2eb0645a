"""Which passwords may be: what is refused, and in which words."""

from __future__ import annotations

import msgspec
import pytest

from ekiden.accounts import book
from ekiden.accounts.password_policy import DAY, PasswordPolicy, expires, is_common, weakness
from ekiden.accounts.refusal import Refused
from ekiden.config.model import Passwords
from tests.fakes.clock import FakeRandom
from tests.fakes.passwords import FakeHasher

YOU = "carla@example.test"


class OneBreached:
    """A `ports.breached.BreachedPasswords` that holds one."""

    async def holds(self, password):
        return password == "tall horses run home"


def policy(hasher=None, **rules):
    return PasswordPolicy(
        Passwords(**rules), hasher or FakeHasher(), server_name="mail.harbour.test", breached=OneBreached()
    )


async def refusal(password, name=YOU, account=None, **rules):
    """What is said of it; '' if nothing."""
    try:
        await policy(**rules).check(password, name, account)
    except Refused as error:
        said = str(error).removeprefix("password: ")
    else:
        said = ""
    assert not password or password not in said, "the refusal does not repeat the password"
    return said


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "quick fox 9 hedges",
        "пароль-пароль",
        "brand-new-9f3k",
        "駅伝の朝は早いですね",
        "ab" * 4 + "Q7z!kv",
    ],
)
async def test_good_ones(password):
    assert await refusal(password) == ""


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("", "has 0 characters and needs 8 at least"),
        ("1234567", "has 7 characters"),
        ("e\u0301" * 7, "has 7 characters"),
        ("first line\nsecond", "control character"),
        ("nul\0nul nul", "control character"),
        ("caf\udce9 au lait", "not UTF-8"),
        ("x" * 1025, "longer than 1024"),
        ("carla@Example.test", "is the address itself"),
        ("12345678", "were stolen elsewhere"),
        ("PassWord", "were stolen elsewhere"),
        ("tall horses run home", "were stolen elsewhere"),
        ("P@ssw0rd!!", "a password that many people have"),
        ("example.test1", "the address or the name of the server"),
        ("mail.harbour.test", "the address or the name of the server"),
        ("alicesmith", "mostly a name"),
        ("international", "one common word"),
        ("wertyuiop[]", "keys in a row"),
        ("zzzzzzzzzzzzz", "the same again and again"),
        ("abcdefgh1234", "letters or digits in their order"),
        ("12.05.1987", "mostly a date"),
        ("kQ7z!vW3", "it is short, and a few characters more would do"),
        ("x" * 1000, "the same again and again"),
        ("🐎🐎🐎🐎🐎🐎🐎🐎", "the same again and again"),
    ],
)
async def test_bad_ones(password, words):
    said = await refusal(password)
    assert words in said
    assert said.count("\n") == 0


async def test_a_name_alone_is_refused_for_whose_address_it_is():
    assert "the address itself" in await refusal("firstname", "firstname@example.test")


@pytest.mark.parametrize(
    "password", ["alice-example", "Alice.Example.99", "example-alice!2026", "(alice)(example)(test)"]
)
async def test_words_of_the_address_with_little_beside_them(password):
    assert "the address or the name of the server" in await refusal(password, "alice@example.test")


async def test_words_of_the_address_with_enough_beside_them():
    assert await refusal("alice likes brown turtles", "alice@example.test") == ""
    assert await refusal("ali-correct-battery", "ali@example.test") == ""


async def test_rules_are_the_postmasters():
    assert "needs 30 at least" in await refusal("correct horse battery", min_length=30)
    assert await refusal("alicesmith", strength=1) == ""
    assert await refusal("alicesmith", strength=0) == ""
    assert "were stolen" in await refusal("12345678", strength=0)


def test_what_is_common_is_so_in_any_case():
    assert is_common("LetMeIn")
    assert not is_common("correct horse battery")


def test_a_long_one_is_measured_in_part():
    # one of a megabyte would take hours; the start says enough
    assert weakness("correct horse battery" + "x" * 1_000_000, 4, YOU, "") == ""


async def test_history_is_asked_last_and_only_as_far_as_the_rules_say():
    hasher = FakeHasher()
    account = await book.make_account(YOU, "quick fox 1 hedge", hasher, FakeRandom(), 1.0)
    past = tuple(f"$fake$quick fox {number} hedge" for number in (2, 3, 4))
    account = msgspec.structs.replace(account, password_history=past)
    assert "has now" in await refusal("quick fox 1 hedge", account=account)
    assert "was used before" in await refusal("quick fox 4 hedge", account=account)
    assert await refusal("quick fox 4 hedge", account=account, history=3) == ""
    assert await refusal("quick fox 2 hedge", account=account, history=1) == ""
    assert await refusal("quick fox 1 hedge", account=account, history=0) == ""
    with pytest.raises(Refused):
        await policy(hasher).check("alicesmith", YOU, account)
    assert hasher.verified == 0, "no Argon2 for what is refused anyway"
    assert policy(history=3).history_of(account) == (account.argon2, past[0])
    assert policy(history=0).history_of(account) == ()


async def test_age():
    account = await book.make_account(YOU, "quick fox 1 hedge", FakeHasher(), FakeRandom(), 1000.0)
    assert expires(account, 0) == 0.0
    assert expires(account, 90) == 1000.0 + 90 * DAY
