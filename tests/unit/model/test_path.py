"""Paths by the grammar of RFC 5321 §4.1.2 and RFC 6531 §3.3, and what is taken beyond it."""

from __future__ import annotations

import pytest

from ekiden.model.mailbox import Mailbox
from ekiden.model.path import MAX_MAILBOX, PathError, parse_path, render_path


def parse(octets: bytes, *, utf8: bool = False, lenient: bool = False) -> tuple[Mailbox | None, bytes]:
    return parse_path(octets, utf8=utf8, lenient=lenient)


@pytest.mark.parametrize(
    ("octets", "local_part", "domain"),
    [
        (b"<user@example.org>", "user", "example.org"),
        (b"<User.Name+tag@Example.ORG>", "User.Name+tag", "Example.ORG"),
        (b"<!#$%&'*+-/=?^_`{|}~@example.org>", "!#$%&'*+-/=?^_`{|}~", "example.org"),
        (b"<user@localhost>", "user", "localhost"),
        (b"<user@3com.example>", "user", "3com.example"),
        (b"<user@xn--bcher-kva.example>", "user", "xn--bcher-kva.example"),
        (b'<"a b"@example.org>', '"a b"', "example.org"),
        (b'<"a@b>c"@example.org>', '"a@b>c"', "example.org"),
        (rb'<"a\"b\\c"@example.org>', r'"a\"b\\c"', "example.org"),
        (b'<""@example.org>', '""', "example.org"),
        (b"<user@[192.0.2.1]>", "user", "[192.0.2.1]"),
        (b"<user@[IPv6:2001:db8::1]>", "user", "[IPv6:2001:db8::1]"),
        (b"<user@[ipv6:::ffff:192.0.2.1]>", "user", "[ipv6:::ffff:192.0.2.1]"),
        (b"<user@[x-tag:any>thing@all]>", "user", "[x-tag:any>thing@all]"),
        (b"<" + b"l" * 200 + b"@example.org>", "l" * 200, "example.org"),
    ],
)
def test_what_the_grammar_allows(octets: bytes, local_part: str, domain: str) -> None:
    mailbox, rest = parse(octets + b" SIZE=1")
    assert mailbox == Mailbox(local_part, domain)
    assert rest == b" SIZE=1"
    assert render_path(mailbox) == octets


def test_null_path() -> None:
    assert parse(b"<> RET=HDRS") == (None, b" RET=HDRS")
    assert render_path(None) == b"<>"


@pytest.mark.parametrize("name", ["postmaster", "Postmaster", "POSTMASTER"])
def test_postmaster_needs_no_domain(name: str) -> None:
    assert parse(f"<{name}>".encode()) == (Mailbox(name, ""), b"")


@pytest.mark.parametrize(
    "octets", [b"<@a.example:user@example.org>", b"<@a.example,@b.example:user@example.org>", b"<@a:user@example.org>"]
)
def test_source_routes_are_ignored(octets: bytes) -> None:
    assert parse(octets) == (Mailbox("user", "example.org"), b"")


@pytest.mark.parametrize("local_part", [".user", "user.", "us..er", "...user...", "user-.", ".a.b..c."])
def test_dots_anywhere(local_part: str) -> None:
    """# deviates RFC 5321 §4.1.2: addresses that Japanese mobile carriers gave out."""
    assert parse(f"<{local_part}@docomo.example>".encode()) == (Mailbox(local_part, "docomo.example"), b"")


@pytest.mark.parametrize(
    "octets",
    [
        b"user@example.org",
        b"",
        b" <user@example.org>",
        b"<user@example.org",
        b"<user>",
        b"<user@>",
        b"<@example.org>",
        b"<.@example.org>",
        b"<..@example.org>",
        b"<us er@example.org>",
        b"<us\ter@example.org>",
        b"<user@example.org >",
        b"<a@b@example.org>",
        b"<user@exa mple.org>",
        b"<user@exam_ple.org>",
        b"<user@-example.org>",
        b"<user@example-.org>",
        b"<user@example..org>",
        b"<user@.example.org>",
        b"<user@example.org.>",
        b"<user@" + b"l" * 64 + b".org>",
        b"<user@" + b"l." * 130 + b"org>",
        b'<"user@example.org>',
        b'<"us"er"@example.org>',
        b'<"user"x@example.org>',
        rb'<"user\"@example.org>',
        b'<"us\x01er"@example.org>',
        b"<user@[192.0.2]>",
        b"<user@[192.0.2.256]>",
        b"<user@[192.0.2.1>",
        b"<user@[]>",
        b"<user@[IPv6:2001:db8::1::2]>",
        b"<user@[IPv6:fe80::1%eth0]>",
        b"<user@[IPv6:]>",
        b"<user@[2001:db8::1:]x>",
        b"<user@[-:x]>",
        b"<user@[tag:]>",
        b"<user@[ta g:x]>",
        b"<a.example:user@example.org>",
        b"<@a.example,b.example:user@example.org>",
        b"<@a.example,user@example.org>",
        b"<@a_b:user@example.org>",
        b"<@a.example:>",
        b"<a<b@example.org>",
    ],
)
def test_what_it_does_not_allow(octets: bytes) -> None:
    with pytest.raises(PathError, match="expected"):
        parse(octets)


def test_a_mailbox_is_no_longer_than_a_command_line() -> None:
    longest = b"a" * (MAX_MAILBOX - len(b"@example.org")) + b"@example.org"
    assert len(b"RCPT TO:<" + longest + b">\r\n") == 512
    assert parse(b"<" + longest + b">")[0] is not None
    with pytest.raises(PathError, match="at most 500"):
        parse(b"<a" + longest + b">")


def test_leading_zeros_are_refused() -> None:
    """# deviates RFC 5321 §4.1.3: 010.0.0.1 is another host to those who read octal."""
    with pytest.raises(PathError, match="IPv4"):
        parse(b"<user@[010.0.0.1]>")


@pytest.mark.parametrize(
    "text", ["<用户@例え.テスト>", "<jörg@example.org>", '<"jö rg"@example.org>', "<user@bücher.example>"]
)
def test_utf8_only_where_it_was_agreed(text: str) -> None:
    mailbox, _ = parse(text.encode(), utf8=True)
    assert render_path(mailbox) == text.encode()
    assert mailbox is not None
    assert mailbox.needs_smtputf8
    with pytest.raises(PathError, match="SMTPUTF8"):
        parse(text.encode())


@pytest.mark.parametrize(
    "octets",
    [
        b"<j\xf6rg@example.org>",
        b"<a\xed\xa0\x80@example.org>",
        "<a\x85b@example.org>".encode(),
        "<a\u2028b@example.org>".encode(),
        "<user@a\u2260b.example>".encode(),  # a symbol: no letter of a name
        "<user@-bücher.example>".encode(),
        "<user@bücher..example>".encode(),
    ],
)
def test_utf8_has_its_own_faults(octets: bytes) -> None:
    with pytest.raises(PathError, match="expected"):
        parse(octets, utf8=True)


def test_missing_angle_brackets() -> None:
    """# deviates RFC 5321 §4.1.2, where the caller is lenient."""
    assert parse(b"user@example.org SIZE=1", lenient=True) == (Mailbox("user", "example.org"), b" SIZE=1")
    assert parse(b'"a b"@example.org', lenient=True) == (Mailbox('"a b"', "example.org"), b"")
    assert parse(b"<user@example.org>", lenient=True) == (Mailbox("user", "example.org"), b"")
    assert parse(b"<>", lenient=True) == (None, b"")
    for octets in (b"", b" user@example.org", b"user@example.org>", b"<user@example.org", b"user"):
        with pytest.raises(PathError):
            parse(octets, lenient=True)


def test_the_fault_never_repeats_what_came() -> None:
    with pytest.raises(PathError) as fault:
        parse(b"<s3cret hello@example.org>")
    assert "s3cret" not in str(fault.value)
