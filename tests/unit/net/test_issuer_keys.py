"""IssuerKeys: when keys are read, what is taken for a key, and what a silent issuer means."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from ekiden.net.issuer_keys import (
    FRESH,
    MOST_OCTETS,
    PAUSE,
    STALE,
    IssuerKeys,
    KeySet,
    KeysFailed,
    parse_keys,
    read_file,
)
from tests.fakes.clock import FakeClock

FIRST, SECOND = (ECKey.generate_key("P-256", {"kid": kid}) for kid in ("first", "second"))


class House:
    """`shown`: what the issuer shows now; an exception, if it does not."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.shown: KeySet | Exception = KeySet((FIRST,))
        self.readings = 0
        self.failed: list[str] = []
        self.keys = IssuerKeys(self._read, self.clock, self.failed.append)

    def _read(self) -> KeySet:
        self.readings += 1
        if isinstance(self.shown, Exception):
            raise self.shown
        return self.shown


async def test_read_once_for_many() -> None:
    house = House()
    found = await asyncio.gather(*(house.keys.find("first") for _ in range(20)))
    assert found == [FIRST] * 20
    assert house.readings == 1


async def test_an_unknown_key_is_looked_for_once_a_minute() -> None:
    house = House()
    assert await house.keys.find("first") is FIRST
    house.shown = KeySet((FIRST, SECOND))
    assert await house.keys.find("second") is None
    house.clock.advance(PAUSE)
    assert await house.keys.find("second") is SECOND
    for _ in range(50):
        assert await house.keys.find("forged") is None
    assert house.readings == 2


async def test_a_key_that_was_withdrawn_goes_within_the_hour() -> None:
    house = House()
    await house.keys.find("first")
    house.shown = KeySet((SECOND,))
    house.clock.advance(FRESH + 1)
    await house.keys.find("first")  # begins the reading, and waits for nothing
    assert await house.keys.find("second") is SECOND
    assert await house.keys.find("first") is None


async def test_keys_go_on_for_a_day_while_the_issuer_is_silent() -> None:
    house = House()
    await house.keys.find("first")
    house.shown = KeysFailed("nobody answers")
    house.clock.advance(STALE - 1)
    assert await house.keys.find("first") is FIRST
    house.clock.advance(PAUSE + 1)
    with pytest.raises(KeysFailed):
        await house.keys.find("first")
    assert set(house.failed) == {"nobody answers"}


async def test_no_keys_at_all_is_said_and_tried_again() -> None:
    house = House()
    house.shown = ZeroDivisionError("a mistake of ours")
    for _ in range(3):
        with pytest.raises(KeysFailed):
            await house.keys.find("first")
    assert house.failed == ["ZeroDivisionError('a mistake of ours')"]
    house.shown = KeySet((FIRST,))
    house.clock.advance(PAUSE)
    assert await house.keys.find("first") is FIRST


async def test_who_goes_away_stops_nobodys_reading() -> None:
    house = House()
    waiting = asyncio.ensure_future(house.keys.find("first"))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await house.keys.find("first") is FIRST
    assert house.readings == 1


def test_a_token_without_a_key_id_means_the_only_key() -> None:
    assert KeySet((FIRST,)).find("") is FIRST
    assert KeySet((FIRST, SECOND)).find("") is None


def test_only_keys_that_verify_are_taken() -> None:
    keys = [
        FIRST.as_dict(private=False),
        OctKey.generate_key(256, {"kid": "shared"}).as_dict(private=True),
        SECOND.as_dict(private=False) | {"use": "enc"},
        {"kty": "unheard-of", "kid": "new"},
        {"kty": "RSA", "n": "!!", "e": "AQAB"},
        "nonsense",
    ]
    found = parse_keys(json.dumps({"keys": keys}).encode(), "here")
    assert [key.kid for key in found.keys] == ["first"]


@pytest.mark.filterwarnings("ignore")  # the library's, which are no refusal
def test_short_rsa_keys_are_refused() -> None:
    short = RSAKey.generate_key(1024).as_dict(private=False)
    with pytest.raises(KeysFailed, match="holds no key"):
        parse_keys(json.dumps({"keys": [short]}).encode(), "here")


@pytest.mark.parametrize(
    "octets", [b"", b"[]", b"{}", b'{"keys": 5}', b'{"keys": []}', b"[" * 100_000, b" " * (MOST_OCTETS + 1)]
)
def test_what_is_no_set_of_keys(octets: bytes) -> None:
    with pytest.raises(KeysFailed, match=r"^here "):
        parse_keys(octets, "here")


def test_a_file(tmp_path: Path) -> None:
    with pytest.raises(KeysFailed, match="No such file"):
        read_file(str(tmp_path / "none"))
    (tmp_path / "keys").write_text(json.dumps({"keys": [FIRST.as_dict(private=False)]}))
    assert read_file(str(tmp_path / "keys")).find("first") is not None
