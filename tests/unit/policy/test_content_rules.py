"""Content rules: what matches, what is stronger, and what is said."""

from __future__ import annotations

import pytest

from ekiden.config.model import Config, ContentRule
from ekiden.model.door import Door
from ekiden.policy.content_rules import CompiledRule, Result, rules_of, split_header
from tests.fakes.letters import archive, examine, letter, rule, said, with_part

EXE = ("tool.exe", b"MZ" + bytes(100))
DOC = ("a.docm", archive(("word/vbaProject.bin", b"x")))
TEXT = ("notes.txt", b"hello")


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ({"attachment_kind": ("program",)}, "the attachment tool.exe is a program"),
        ({"attachment_kind": ("program-name",)}, "the attachment tool.exe is called as a program is"),
        ({"attachment_name": ("*.EXE",)}, "the attachment tool.exe has a name that is not taken"),
        ({"attachment_name": ("to*.e?e", "to*exe")}, "the attachment tool.exe has a name that is not taken"),
        ({"attachment_type": ("application/*",)}, "the attachment notes.txt is declared as application/octet-stream"),
        ({"header": ("Subject: *LOTTERY*",)}, "its field Subject is like *LOTTERY*"),
        ({"size_over": 100}, "it is larger than 100 octets"),
        ({"size_over": 100, "header": ("x: y", "subject: you*")}, "its field Subject is like you*"),
        ({"size_over": 100, "attachment_kind": ("program",)}, "the attachment tool.exe is a program"),
    ],
)
def test_conditions(conditions: dict[str, object], reason: str) -> None:
    assert said(letter(TEXT, EXE, subject="You won the lottery"), rule(**conditions)) == reason


@pytest.mark.parametrize(
    "conditions",
    [
        {"attachment_kind": ("macros",)},
        {"attachment_name": ("*.ex", "tool", "exe")},
        {"attachment_type": ("video/*",)},
        {"header": ("Subject: lottery",)},
        {"header": ("Comments: *",)},
        {"size_over": 1_000_000},
        {"size_over": 1_000_000, "attachment_kind": ("program",)},
        {"header": ("Subject: no",), "attachment_kind": ("program",)},
        {"attachment_kind": ("program",), "attachment_name": ("*.txt",)},  # not of one and the same attachment
    ],
)
def test_every_condition_must_hold(conditions: dict[str, object]) -> None:
    assert said(letter(TEXT, EXE, subject="You won the lottery"), rule(**conditions)) == ""


def test_encoded_words_are_compared_as_they_are_read() -> None:
    raw = letter(subject="Sie haben gewönnen")
    assert b"=?utf-8?" in raw
    assert said(raw, rule(header=("Subject: *GEWÖNNEN",))) == "its field Subject is like *GEWÖNNEN"


def test_the_reply_names_the_rule_and_is_ascii() -> None:
    refusal = examine(letter(("rechnüng.exe", b"MZ")), rule(attachment_kind=("program",))).refusal
    assert refusal is not None
    assert refusal.rule == "content-rule r"
    assert str(refusal.reply) == "550 5.7.1 Refused by the content rule r: the attachment rechn?ng.exe is a program"


def test_refuse_is_stronger_than_hold_and_hold_than_mark() -> None:
    raw = letter(EXE, DOC)
    mark = rule("mark", name="m", attachment_kind=("program",))
    hold = rule("hold", name="h", attachment_kind=("macros",))
    refuse = rule("refuse", name="f", attachment_name=("*.exe",))
    ruling = examine(raw, mark, hold)
    assert ruling.refusal is None
    assert ruling.hold_reason == "content rule h: the attachment a.docm holds macros"
    assert ruling.rules == ("h", "m")
    assert ruling.marks == (Result.MATCHED,)
    assert examine(raw, mark, hold, refuse).refusal is not None
    assert examine(letter(TEXT), mark, hold, refuse) == (None, "", (), (Result.CLEARED,))


@pytest.mark.parametrize(
    ("action", "unexaminable", "outcome"),
    [
        ("refuse", "", "refused"),
        ("mark", "refuse", "refused"),
        ("refuse", "hold", "held"),
        ("refuse", "pass", "taken"),
        ("hold", "mark", "unknown"),
        ("mark", "", "unknown"),
    ],
)
def test_what_cannot_be_examined(action: str, unexaminable: str, outcome: str) -> None:
    raw = letter(("a.zip", archive(("b.zip", archive(("c.zip", archive(("d.txt", b"x"))))))))
    ruling = examine(raw, rule(action, attachment_kind=("program",), unexaminable=unexaminable))
    if ruling.refusal is not None:
        assert outcome == "refused"
        why = "it cannot be examined: the archive a.zip: archives within archives within it"
        assert ruling.refusal.reason == why
    else:
        assert ruling.hold_reason.startswith("content rule r: it cannot be examined") is (outcome == "held")
        assert (ruling.marks == (Result.UNKNOWN,)) is (outcome == "unknown")


def test_what_was_found_counts_more_than_what_could_not_be_examined() -> None:
    raw = letter(EXE, ("a.zip", archive(("b.zip", archive(("c.zip", archive(("d.txt", b"x"))))))))
    assert said(raw, rule(attachment_kind=("program",), unexaminable="pass")) == "the attachment tool.exe is a program"
    assert said(raw, rule(size_over=1, header=("Subject: no",), unexaminable="refuse")) == ""


@pytest.mark.parametrize("encoding", [b"", b"Content-Transfer-Encoding: 8bit\r\n"])
def test_a_text_that_is_shown_is_no_attachment(encoding: bytes) -> None:
    strict = rule(attachment_kind=("script", "program"))
    assert said(with_part(b"Content-Type: text/plain\r\n" + encoding, b"#!/bin/sh"), strict) == ""
    named = b"Content-Type: text/plain; name=x\r\n" + encoding
    assert said(with_part(named, b"#!/bin/sh"), strict) == "the attachment x is a script"
    only = b"Content-Type: application/x-sh\r\n" + encoding
    assert said(with_part(only, b"#!/bin/sh"), strict) == "the attachment without a name is a script"


@pytest.mark.parametrize(
    ("accounts", "excepted", "login", "meant"),
    [
        ((), (), "", True),
        ((), (), "a@x.test", True),
        (("*",), (), "", False),
        (("*",), (), "a@x.test", True),
        (("*@x.test",), (), "A@x.test", True),
        (("*@x.test",), (), "a@y.test", False),
        ((), ("a@x.test",), "a@x.test", False),
        ((), ("a@x.test", "*"), "", True),
        (("*",), ("a@x.test",), "b@x.test", True),
    ],
)
def test_accounts(accounts: tuple[str, ...], excepted: tuple[str, ...], login: str, meant: bool) -> None:
    assert CompiledRule(rule(size_over=1, account=accounts, except_account=excepted)).is_for(login) is meant


def test_doors() -> None:
    one = ContentRule(name="a", action="hold", size_over=1, door=("relay",))
    other = ContentRule(name="b", action="hold", size_over=1)
    config = Config(hostname="h", data_dir="/d", content_rule=(one, other))
    assert [rule.rule.name for rule in rules_of(config, Door.RELAY)] == ["a", "b"]
    assert [rule.rule.name for rule in rules_of(config, Door.SUBMISSIONS)] == ["b"]


def test_split_header() -> None:
    assert split_header("X-Mailer : a:b *") == (b"x-mailer", "a:b *")
    for wrong in ("Subject", ": x", "Sub ject: x", "Subject:", "Sübject: x"):
        with pytest.raises(ValueError, match="is no condition"):
            split_header(wrong)
