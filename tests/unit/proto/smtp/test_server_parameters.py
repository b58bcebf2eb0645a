"""Parameters of MAIL and RCPT, and xtext."""

from __future__ import annotations

import pytest

from ekiden.proto.smtp import replies
from ekiden.proto.smtp.faults import RemoteProtocolError
from ekiden.proto.smtp.grammar import decode_xtext, parse_mail_parameters, parse_number, parse_rcpt_parameters


@pytest.mark.parametrize(
    ("octets", "reply"),
    [
        (b"SIZE=1", replies.EXPECTED_BLANK),
        (b" SIZE", replies.BAD_SIZE),
        (b" SIZE=", replies.BAD_SIZE),
        (b" SIZE=-1", replies.BAD_SIZE),
        (b" SIZE=" + b"9" * 21, replies.BAD_SIZE),
        (b" SIZE=1 size=1", replies.REPEATED_PARAMETER),
        (b" BODY", replies.BAD_BODY),
        (b" BODY=9BIT", replies.BAD_BODY),
        (b" BODY=BINARYMIME", replies.BINARY_NOT_OFFERED),
        (b" SMTPUTF8=", replies.BAD_SMTPUTF8),
        (b" SMTPUTF8=1", replies.BAD_SMTPUTF8),
        (b" RET", replies.BAD_RET),
        (b" RET=ALL", replies.BAD_RET),
        (b" ENVID=", replies.BAD_ENVID),
        (b" ENVID=a+2", replies.BAD_ENVID),
        (b" ENVID=a+0D+0Ab", replies.BAD_ENVID),
        (b" ENVID=a+FFb", replies.BAD_ENVID),
        (b" ENVID=" + b"x" * 101, replies.BAD_ENVID),
        (b" AUTH", replies.BAD_AUTH_PARAMETER),
        (b" AUTH=", replies.BAD_AUTH_PARAMETER),
        (b" AUTH=<a@b>=", replies.BAD_AUTH_PARAMETER),
        *(
            (b" MT-PRIORITY" + value, replies.BAD_PRIORITY)
            for value in (b"", b"=", b"=-", b"=10", b"=+1", b"=-0", b"=03")
        ),
        (b" MT-PRIORITY=\xb2", replies.BAD_PRIORITY),
        (b" MT-PRIORITY=1 mt-priority=1", replies.REPEATED_PARAMETER),
        (b" NOTIFY=NEVER", replies.UNKNOWN_MAIL_PARAMETER),
        (b" =1", replies.UNKNOWN_MAIL_PARAMETER),
        (b" \xff", replies.UNKNOWN_MAIL_PARAMETER),
    ],
)
def test_faults_of_mail(octets: bytes, reply: object) -> None:
    with pytest.raises(RemoteProtocolError) as fault:
        parse_mail_parameters(octets)
    assert fault.value.reply is reply


@pytest.mark.parametrize(
    ("octets", "reply"),
    [
        (b"NOTIFY=NEVER", replies.EXPECTED_BLANK),
        (b" NOTIFY", replies.BAD_NOTIFY),
        (b" NOTIFY=", replies.BAD_NOTIFY),
        (b" NOTIFY=ALWAYS", replies.BAD_NOTIFY),
        (b" NOTIFY=SUCCESS,", replies.BAD_NOTIFY),
        (b" NOTIFY=SUCCESS,SUCCESS", replies.BAD_NOTIFY),
        (b" NOTIFY=DELAY,NEVER", replies.BAD_NOTIFY),
        (b" ORCPT", replies.BAD_ORCPT),
        (b" ORCPT=a@example.org", replies.BAD_ORCPT),
        (b" ORCPT=;a@example.org", replies.BAD_ORCPT),
        (b" ORCPT=rfc822;", replies.BAD_ORCPT),
        (b" ORCPT=rfc 822;a", replies.BAD_ORCPT),
        (b" ORCPT=rf(c;a", replies.BAD_ORCPT),
        (b" ORCPT=rfc822;a+0D+0AX", replies.BAD_ORCPT),
        (b" ORCPT=rfc822;a+C3+A9", replies.BAD_ORCPT),
        (b" ORCPT=rfc822;a+tag@example.org", replies.BAD_ORCPT),
        (b" ORCPT=rfc822;" + b"x" * 494, replies.BAD_ORCPT),
        (b" SIZE=1", replies.UNKNOWN_RCPT_PARAMETER),
    ],
)
def test_faults_of_rcpt(octets: bytes, reply: object) -> None:
    with pytest.raises(RemoteProtocolError) as fault:
        parse_rcpt_parameters(octets, utf8=False)
    assert fault.value.reply is reply


def test_orcpt_in_utf8_where_it_was_agreed() -> None:
    assert parse_rcpt_parameters(" ORCPT=utf-8;jörg@example.org".encode(), utf8=True).orcpt == "utf-8;jörg@example.org"
    assert parse_rcpt_parameters(rb" ORCPT=utf-8;j\x{F6}rg@x", utf8=False).orcpt == r"utf-8;j\x{F6}rg@x"
    for octets, utf8 in ((" ORCPT=utf-8;jörg@x".encode(), False), (b" ORCPT=utf-8;j\xf6rg@x", True)):
        with pytest.raises(RemoteProtocolError):
            parse_rcpt_parameters(octets, utf8=utf8)


def test_auth_parameter_is_understood_and_ignored() -> None:
    for octets in (b" AUTH=<>", b" AUTH=e+3Dmc2@example.com"):
        parse_mail_parameters(octets + b" SIZE=7")


def test_the_longest_that_is_allowed() -> None:
    assert len(parse_mail_parameters(b" ENVID=" + b"+2B" * 100).envid) == 100
    assert len(parse_rcpt_parameters(b" ORCPT=rfc822;" + b"x" * 493, utf8=False).orcpt) == 500
    assert parse_number(b"9" * 20) == 10**20 - 1
    assert parse_number(b"9" * 21) is None


def test_xtext() -> None:
    assert decode_xtext(b"a+2Bb+3D") == b"a+b="
    assert decode_xtext(b"a+2bb") == b"a+b"
    for octets in (b"a=b", b"a b", b"a+", b"a+2", b"a+2G", b"\xc3\xa9"):
        assert decode_xtext(octets) is None
    assert decode_xtext(b"\xc3\xa9", utf8=True) == b"\xc3\xa9"
