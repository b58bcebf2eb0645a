"""Logins with tokens: whose account a good one opens, and that a bad one tells nothing."""

from __future__ import annotations

import pytest

from ekiden.accounts.login import Authenticator
from ekiden.accounts.result import LoginReason
from ekiden.model.account import Account
from ekiden.ports.tokens import TokenFault
from ekiden.storage.memory.directory import MemoryDirectory
from ekiden.storage.memory.known_pairs import MemoryKnownPairs
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.passwords import FakeHasher
from tests.fakes.scram import verifier
from tests.fakes.tokens import FakeTokens

YOU = "you@example.test"
TOKENS = FakeTokens(
    {"yours": YOU, "theirs": "they@example.test", "gone": "gone@example.test", "short": "You"}
    | {fault.value: fault for fault in TokenFault}
)


@pytest.fixture
async def door() -> Authenticator:
    directory = MemoryDirectory()
    for name, enabled in ((YOU, True), ("they@example.test", False)):
        await directory.add_account(Account(name, "$fake$secret", verifier("secret"), enabled=enabled))
    pairs = MemoryKnownPairs()
    return Authenticator(directory, FakeHasher(), FakeClock(), FakeRandom(), pairs, ["example.test"], tokens=TOKENS)


@pytest.mark.parametrize("login", ["", "YOU@Example.Test", "you"])
async def test_the_token_names_the_account(door: Authenticator, login: str) -> None:
    for token in ("yours", "short"):
        result = await door.check_token(login, token, client="192.0.2.1")
        assert result.account is not None
        assert (result.name, result.reason) == (YOU, LoginReason.OK)


@pytest.mark.parametrize(
    ("login", "token", "reason", "name"),
    [
        ("they@example.test", "yours", LoginReason.TOKEN_OTHER, YOU),
        ("", "theirs", LoginReason.DISABLED, "they@example.test"),
        ("", "gone", LoginReason.UNKNOWN_USER, "gone@example.test"),
        (YOU, "forged", LoginReason.TOKEN_SIGNATURE, YOU),
        ("hunter2", "forged", LoginReason.TOKEN_SIGNATURE, ""),
    ],
)
async def test_others_are_refused(door: Authenticator, login: str, token: str, reason: LoginReason, name: str) -> None:
    result = await door.check_token(login, token, client="192.0.2.1")
    assert result.account is None
    assert (result.reason, result.name, result.try_later) == (reason, name, False)


@pytest.mark.parametrize("fault", TokenFault)
async def test_each_fault_has_its_reason(door: Authenticator, fault: TokenFault) -> None:
    result = await door.check_token(YOU, fault.value, client="192.0.2.1")
    assert result.account is None
    assert result.reason.value == fault.value
    assert result.try_later is (fault is TokenFault.KEYS)
