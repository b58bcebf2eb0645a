"""What submission adds and takes out; everything else stays octet by octet."""

from __future__ import annotations

import pytest

from ekiden.message.submission import complete_header

DATE = b"Date: Sat, 22 Nov 2025 16:05:09 +0000\r\n"
ID = b"Message-ID: <new@here>\r\n"


def complete(header: bytes) -> bytes:
    return complete_header(header, now=1_763_827_509, message_id="<new@here>")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Date: x\r\nMessage-ID: y\r\n\r\n", b"Date: x\r\nMessage-ID: y\r\n\r\n"),
        (b"DATE : x\r\nmessage-id:\r\n\r\n", b"DATE : x\r\nmessage-id:\r\n\r\n"),
        (b"Subject:  a\r\n\tb \r\n\r\n", b"Subject:  a\r\n\tb \r\n" + DATE + ID + b"\r\n"),
        (b"Date: x\r\n\r\n", b"Date: x\r\n" + ID + b"\r\n"),
        (b"Message-Id: <a@b>\r\n\r\n", b"Message-Id: <a@b>\r\n" + DATE + b"\r\n"),
        (b"\r\n", DATE + ID + b"\r\n"),
        (b"", DATE + ID + b"\r\n"),  # a body without header section must not become part of one
        (b"Subject: a", b"Subject: a\r\n" + DATE + ID + b"\r\n"),
        (b"Subject: a\r\n", b"Subject: a\r\n" + DATE + ID + b"\r\n"),
        (b"Date: x\r\nMessage-ID: y", b"Date: x\r\nMessage-ID: y"),
        (b"Resent-Date: x\r\n\r\n", b"Resent-Date: x\r\n" + DATE + ID + b"\r\n"),
    ],
)
def test_what_is_missing_is_added(before: bytes, after: bytes) -> None:
    assert complete(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Date: x\r\nBcc: a@b,\r\n c@d\r\n\te@f\r\nMessage-ID: y\r\n\r\n", b"Date: x\r\nMessage-ID: y\r\n\r\n"),
        (b"bcc:\r\nDate: x\r\nBCC : z\r\nMessage-ID: y\r\nResent-Bcc: a\r\n\r\n", b"Date: x\r\nMessage-ID: y\r\n\r\n"),
        (b"Date: x\r\nMessage-ID: y\r\nBcc: a", b"Date: x\r\nMessage-ID: y\r\n"),
        (b"Bcc: a\r\n\r\n", DATE + ID + b"\r\n"),
        (b"X-Bcc: a\r\nDate: Bcc: x\r\nMessage-ID: y\r\n\r\n", b"X-Bcc: a\r\nDate: Bcc: x\r\nMessage-ID: y\r\n\r\n"),
    ],
)
def test_blind_copies_are_taken_out(before: bytes, after: bytes) -> None:
    assert complete(before) == after


def test_a_message_id_without_brackets_gets_them() -> None:
    assert b"Message-ID: <a@b>\r\n" in complete_header(b"\r\n", now=0, message_id="a@b")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Date: x\r\nMessage-ID: y\r\n", b"Date: x\r\nMessage-ID: y\r\n\r\n"),
        (b"Date: x\r\nBcc: a\r\nMessage-ID: y\r\n", b"Date: x\r\nMessage-ID: y\r\n\r\n"),
        (b"Date: x\r\n", b"Date: x\r\n" + ID + b"\r\n"),
        (b"Date: x\r\nMessage-ID: y\r\n\r\n", b"Date: x\r\nMessage-ID: y\r\n\r\n"),
    ],
)
def test_a_body_is_parted_from_the_header_section(before: bytes, after: bytes) -> None:
    assert complete_header(before, now=1_763_827_509, message_id="<new@here>", body_follows=True) == after
