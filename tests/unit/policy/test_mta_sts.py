"""MTA-STS records and policies as they are written (RFC 8461 §3)."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.policy.mta_sts import LONGEST_AGE, StsPolicy, parse_policy, parse_record
from ekiden.ports.sts import MOST_OCTETS

GOOD = b"version: STSv1\r\nmode: enforce\r\nmx: mail.far.test\r\nmx: *.hosts.test\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([b"v=STSv1; id=20261122;"], "20261122"),
        ([b"v=STSv1;id=a1"], "a1"),
        ([b"v=spf1 -all", b"v=STSv1; id=1; other=2"], "1"),
        ([], ""),
        ([b"v=STSv1; id=1", b"v=STSv1; id=2"], ""),
        ([b"v=STSv1"], ""),
        ([b"v=STSv1; id="], ""),
        ([b"v=STSv1; id=not-a-word"], ""),
        ([b"v=STSv1; id=" + b"1" * 33], ""),
        ([b"v=STSv10; id=1"], ""),
        ([b" v=STSv1; id=1"], ""),
        ([b"\xff\xfe"], ""),
    ],
)
def test_records(texts: list[bytes], found: str) -> None:
    assert parse_record(texts) == found


def test_a_policy() -> None:
    assert parse_policy(GOOD) == StsPolicy("enforce", 604800, ("mail.far.test", "*.hosts.test"))
    assert parse_policy(GOOD.replace(b"\r\n", b"\n") + b"future: 1\n\n") == parse_policy(GOOD)
    assert parse_policy(b"version: STSv1\nmode: none\nmax_age: 99999999999".replace(b"99999999999", b"9999999999")) == (
        StsPolicy("none", LONGEST_AGE)
    )


def test_of_a_key_that_may_stand_once_the_first_counts() -> None:
    assert parse_policy(GOOD + b"mode: none\r\nmax_age: 1\r\n") == parse_policy(GOOD)


@pytest.mark.parametrize(
    ("octets", "wrong"),
    [
        (GOOD.replace(b"STSv1", b"STSv2"), "version"),
        (GOOD.replace(b"enforce", b"Enforce"), "mode"),
        (GOOD.replace(b"604800", b"-1"), "max_age"),
        (GOOD.replace(b"604800", "٣".encode()), "max_age"),
        (GOOD.replace(b"mx:", b"nx:"), "mx"),
        (b"<html>", "version"),
        (b"\xff" + GOOD, "UTF-8"),
        (GOOD + b"x" * MOST_OCTETS, "octets"),
        (b"", "version"),
    ],
)
def test_what_is_no_policy(octets: bytes, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        parse_policy(octets)


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_policy_or_a_value_error(octets: bytes) -> None:
    with suppress(ValueError):
        parse_policy(octets)


@pytest.mark.parametrize(
    ("host", "covered"),
    [
        ("mail.far.test", True),
        ("MAIL.Far.Test.", True),
        ("a.hosts.test", True),
        ("a.b.hosts.test", False),
        ("hosts.test", False),
        ("evil.test", False),
        ("xmail.far.test", False),
        ("", False),
    ],
)
def test_which_hosts_it_names(host: str, covered: bool) -> None:
    assert parse_policy(GOOD).covers(host) is covered
