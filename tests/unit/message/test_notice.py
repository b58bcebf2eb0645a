"""message.notice: what the server itself writes."""

from __future__ import annotations

import email
from email import policy

from ekiden.message.notice import Notice, build_notice

NOW = 1_767_225_600.0


def built(subject="Hello", text="Hi", to="you@example.test"):
    notice = Notice("brake", subject, text)
    return build_notice(notice, hostname="mail.example.test", to=to, message_id="<1@mail.example.test>", now=NOW)


def test_a_plain_letter_that_no_robot_answers():
    content = built("Your mail is held", "A paragraph longer than a line may be. " * 4 + "\n\n  as it is\nend\n")
    parsed = email.message_from_bytes(content, policy=policy.SMTP)
    assert parsed["Subject"] == "Your mail is held"
    assert parsed["To"] == "you@example.test"
    assert parsed["Auto-Submitted"] == "auto-generated"
    assert parsed["Message-ID"] == "<1@mail.example.test>"
    assert parsed.get_content_type() == "text/plain"
    body = content.partition(b"\r\n\r\n")[2]
    lines = body.split(b"\r\n")
    assert max(map(len, lines)) <= 76
    assert b"  as it is" in lines
    assert body.endswith(b"end\r\n")
    assert b"\n" not in content.replace(b"\r\n", b"")


def test_other_letters_than_ascii_are_told_in_quoted_printable():
    content = built("Postfach fast voll: größe", "größer als \U0001f600\n" * 3)
    assert content.isascii()
    parsed = email.message_from_bytes(content, policy=policy.SMTP)
    assert parsed["Content-Transfer-Encoding"] == "quoted-printable"
    assert parsed.get_content() == "größer als \U0001f600\r\n" * 3
    assert parsed["Subject"] == "Postfach fast voll: gr??e"


def test_nothing_from_outside_adds_a_field_or_a_line():
    content = built("a\r\nBcc: eve@x.test", "b\r\x00c\u2028.\n" + " x" * 5000, to='a"\r\n@x.test')
    head, _, body = content.partition(b"\r\n\r\n")
    assert b"Bcc:" not in [line[:4] for line in head.split(b"\r\n")]
    assert head.count(b"\r\n") == 8
    assert body.isascii()
    assert max(len(line) for line in body.split(b"\r\n")) <= 998
    assert b"\r" not in body.replace(b"\r\n", b"")
    assert b"\x00" not in body
