"""Questions to DNS lists, what their answers mean, and which lists can be believed."""

from __future__ import annotations

import pytest

from ekiden.config.model import Dnsbl
from ekiden.policy.dnsbl import Listing, check_code, fault_of, find_listing, is_refusal, question
from ekiden.ports.resolver import AddressAnswer, Status

BAD = Dnsbl(zone="bad.test", codes={"127.0.0.2": 5, "127.0.0.4": 0}, weight=3, page="https://bad.test/{ip}")
GOOD = Dnsbl(zone="good.test", codes={"127.0.*.3": 8, "127.0.*.*": 1}, allow=True)
LISTED = AddressAnswer(Status.OK, ("127.0.0.2",))
UNLISTED = AddressAnswer(Status.NOT_FOUND)
SILENT = AddressAnswer(Status.FAILED, detail="no answer")


def test_an_address_is_asked_for_backwards() -> None:
    assert question("192.0.2.99", "bad.test") == "99.2.0.192.bad.test"
    nibbles = "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"  # RFC 5782 §2.4
    assert question("2001:db8:1:2:3:4:567:89ab", "bad.test") == f"{nibbles}.bad.test"
    assert question("::ffff:7f00:2", "bad.test") == "2.0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20 + ".bad.test"


def test_codes_that_are_named_count_and_others_do_not() -> None:
    assert find_listing(BAD, "192.0.2.1", ["127.0.0.2"]) == Listing(
        "bad.test", "127.0.0.2", 5, "https://bad.test/192.0.2.1"
    )
    assert find_listing(BAD, "192.0.2.1", ["127.0.0.10"]) is None
    assert find_listing(BAD, "192.0.2.1", []) is None


def test_no_points_of_a_code_are_those_of_the_list_and_the_most_count() -> None:
    found = find_listing(BAD, "192.0.2.1", ["127.0.0.4", "127.0.0.10"])
    assert found is not None
    assert found.points == 3
    found = find_listing(BAD, "192.0.2.1", ["127.0.0.4", "127.0.0.2"])
    assert found is not None
    assert (found.code, found.points) == ("127.0.0.2", 5)


def test_a_list_of_good_ones_takes_points_off() -> None:
    found = find_listing(GOOD, "192.0.2.1", ["127.0.9.3"])
    assert found is not None
    assert found.points == -8
    found = find_listing(GOOD, "192.0.2.1", ["127.0.9.1"])
    assert found is not None
    assert found.points == -1


@pytest.mark.parametrize("code", ["127.255.255.254", "127.255.255.1", "127.0.0.255", "203.0.113.7"])
def test_what_says_that_the_list_does_not_answer_is_no_listing(code: str) -> None:
    assert is_refusal(code)
    everything = Dnsbl(zone="bad.test", codes={"127.*.*.*": 5, code: 5})
    assert find_listing(everything, "192.0.2.1", [code]) is None


@pytest.mark.parametrize("code", ["127.0.0.2", "127.0.0.254", "127.255.0.1"])
def test_other_codes_are_listings(code: str) -> None:
    assert not is_refusal(code)


def test_a_list_that_has_its_test_entry_and_not_the_other_is_healthy() -> None:
    assert fault_of(LISTED, UNLISTED, 4) == ""
    assert fault_of(AddressAnswer(Status.OK, ("127.0.10.0",)), UNLISTED, 4) == "", "any code will do"


def test_a_list_that_lists_everybody_nobody_or_does_not_answer_is_not() -> None:
    assert fault_of(LISTED, LISTED, 4) == "127.0.0.1 is listed, which no list may have: it lists everybody"
    assert fault_of(UNLISTED, UNLISTED, 6).startswith("::ffff:7f00:2 is not listed")
    assert fault_of(SILENT, UNLISTED, 4) == "it does not answer: no answer"
    assert fault_of(LISTED, SILENT, 4) == "it does not answer: no answer"
    refused = AddressAnswer(Status.OK, ("127.255.255.254",))
    assert fault_of(refused, UNLISTED, 4).startswith("it answers 127.255.255.254, which is no listing")


def test_codes_of_entries() -> None:
    for good in ("127.0.0.2", "127.0.*.3", "127.*.*.*"):
        check_code(good)
    for bad, word in {
        "2": "is no code",
        "127.0.0": "is no code",
        "127.0.0.256": "is no code",
        "127.0.0.02": "is no code",
        "127.0.0.x": "is no code",
        "*.0.0.2": "begin with 127",
        "10.0.0.2": "begin with 127",
        "127.255.255.254": "do not answer",
        "127.255.255.*": "do not answer",
        "127.0.0.255": "do not answer",
    }.items():
        with pytest.raises(ValueError, match=word):
            check_code(bad)
