"""Reports: read back with the standard library's parser; the original inside is compared octet by octet."""

from __future__ import annotations

from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from quopri import decodestring
from typing import Any

import pytest

from ekiden.message.dsn import ORIGINAL_LIMIT, Report, ReportKind, ReportRequest, build_report
from ekiden.model.envelope import Envelope, Origin, Recipient
from ekiden.model.outcome import Outcome, OutcomeKind

HEADER = b"From: alice@example.test\r\nTo: bob@far.test\r\nSubject: hello\r\nMessage-ID: <one@example.test>\r\n\r\n"
ORIGINAL = HEADER + b"Dear Bob,\r\n.\r\n--boundary\r\nno final newline"
UNKNOWN = Outcome("bob@far.test", OutcomeKind.FAILED, 550, "5.1.1", "no such user", "mx.far.test")


def envelope(**changes: Any) -> Envelope:
    return Envelope(
        **({"reverse_path": "alice@example.test", "arrived": 1_763_827_509.0, "origin": Origin()} | changes)
    )


def build(**changes: Any) -> Report:
    facts: dict[str, Any] = {
        "kind": ReportKind.FAILED,
        "hostname": "mx.example.test",
        "report_id": "01h8xk3p2qz7m",
        "letter_id": "01h8xk3p2qz7k",
        "now": 1_763_829_509.0,
        "boundary": "f00dcafe",
        "envelope": envelope(),
        "recipients": [(Recipient("bob@far.test"), UNKNOWN)],
        "original": ORIGINAL,
        "original_is_complete": True,
    }
    return build_report(ReportRequest(**(facts | changes)))


def parse(report: Report) -> EmailMessage:
    """The parsed report; no part of it may have a defect, no line be too long."""
    assert report.content.count(b"\r") == report.content.count(b"\n") == report.content.count(b"\r\n")
    assert max(map(len, report.content.split(b"\r\n"))) <= 998
    assert report.is_8bit is not report.content.isascii()
    assert report.needs_smtputf8 is not report.content[: report.header_octets].isascii()
    message = BytesParser(policy=policy.default.clone(utf8=True)).parsebytes(report.content)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    assert all(part.defects == [] for part in message.iter_parts())  # a defect within the letter is the letter's own
    if not report.needs_smtputf8:  # the standard library takes an UTF-8 local part for a defect
        assert [value.defects for value in message.values() if value.defects] == []
    return message


def parts(report: Report) -> list[EmailMessage]:
    found = list(parse(report).iter_parts())
    assert len(found) == 3
    return found  # type: ignore[return-value]


def text(report: Report) -> str:
    return str(parts(report)[0].get_content()).replace("\r\n", "\n")


def status(report: Report) -> list[dict[str, str]]:
    """The fields of each group of the machine's part: the message's, then one a recipient."""
    groups = parts(report)[1].get_payload()
    assert isinstance(groups, list)
    assert all(group.defects == [] for group in groups)
    return [{name: " ".join(str(value).split()) for name, value in group.items()} for group in groups]


def raw_part(report: Report, number: int) -> tuple[bytes, bytes]:
    """Header and octets of the number-th part, cut out by hand."""
    boundary = str(parse(report).get_boundary()).encode()
    head, _, body = report.content.split(b"\r\n--" + boundary)[number].partition(b"\r\n\r\n")
    return head, body


def test_the_header_of_a_report() -> None:
    report = build()
    message = parse(report)
    assert message["From"] == "Mail Delivery System <MAILER-DAEMON@mx.example.test>"
    assert message["To"] == "alice@example.test"
    assert message["Date"] == "Sat, 22 Nov 2025 16:38:29 +0000"
    assert message["Message-ID"] == report.message_id == "<01h8xk3p2qz7m@mx.example.test>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["In-Reply-To"] == message["References"] == "<one@example.test>"
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert report.content[: report.header_octets].endswith(b"\r\n\r\n")
    assert not report.needs_smtputf8
    assert not report.is_8bit
    assert parse(build(reporter="postmaster@example.test"))["From"].addresses[0].addr_spec == "postmaster@example.test"


def test_a_failure_is_told_in_plain_words() -> None:
    told = text(build())
    assert "could not be delivered to this address" in told
    assert "  bob@far.test\n" in told
    assert "The mail server mx.far.test answered:\n        550 5.1.1 no such user\n" in told
    assert "there is no mailbox of that name" in told
    assert "Check the address for typing errors" in told
    assert "Its subject: hello" in told
    assert "01h8xk3p2qz7k" in told
    assert max(map(len, told.splitlines())) <= 78


def test_a_failure_for_programs() -> None:
    report = build(
        envelope=envelope(envid="QQ314159"),
        recipients=[
            (Recipient("bob@far.test", orcpt="rfc822;Bob@Example.test"), UNKNOWN),
            (Recipient("eve@far.test"), Outcome("eve@far.test", OutcomeKind.FAILED, 554, "5.4.6", "a loop")),
        ],
    )
    assert status(report) == [
        {
            "Original-Envelope-Id": "QQ314159",
            "Reporting-MTA": "dns; mx.example.test",
            "Arrival-Date": "Sat, 22 Nov 2025 16:05:09 +0000",
            "X-Ekiden-Letter": "01h8xk3p2qz7k",
        },
        {
            "Original-Recipient": "rfc822; Bob@Example.test",
            "Final-Recipient": "rfc822; bob@far.test",
            "Action": "failed",
            "Status": "5.1.1",
            "Remote-MTA": "dns; mx.far.test",
            "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
            "X-Ekiden-Failure": "bad-address",
            "Last-Attempt-Date": "Sat, 22 Nov 2025 16:38:29 +0000",
        },
        {
            "Final-Recipient": "rfc822; eve@far.test",
            "Action": "failed",
            "Status": "5.4.6",
            "Diagnostic-Code": "x-ekiden; a loop",
            "X-Ekiden-Failure": "road",
            "Last-Attempt-Date": "Sat, 22 Nov 2025 16:38:29 +0000",
        },
    ]
    assert parts(report)[1].get_content_type() == "message/delivery-status"
    assert "these 2 addresses" in text(report)


def test_expiry_says_what_the_last_attempt_met() -> None:
    late = Outcome("bob@far.test", OutcomeKind.FAILED, 451, "4.4.7", "tried for 5 days")
    told = text(build(recipients=[(Recipient("bob@far.test", last_error="connection refused"), late)]))
    assert "Reason: tried for 5 days" in told
    assert "The attempt before ended with: connection refused" in told
    assert "in the time that is allowed" in told


def test_a_delay_says_until_when() -> None:
    late = Outcome("bob@far.test", OutcomeKind.DELAYED, 451, "4.7.1", "greylisted", "mx.far.test")
    report = build(kind=ReportKind.DELAYED, recipients=[(Recipient("bob@far.test"), late)], expires_at=1_764_259_509.0)
    recipient = status(report)[1]
    assert (recipient["Action"], recipient["Status"]) == ("delayed", "4.7.1")
    assert recipient["Will-Retry-Until"] == "Thu, 27 Nov 2025 16:05:09 +0000"
    assert "need not send it again" in text(report)
    assert "Thu, 27 Nov 2025 16:05:09 +0000" in text(report).replace("\n", " ")
    assert "What you can do" not in text(report)
    assert "Will-Retry-Until" not in status(build(kind=ReportKind.DELAYED))[1]


@pytest.mark.parametrize("kind", [ReportKind.DELIVERED, ReportKind.RELAYED, ReportKind.EXPANDED])
def test_success_tells_each_recipients_own_action(kind: ReportKind) -> None:
    outcomes = [
        Outcome("a@x.test", OutcomeKind.DELIVERED),
        Outcome("b@x.test", OutcomeKind.RELAYED, 250, "2.0.0", "ok", "mx.x.test"),
        Outcome("c@x.test", OutcomeKind.EXPANDED),
    ]
    report = build(kind=kind, recipients=[(Recipient(o.forward_path), o) for o in outcomes])
    assert [group["Action"] for group in status(report)[1:]] == ["delivered", "relayed", "expanded"]
    assert [group["Status"] for group in status(report)[1:]] == ["2.0.0"] * 3
    assert "Taken over by mx.x.test" in text(report)
    assert parts(report)[2].get_content_type() == "text/rfc822-headers"


def test_a_failed_recipient_whose_outcome_says_delayed_has_failed() -> None:
    late = Outcome("bob@far.test", OutcomeKind.DELAYED, 451, "nonsense", "x")
    assert status(build(recipients=[(Recipient("bob@far.test"), late)]))[1]["Status"] == "5.0.0"
    assert status(build(recipients=[(Recipient("bob@far.test"), late)]))[1]["Action"] == "failed"


@pytest.mark.parametrize(
    "original",
    [
        ORIGINAL,
        HEADER,
        HEADER[:-2],
        HEADER + "grüße\r\n".encode(),
        "From: ä\r\n\r\nraw latin-1 \xe4\r\n".encode("latin-1"),
        b"no header at all\r\n",
        b"",
        HEADER + b"x" * 998 + b"\r\n",
        HEADER + b"\r\n\r\n--f00dcafe--\r\n",
        (HEADER + (b"z" * 898 + b"\r\n") * 100)[:ORIGINAL_LIMIT],
    ],
    ids=lambda value: f"{len(value)}",
)
def test_the_whole_letter_is_octet_identical(original: bytes) -> None:
    report = build(original=original)
    head, body = raw_part(report, 3)
    assert b"message/rfc822" in head
    assert (b"8bit" in head) is not original.isascii()
    assert body == original
    assert report.content.endswith(b"--\r\n")


@pytest.mark.parametrize(
    ("changes", "original", "complete"),
    [
        ({"ret": "HDRS"}, ORIGINAL, True),
        ({}, ORIGINAL, False),
        ({}, HEADER + b"x\r\n" * ORIGINAL_LIMIT, True),
        ({}, HEADER + b"x" * 999 + b"\r\n", True),
        ({}, HEADER + b"bare\rcr", True),
        ({}, HEADER + b"bare\nlf", True),
        ({}, HEADER + b"nul\0", True),
    ],
)
def test_the_header_alone_when_the_letter_cannot_or_shall_not_come(
    changes: dict[str, str], original: bytes, complete: bool
) -> None:
    report = build(envelope=envelope(**changes), original=original, original_is_complete=complete)
    head, body = raw_part(report, 3)
    assert b"text/rfc822-headers" in head
    assert body == HEADER[:-2]
    assert "the header of your letter" in text(report)


def test_ret_full_returns_the_letter() -> None:
    assert raw_part(build(envelope=envelope(ret="FULL")), 3)[1] == ORIGINAL


def test_a_header_with_long_or_8bit_lines_is_encoded() -> None:
    header = b"Subject: " + b"x" * 2000 + b"\r\nX-Raw: \xe4\rb\r\n"
    report = build(original=header + b"\r\nbody", original_is_complete=False)
    part = parts(report)[2]
    assert part["Content-Transfer-Encoding"] == "quoted-printable"
    assert part.get_payload(decode=True) == header
    assert not report.is_8bit


def test_a_huge_header_is_cut_between_fields() -> None:
    field = b"X-Long: " + b"v" * 900 + b"\r\n"
    report = build(original=field * 200 + b"\r\n", envelope=envelope(ret="HDRS"))
    body = raw_part(report, 3)[1]
    assert len(body) <= ORIGINAL_LIMIT
    assert body == field * (ORIGINAL_LIMIT // len(field))


def test_the_boundary_never_occurs_within() -> None:
    report = build(original=HEADER + b"f00dcafe f00dcafe.1\r\n--f00dcafe.2\r\n")
    assert parse(report).get_boundary() == "f00dcafe.3"
    assert raw_part(report, 3)[1].endswith(b"--f00dcafe.2\r\n")


# --- UTF-8 ----------------------------------------------------------------------------------------------------------

UTF8_HEADER = "From: δ@example.test\r\nSubject: 駅伝\r\n\r\n".encode()
UTF8_FAILED = Outcome("用户@例え.test", OutcomeKind.FAILED, 550, "5.1.1", "用户 unknown", "mx.far.test")


def test_utf8_all_the_way() -> None:
    report = build(
        envelope=envelope(reverse_path="δ@example.test", smtputf8=True),
        recipients=[(Recipient("用户@例え.test", orcpt="utf-8;用户@例え.test"), UTF8_FAILED)],
        original=UTF8_HEADER + "本文\r\n".encode(),
    )
    assert report.needs_smtputf8
    assert report.is_8bit
    kinds = [part.get_content_type() for part in parts(report)]
    assert kinds == ["text/plain", "message/global-delivery-status", "message/global"]
    head, fields = raw_part(report, 2)
    assert b"8bit" in head
    assert "Final-Recipient: utf-8; 用户@例え.test\r\n".encode() in fields
    assert "Original-Recipient: utf-8; 用户@例え.test\r\n".encode() in fields
    assert b"Diagnostic-Code: smtp; 550 5.1.1 ?? unknown\r\n" in fields
    assert raw_part(report, 3)[1] == UTF8_HEADER + "本文\r\n".encode()
    assert "用户@例え.test" in text(report)
    assert "駅伝" in text(report)


def test_utf8_headers_alone() -> None:
    report = build(envelope=envelope(smtputf8=True, ret="HDRS"), original=UTF8_HEADER)
    assert parts(report)[2].get_content_type() == "message/global-headers"
    assert raw_part(report, 3)[1] == UTF8_HEADER[:-2]


def test_an_ascii_sender_needs_no_smtputf8() -> None:
    """A UTF-8 address behind an alias of ours must not make the report undeliverable."""
    report = build(recipients=[(Recipient("用户@例え.test"), UTF8_FAILED)])
    assert not report.needs_smtputf8
    assert not report.is_8bit
    part = parts(report)[1]
    assert part.get_content_type() == "message/global-delivery-status"
    assert part["Content-Transfer-Encoding"] == "quoted-printable"


def test_an_encoded_subject_is_decoded_for_people() -> None:
    assert "件名: こん" in text(build(original=b"Subject: =?utf-8?b?44GT44KT?=\r\n\r\n"))
    for odd in (b"=?utf-8?b?44GT4?=", b"=?nope?q?a?=", b"=?utf-8?q?=ff?=", b"\xff\xfe", b"=?utf-8?b?=0D=0A?="):
        assert "Not delivered" in parse(build(original=b"Subject: " + odd + b"\r\n\r\n"))["Subject"]


# --- hostile ----------------------------------------------------------------------------------------------------------

EVIL = "x\r\n\r\n--f00dcafe\r\nBcc: y\0\u2028 ü"


def test_nothing_from_outside_adds_a_line() -> None:
    outcome = Outcome(EVIL, OutcomeKind.FAILED, 550, EVIL, EVIL * 200, EVIL)
    report = build(
        envelope=envelope(reverse_path="a\r\nBcc: b@c", envid=EVIL),
        recipients=[(Recipient(EVIL, orcpt="rfc822;" + EVIL, last_error=EVIL), outcome)],
        original=b"Message-ID: <a b@c>\r\nSubject: " + EVIL.encode() + b"\r\n\r\n",
    )
    message = parse(report)
    assert "Bcc" not in message
    assert "In-Reply-To" not in message
    assert all("Bcc" not in part for part in message.iter_parts())
    fields = decodestring(raw_part(report, 2)[1])
    assert fields.count(b"Action: ") == fields.count(b"\r\n\r\n") == 1
    assert b"\nBcc" not in fields


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("a..b@docomo.test", b'To: <"a..b"@docomo.test>'),
        ('"a  b"@x.test', b'To: <"a  b"@x.test>'),
        ("a'b+c@x.test", b"To: <a'b+c@x.test>"),
        ('.x"y@x.test', b'To: <".x\\"y"@x.test>'),
        ("postmaster", b"To: <postmaster>"),
    ],
)
def test_the_reverse_path_as_a_header_mailbox(path: str, shown: bytes) -> None:
    assert shown + b"\r\n" in build(envelope=envelope(reverse_path=path)).content


@pytest.mark.parametrize(
    "changes",
    [
        {"envelope": envelope(reverse_path="")},
        {"recipients": []},
        {"boundary": ""},
        {"boundary": 'a"b'},
        {"boundary": "é"},
        {"boundary": "a" * 61},
    ],
)
def test_what_cannot_be_reported_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"null reverse-path|one recipient|boundary"):
        build(**changes)


def test_many_recipients() -> None:
    about = [(Recipient(f"user{n}@far.test"), UNKNOWN) for n in range(300)]
    assert len(status(build(recipients=about))) == 301
