"""Who a letter says it is from."""

from __future__ import annotations

import pytest

from ekiden.message.header import HeaderSection
from ekiden.message.originators import Claim, read_originators


def read(header: bytes) -> list[tuple[str, str]]:
    found = read_originators(HeaderSection(header))
    assert not found.fault, found
    return [(claim.value, str(mailbox)) for claim, mailbox in found.claims]


def test_from_alone() -> None:
    assert read(b"Subject: x\r\nFROM : A\r\n <a@x.test>\r\n\r\n") == [("From", "a@x.test")]


def test_all_that_name_somebody() -> None:
    header = (
        b"Resent-Sender: d@x.test\r\nResent-From: e@x.test, f@x.test\r\nFrom: a@x.test, b@x.test\r\n"
        b"Sender: C <c@x.test>\r\nResent-From: g@x.test\r\nReply-To: nonsense <\r\n\r\n"
    )
    assert read(header) == [
        ("From", "a@x.test"),
        ("From", "b@x.test"),
        ("Resent-Sender", "d@x.test"),
        ("Resent-From", "e@x.test"),
        ("Resent-From", "f@x.test"),
        ("Sender", "c@x.test"),
        ("Resent-From", "g@x.test"),
    ]


@pytest.mark.parametrize(
    ("header", "at"),
    [
        (b"From: a@x.test\r\nFrom: a@x.test\r\n\r\n", Claim.FROM),
        (b"From: a@x.test\r\nfrom : b@x.test\r\n\r\n", Claim.FROM),
        (b"From:\r\n\r\n", Claim.FROM),
        (b"From: a@x.test,\r\n\tb@\r\n\r\n", Claim.FROM),
        (b"From: a@x.test\r\nSender: a@x.test\r\nSender: a@x.test\r\n\r\n", Claim.SENDER),
        (b"From: a@x.test\r\nSender: a@x.test, b@x.test\r\n\r\n", Claim.SENDER),
        (b"From: a@x.test\r\nSender: a\r\n\r\n", Claim.SENDER),
        (b"From: a@x.test\r\nResent-From: a\r\n\r\n", Claim.RESENT_FROM),
        (b"From: a@x.test\r\nResent-Sender: a@x.test,b@x.test\r\n\r\n", Claim.RESENT_SENDER),
    ],
)
def test_what_is_a_fault(header: bytes, at: Claim) -> None:
    found = read_originators(HeaderSection(header))
    assert (bool(found.fault), found.at, found.missing, found.claims) == (True, at, False, ())


def test_no_from_at_all() -> None:
    assert read_originators(HeaderSection(b"X-From: a@x.test\r\nSender: a@x.test\r\n\r\n")).missing


@pytest.mark.parametrize(
    "field", [b"Resent-From: a@x.test\r\n" * 200, b"Resent-From: " + b"x" * 4000 + b" <a@x.test>\r\n"]
)
def test_many_and_long_fields_end(field: bytes) -> None:
    header = b"From: a@x.test\r\n" + field * 3 + b"\r\n"
    assert read_originators(HeaderSection(header)).fault == "expected fewer and shorter fields"
