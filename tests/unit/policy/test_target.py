"""Targets of a route."""

from __future__ import annotations

import pytest

from ekiden.policy.target import Target, parse_target


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("smtp://mail.example.org", Target("mail.example.org", 25)),
        ("smtp://Mail.Example.org.:2525/", Target("mail.example.org", 2525)),
        ("smtps://provider.example", Target("provider.example", 465, implicit_tls=True)),
        ("lmtp://10.0.0.1:24", Target("10.0.0.1", 24, lmtp=True)),
        ("smtp://[2001:db8::1]:26", Target("2001:db8::1", 26)),
        ("smtp://[2001:db8::1]", Target("2001:db8::1", 25)),
        ("lmtp+unix:///run/dovecot/lmtp", Target("", 0, path="/run/dovecot/lmtp", lmtp=True)),
        ("LMTP+UNIX:///x", Target("", 0, path="/x", lmtp=True)),
    ],
)
def test_parsed(url: str, target: Target) -> None:
    assert parse_target(url) == target


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.org:25",
        "http://mail.example.org",
        "smtp://",
        "smtp://:25",
        "smtp://host:",
        "smtp://host:0",
        "smtp://host:65536",
        "smtp://host:２５",
        "smtp://user@host",
        "smtp://host/path",
        "smtp://[2001:db8::1",
        "smtp://[192.0.2.1]:25",
        "smtp://[2001:db8::1]25",
        "smtp://2001:db8::1",
        "smtp://a b",
        "lmtp+unix://relative",
        "lmtp+unix:///",
    ],
)
def test_refused_with_the_url_in_the_sentence(url: str) -> None:
    with pytest.raises(ValueError, match="must") as caught:
        parse_target(url)
    assert repr(url) in str(caught.value)


def test_is_address() -> None:
    assert parse_target("smtp://192.0.2.1").is_address
    assert not parse_target("smtp://host").is_address
