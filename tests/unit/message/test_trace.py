"""Trace fields: their form, and that nothing a stranger says breaks out of them."""

from __future__ import annotations

import pytest

from ekiden.message.header import HeaderSection
from ekiden.message.trace import (
    address_literal,
    protocol_keyword,
    render_delivered_to,
    render_received,
    render_return_path,
)

NOW = 1_763_827_509.9


def received(**changes: object) -> bytes:
    facts: dict[str, object] = {
        "helo": "mail.example.org",
        "client": "192.0.2.1",
        "hostname": "mx.example.test",
        "protocol": "ESMTPS",
        "letter": "01h8xk3p2qz7m",
        "now": NOW,
        "tls": "TLSv1.3 TLS_AES_256_GCM_SHA384",
        "for_recipient": "bob@example.test",
        "reverse_name": "out.example.org",
    }
    return render_received(**(facts | changes))  # type: ignore[arg-type]


def test_received() -> None:
    assert received() == (
        b"Received: from mail.example.org (out.example.org [192.0.2.1])\r\n"
        b"\tby mx.example.test with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        b"\tid 01h8xk3p2qz7m for <bob@example.test>;\r\n"
        b"\tSat, 22 Nov 2025 16:05:09 +0000\r\n"
    )


def test_received_says_the_priority_that_is_not_the_usual_one() -> None:
    """RFC 6710 §4.1: behind the `for` clause, in a form that RFC 5321 §4.4 leaves room for."""
    assert b"\tid 01h8xk3p2qz7m for <bob@example.test>\r\n\tPRIORITY -4;\r\n" in received(priority=-4)
    assert b"\tid 01h8xk3p2qz7m PRIORITY 9;\r\n" in received(priority=9, for_recipient="")
    assert b"PRIORITY" not in received(priority=0)


def test_received_with_the_least() -> None:
    assert received(client="", tls="", for_recipient="", reverse_name="", protocol="SMTP") == (
        b"Received: from mail.example.org by mx.example.test with SMTP\r\n"
        b"\tid 01h8xk3p2qz7m;\r\n"
        b"\tSat, 22 Nov 2025 16:05:09 +0000\r\n"
    )


def test_ipv6_and_literal_helo() -> None:
    octets = received(helo="[IPv6:2001:db8::1]", client="2001:db8::1", reverse_name="")
    assert octets.startswith(b"Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1]) by mx.example.test\r\n")
    assert received(helo="[192.0.2.7]").startswith(b"Received: from [192.0.2.7] (out.example.org [192.0.2.1]) by")


@pytest.mark.parametrize(
    ("helo", "shown"),
    [
        ("my printer", b"(HELO my printer out.example.org [192.0.2.1])"),
        ("a)b(c\\d", b"(HELO a\\)b\\(c\\\\d out.example.org [192.0.2.1])"),
        ("x\r\nBcc: y", b"(HELO x??Bcc: y out.example.org [192.0.2.1])"),
        ("テスト", b"(HELO ??? out.example.org [192.0.2.1])"),
        ("[a] by evil", b"(HELO [a] by evil out.example.org [192.0.2.1])"),
        ("[]", b"(HELO [] out.example.org [192.0.2.1])"),
        ("", b"(HELO  out.example.org [192.0.2.1])"),
    ],
)
def test_a_helo_name_that_is_no_domain_stands_in_the_comment(helo: str, shown: bytes) -> None:
    octets = received(helo=helo)
    assert octets.replace(b"\r\n\t", b" ").startswith(b"Received: from [192.0.2.1] " + shown + b" by mx.example.test")


HOSTILE = ["\r\nX: y", "\0", ")", "(", "\\", "\x85", "\u2028", "a" * 5000, '"\r\n"@x', ";", "é\r\n\r\nbody"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["helo", "reverse_name", "tls", "for_recipient"])
def test_no_value_breaks_out(field: str, text: str) -> None:
    for protocol in ("ESMTP", "UTF8SMTP"):
        octets = received(**{field: text, "protocol": protocol})
        section = HeaderSection(octets + b"\r\n")
        assert [found.name for found in section] == [b"received"]
        assert section.separated
        assert octets.count(b"\r") == octets.count(b"\n") == octets.count(b"\r\n")
        assert b"\0" not in octets
        assert max(map(len, octets.split(b"\r\n"))) <= 998
        value = section.first(b"received") or b""
        assert _parentheses_balance(value)
        assert octets.endswith(b";\r\n\tSat, 22 Nov 2025 16:05:09 +0000\r\n")


def _parentheses_balance(value: bytes) -> bool:
    for pair in (b"\\\\", b"\\(", b"\\)"):
        value = value.replace(pair, b"")
    return value.partition(b" for <")[0].count(b"(") == value.partition(b" for <")[0].count(b")")


def test_a_utf8_recipient_shows_only_in_a_utf8_letter() -> None:
    assert b"for <" not in received(for_recipient="δ@example.test")
    assert " for <δ@example.test>;".encode() in received(for_recipient="δ@example.test", protocol="UTF8SMTPSA")


def test_lines_are_folded_at_78() -> None:
    name = "a-rather-long-name-of-a-host.in.some.department.of.example.org"
    octets = received(helo=name, reverse_name=name, hostname=name, for_recipient=f"bob@{name}")
    lines = octets.split(b"\r\n")
    assert [line for line in lines if len(line) > 78] == [
        line for line in lines if line.count(name.encode()) == 1 and b"(" in line and len(line) > 78
    ]
    assert max(map(len, lines)) < 100


@pytest.mark.parametrize(
    ("facts", "keyword"),
    [
        ({"extended": False}, "SMTP"),
        ({"extended": False, "tls": True, "auth": True}, "SMTP"),
        ({"extended": True}, "ESMTP"),
        ({"extended": True, "tls": True}, "ESMTPS"),
        ({"extended": True, "auth": True}, "ESMTPA"),
        ({"extended": True, "tls": True, "auth": True}, "ESMTPSA"),
        ({"extended": True, "utf8": True}, "UTF8SMTP"),
        ({"extended": True, "utf8": True, "tls": True, "auth": True}, "UTF8SMTPSA"),
        ({"extended": True, "lmtp": True}, "LMTP"),
        ({"extended": True, "lmtp": True, "tls": True, "auth": True}, "LMTPSA"),
        ({"extended": True, "lmtp": True, "utf8": True, "tls": True}, "UTF8LMTPS"),
    ],
)
def test_protocol_keyword(facts: dict[str, bool], keyword: str) -> None:
    assert protocol_keyword(**facts) == keyword  # type: ignore[arg-type]


def test_return_path_and_delivered_to() -> None:
    assert render_return_path("") == b"Return-Path: <>\r\n"
    assert render_return_path('"a  b"@example.test') == b'Return-Path: <"a  b"@example.test>\r\n'
    assert render_return_path("a\r\nX: y@b") == b"Return-Path: <aX: y@b>\r\n"
    assert render_delivered_to("δ@example.test") == "Delivered-To: δ@example.test\r\n".encode()
    assert render_delivered_to("\udcff@b") == b"Delivered-To: @b\r\n"


def test_address_literal() -> None:
    assert address_literal("192.0.2.1") == "[192.0.2.1]"
    assert address_literal("2001:db8::1") == "[IPv6:2001:db8::1]"
