"""What kind of failure a reply stands for."""

from __future__ import annotations

import pytest

from ekiden.message.failure import Failure, failure_of


@pytest.mark.parametrize(
    ("status", "text", "failure"),
    [
        ("5.1.1", "no such user", Failure.ADDRESS),
        ("5.1.10", "null MX", Failure.ADDRESS),
        ("5.1.8", "bad sender domain", Failure.POLICY),
        ("4.2.2", "over quota", Failure.FULL),
        ("5.2.3", "", Failure.SIZE),
        ("5.3.4", "", Failure.SIZE),
        ("4.3.2", "", Failure.THEIRS),
        ("4.4.1", "no answer", Failure.ROAD),
        ("4.4.3", "SERVFAIL", Failure.DNS),
        ("5.4.4", "", Failure.DNS),
        ("5.6.7", "", Failure.CONTENT),
        ("5.7.1", "Message blocked", Failure.POLICY),
        ("5.7.27", "", Failure.POLICY),
        ("4.7.5", "", Failure.TLS),
        ("5.7.30", "", Failure.TLS),
        ("5.7.1", "550 User unknown", Failure.ADDRESS),
        ("5.0.0", "the mailbox is full", Failure.FULL),
        ("", "Requested action not taken: mailbox unavailable", Failure.ADDRESS),
        ("5.7.1", "552 message size exceeds the limit", Failure.SIZE),
        ("5.7.0", "Must issue a STARTTLS command first", Failure.TLS),
        ("5.7.1", "Virus found", Failure.CONTENT),
        ("5.0.0", "no", Failure.OTHER),
        ("nonsense", "", Failure.OTHER),
        ("5.2.2", "user unknown", Failure.FULL),  # a code that says something is believed
    ],
)
def test_kinds(status: str, text: str, failure: Failure) -> None:
    assert failure_of(status, text) is failure


def test_ours_is_told_from_theirs() -> None:
    assert failure_of("4.3.0", "internal fault", ours=True) is Failure.OURS
    assert failure_of("4.3.5", "", ours=True) is Failure.OURS
    assert failure_of("4.4.1", "no connection", ours=True) is Failure.ROAD
