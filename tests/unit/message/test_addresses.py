"""Address lists: what is taken, what is refused, and that no other reading of it leads elsewhere."""

from __future__ import annotations

import pytest

from ekiden.message.addresses import MAX_MAILBOXES, MAX_OCTETS, AddressFault, parse_addresses
from ekiden.model.mailbox import Mailbox


def parsed(value: bytes | str) -> list[str]:
    return [str(mailbox) for mailbox in parse_addresses(value.encode() if isinstance(value, str) else value)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("alice@example.test", ["alice@example.test"]),
        ("<alice@example.test>", ["alice@example.test"]),
        ("Alice <alice@example.test>", ["alice@example.test"]),
        ("Alice A. Adams <alice@example.test>", ["alice@example.test"]),
        ('"Adams, Alice" <alice@example.test>', ["alice@example.test"]),
        ('"a \\" quote <x@y.test>" <alice@example.test>', ["alice@example.test"]),
        ("=?utf-8?q?Al=C3=AFce_=40_home?= <alice@example.test>", ["alice@example.test"]),
        ("alice@example.test (Alice (of the house))", ["alice@example.test"]),
        ("(The) Alice (really) <alice@example.test> (hm)", ["alice@example.test"]),
        ("[Tickets] Desk <alice@example.test>", ["alice@example.test"]),
        ("Ünïcödé <alice@example.test>", ["alice@example.test"]),
        (b"Al\xefce <alice@example.test>", ["alice@example.test"]),
        ("Ål@bücher.test", ["Ål@bücher.test"]),
        ('"al ice"@example.test', ['"al ice"@example.test']),
        ("a@x.test, B <b@y.test>,c@z.test", ["a@x.test", "b@y.test", "c@z.test"]),
        ("Team: a@x.test, B <b@y.test>;", ["a@x.test", "b@y.test"]),
        ("Team: a@x.test;, b@y.test", ["a@x.test", "b@y.test"]),
        ("Nobody:;, b@y.test", ["b@y.test"]),
        ("alice@example.test <alice@Example.Test>", ["alice@Example.Test"]),
        ("Alice\t<alice@example.test>\t", ["alice@example.test"]),
        ("alice@[192.0.2.1]", ["alice@[192.0.2.1]"]),
        ("O'Hara <o'hara@example.test>", ["o'hara@example.test"]),
    ],
)
def test_what_is_taken(value: str | bytes, expected: list[str]) -> None:
    assert parsed(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "Alice",
        "<>",
        "Alice <>",
        "owned@x.test <victim@y.test>",
        "victim@y.test, owned@x.test <z@y.test>",
        "Adams, Alice <alice@example.test>",
        "owned@x.test victim@y.test",
        "<owned@x.test> <victim@y.test>",
        "<owned@x.test> victim@y.test",
        "<owned@x.test>, ",
        ",owned@x.test",
        "owned@x.test(<victim@y.test>)",
        "owned@x.test (, victim@y.test)",
        "<owned@x.test",
        "owned@x.test>",
        "<owned@x.test<victim@y.test>>",
        "<a@x.test, b@x.test>",
        '"unclosed <owned@x.test>',
        "(unclosed owned@x.test",
        "closed) owned@x.test",
        "Ali\\ce <owned@x.test>",
        "owned @x.test",
        "owned@ x.test",
        "own(hm)ed@x.test",
        "owned@x.test.",
        "owned@@x.test",
        "owned@x.test@y.test",
        "@y.test:owned@x.test",
        "<@y.test:owned@x.test>",
        '"victim@y.test"@x.test',
        '"victim\\@y.test"@x.test',
        "=?utf-8?q?victim=40y.test?=@x.test",
        '"a""b"@x.test',
        '""@x.test',
        "a@bücher.test.",
        "[<victim@y.test>] <a@x.test>",
        "a b@x.test",
        "postmaster",
        "<postmaster>",
        "Team: a@x.test",
        "Team: Inner: a@x.test;;",
        "a@x.test;",
        "a@x.test: b@x.test;",
        ": a@x.test;",
        "Team:;",
        "Team: a@x.test; b@x.test",
        "Alice\0 <owned@x.test>",
        "owned@x.test\rFrom: victim@y.test",
        "owned@x.test\nFrom: victim@y.test",
        "Alice\x1b$B <owned@x.test>",
        '"\x7f" <owned@x.test>',
        b"al\xefce@x.test",
        "(" * 20 + ")" * 20 + "a@x.test",
    ],
)
def test_what_is_refused(value: str | bytes) -> None:
    octets = value.encode() if isinstance(value, str) else value
    for _ in range(2):  # the second time from memory
        with pytest.raises(AddressFault) as fault:
            parse_addresses(octets)
        assert str(fault.value).startswith("expected ")
        assert "victim" not in str(fault.value)


def test_there_is_a_limit_of_mailboxes_and_octets() -> None:
    assert len(parsed(", ".join(f"a{n}@x.test" for n in range(MAX_MAILBOXES)))) == MAX_MAILBOXES
    with pytest.raises(AddressFault, match=f"at most {MAX_MAILBOXES} addresses"):
        parsed(", ".join(f"a{n}@x.test" for n in range(MAX_MAILBOXES + 1)))
    with pytest.raises(AddressFault, match="8 KiB"):
        parsed("x" * MAX_OCTETS + " <a@x.test>")


def test_a_long_name_is_taken() -> None:
    assert parsed("word " * 1000 + "<a@x.test>") == ["a@x.test"]


def test_the_local_part_stays_as_it_was_written() -> None:
    assert parse_addresses(b'"Alice"@Example.TEST') == (Mailbox('"Alice"', "Example.TEST"),)
