"""What servers announce."""

from __future__ import annotations

import pytest

from ekiden.proto.smtp.extensions import UNLIMITED, Capabilities, parse_hello, parse_limits


def test_hello_lines():
    host, extensions = parse_hello(
        [b"250-mx.test Hello [192.0.2.1]", b"250-size 1000", b"250-PIPELINING", b"250-SIZE 5", b"250 AUTH PLAIN LOGIN"]
    )
    assert host == "mx.test"
    assert extensions == {"SIZE": "1000", "PIPELINING": "", "AUTH": "PLAIN LOGIN"}


@pytest.mark.parametrize("lines", [[b"250"], [b"250 "], [b"250-", b"250-", b"250 \xff\x00"]])
def test_hello_that_says_nothing(lines):
    host, extensions = parse_hello(lines)
    assert host == ""
    assert "SIZE" not in extensions


def test_the_old_way_to_announce_auth():
    _, extensions = parse_hello([b"250-mx.test", b"250 AUTH=LOGIN PLAIN"])
    assert extensions["AUTH"].split() == ["LOGIN", "PLAIN"]
    _, extensions = parse_hello([b"250-mx.test", b"250-AUTH PLAIN", b"250 AUTH=LOGIN"])
    assert extensions["AUTH"] == "PLAIN"


@pytest.mark.parametrize(("value", "limit"), [("", 0), ("0", 0), ("1000", 1000), ("x", 0), ("-1", 0), ("²", 0)])
def test_size(value, limit):
    capabilities = Capabilities({"SIZE": value})
    assert capabilities.size
    assert capabilities.size_limit == limit


def test_limits():
    assert parse_limits("RCPTMAX=20 mailmax=5 X=1 RCPTDOMAINMAX=0") == {"RCPTMAX": 20, "MAILMAX": 5}
    capabilities = Capabilities({"LIMITS": "RCPTMAX=x"})
    assert capabilities.recipient_limit == UNLIMITED == capabilities.mail_limit
