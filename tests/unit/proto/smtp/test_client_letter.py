"""What is said about a letter, what cannot be, and how its octets travel."""

from __future__ import annotations

import pytest

from ekiden.model.envelope import Notify, Recipient
from ekiden.proto.smtp.client_letter import (
    BARE_LINE_END,
    FINAL_DOT,
    WRONG_SIZE,
    BdatEncoder,
    ContentFault,
    DataEncoder,
    is_sound,
    render_mail,
    render_orcpt,
    render_rcpt,
    render_xtext,
    stuff,
    weigh,
)
from ekiden.proto.smtp.extensions import Capabilities
from tests.fakes.smtp_talk import letter

NOTHING = Capabilities({})
EVERYTHING = Capabilities(dict.fromkeys(["SIZE", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "PIPELINING"], ""))
EIGHT_BIT = b"Subject: x\r\n\r\n\xe9\r\n"


def weighed(transaction, peer=NOTHING):
    weigh(transaction, peer)
    return [str(reply)[:9] if reply else None for reply in transaction.replies], list(transaction.asked)


# --- MAIL and RCPT ----------------------------------------------------------------------------------------------------


def test_mail_says_only_what_the_server_knows():
    full = letter(size=99, body="8BITMIME", smtputf8=True, ret="HDRS", envid="q+=1 2")
    assert render_mail(full, NOTHING) == b"MAIL FROM:<a@x.test>\r\n"
    assert render_mail(full, EVERYTHING) == (
        b"MAIL FROM:<a@x.test> SIZE=99 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=q+2B+3D1+202\r\n"
    )
    assert render_mail(letter(reverse_path=""), EVERYTHING) == b"MAIL FROM:<>\r\n"


@pytest.mark.parametrize(("priority", "said"), [(3, b" MT-PRIORITY=3"), (-9, b" MT-PRIORITY=-9"), (0, b"")])
def test_the_priority_goes_to_a_server_that_knows_it(priority, said):
    """RFC 6710 §4.2, §4.3."""
    assert (
        render_mail(letter(priority=priority), Capabilities({"MT-PRIORITY": ""}))
        == b"MAIL FROM:<a@x.test>%b\r\n" % said
    )
    assert render_mail(letter(priority=priority), EVERYTHING) == b"MAIL FROM:<a@x.test>\r\n"


def test_rcpt_with_dsn():
    recipient = Recipient("b@y.test", (Notify.FAILURE, Notify.DELAY), "rfc822;b+c@z.test")
    assert render_rcpt(recipient, NOTHING) == b"RCPT TO:<b@y.test>\r\n"
    assert render_rcpt(recipient, EVERYTHING) == (
        b"RCPT TO:<b@y.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b+2Bc@z.test\r\n"
    )
    assert render_rcpt(Recipient("メ@y.test"), EVERYTHING) == "RCPT TO:<メ@y.test>\r\n".encode()


@pytest.mark.parametrize(
    ("orcpt", "rendered"),
    [
        ("rfc822;a@b", " ORCPT=rfc822;a@b"),
        ("rfc822;a b=\r\n@b", " ORCPT=rfc822;a+20b+3D+0D+0A@b"),
        ("utf-8;メ\\+@b", " ORCPT=utf-8;\\x{30E1}\\x{5C}\\x{2B}@b"),
        ("rfc822;メ@b", ""),
        ("nothing", ""),
        ("a b;x", ""),
        ("a\r\nb;x", ""),
    ],
)
def test_orcpt(orcpt, rendered):
    assert render_orcpt(orcpt) == rendered


def test_xtext():
    assert render_xtext("Az09") == "Az09"
    assert render_xtext("a+b=c d~\x7f") == "a+2Bb+3Dc+20d~+7F"


# --- what the server can take -----------------------------------------------------------------------------------------


def test_nothing_stands_against_a_plain_letter():
    assert weighed(letter("b@y.test", "c@y.test", body="8BITMIME")) == ([None, None], [0, 1])


def test_size():
    assert weighed(letter(size=1001), Capabilities({"SIZE": "1000"}))[0] == ["552 5.3.4"]
    assert weighed(letter(size=1000), Capabilities({"SIZE": "1000"}))[0] == [None]
    assert weighed(letter(size=1001), Capabilities({"SIZE": "0"}))[0] == [None]


@pytest.mark.parametrize("octets", [EIGHT_BIT, None])
def test_eight_bit_content(octets):
    assert weighed(letter(octets=octets, body="8BITMIME"))[0] == ["554 5.6.3"]
    assert weighed(letter(octets=octets, body="8BITMIME"), EVERYTHING)[0] == [None]
    assert weighed(letter(octets=octets, body="8BITMIME", probe=True))[0] == [None]


def test_a_declared_but_unused_eight_bit_body_travels_as_it_is():
    transaction = letter(body="8BITMIME")
    assert weighed(transaction)[0] == [None]
    assert b"BODY" not in render_mail(transaction, NOTHING)


def test_internationalized_addresses():
    assert weighed(letter(reverse_path="メ@x.test"))[0] == ["550 5.6.7"]
    assert weighed(letter("b@y.test", "メ@y.test")) == ([None, "550 5.6.7"], [0])
    for transaction in (letter(reverse_path="メ@x.test"), letter("b@y.test", "メ@y.test")):
        assert set(weighed(transaction, EVERYTHING)[0]) == {None}
        assert b" SMTPUTF8" in render_mail(transaction, EVERYTHING)


def test_internationalized_header():
    octets = "Subject: メ\r\n\r\n".encode()
    assert weighed(letter(octets=octets, smtputf8=True))[0] == ["550 5.6.7"]
    assert weighed(letter(octets=None, smtputf8=True))[0] == ["550 5.6.7"]
    assert weighed(letter(octets=octets, smtputf8=True), EVERYTHING)[0] == [None]


def test_smtputf8_asked_for_but_not_needed():
    transaction = letter(smtputf8=True)
    assert weighed(transaction)[0] == [None]
    assert not transaction.smtputf8


def test_more_recipients_than_the_server_takes_at_once():
    peer = Capabilities({"LIMITS": "RCPTMAX=2"})
    assert weighed(letter("a@y", "b@y", "c@y"), peer) == ([None, None, "452 4.5.3"], [0, 1])


@pytest.mark.parametrize("octets", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\n\n", b"\r\r\n", b"a\n\r", b"\r\n.\n\r\n", b"\r"])
@pytest.mark.parametrize("peer", [NOTHING, EVERYTHING])
def test_bare_line_ends_never_leave(octets, peer):
    assert weighed(letter(octets=octets), peer)[0] == ["554 5.6.0"]


@pytest.mark.parametrize("path", ["a\r\nDATA@x", "a\n@x", "a\x00@x", "a\x7f@x", "メ\r@x", "\x85メ@x", "メ\ud800@x"])
def test_control_characters_in_paths(path):
    assert not is_sound(path)
    assert weighed(letter(reverse_path=path), EVERYTHING)[0] == ["501 5.1.7"]
    assert weighed(letter("b@y.test", path), EVERYTHING) == ([None, "501 5.1.3"], [0])


@pytest.mark.parametrize("path", ["", "a@x", '"a b"@x', ".a..b.@docomo.test", "メ\u3000@x", "postmaster"])
def test_sound_paths(path):
    assert is_sound(path)


# --- content ----------------------------------------------------------------------------------------------------------

STUFFED = [
    (b"", b".\r\n"),
    (b"a", b"a\r\n.\r\n"),
    (b"a\r\n", b"a\r\n.\r\n"),
    (b".", b"..\r\n.\r\n"),
    (b".\r\n", b"..\r\n.\r\n"),
    (b"\r\n.\r\n", b"\r\n..\r\n.\r\n"),
    (b"..a\r\n.b\r\n..\r\n.", b"...a\r\n..b\r\n...\r\n..\r\n.\r\n"),
    (b"a.\r\nb.c\r\n", b"a.\r\nb.c\r\n.\r\n"),
    (b"\r\n\r\n", b"\r\n\r\n.\r\n"),
]


@pytest.mark.parametrize(("octets", "wire"), STUFFED)
def test_dot_stuffing(octets, wire):
    assert stuff(octets) + FINAL_DOT == wire


@pytest.mark.parametrize(("octets", "wire"), STUFFED)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_dot_stuffing_in_pieces(octets, wire, size):
    encoder = DataEncoder()
    pieces = [octets[i : i + size] for i in range(0, len(octets), size)] + [b""]
    assert b"".join(map(encoder.encode, pieces)) + encoder.finish() == wire


@pytest.mark.parametrize("octets", [b"a\nb", b"a\r\r\n", b"\rb", b"a\r", b"\n", b"\r\n\n"])
@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("chunking", [True, False])
def test_bare_line_ends_in_pieces(octets, size, chunking):
    encoder = BdatEncoder(len(octets)) if chunking else DataEncoder()
    written = b""
    fault = None
    try:
        for start in range(0, len(octets), size):
            written += encoder.encode(octets[start : start + size])
        encoder.finish()
    except ContentFault as error:
        fault = error
    assert fault is not None
    assert fault.reply is BARE_LINE_END
    assert b"\r" not in written.replace(b"\r\n", b"")
    assert b"\n" not in written.replace(b"\r\n", b"")


@pytest.mark.parametrize("size", [1, 2, 3])
def test_bdat_changes_nothing(size):
    octets = b".\r\n..a\r\n.\r\n\r\nno end"
    encoder = BdatEncoder(len(octets))
    pieces = [octets[i : i + size] for i in range(0, len(octets), size)]
    assert b"".join(map(encoder.encode, pieces)) + encoder.finish() == octets


@pytest.mark.parametrize("announced", [3, 5])
def test_bdat_with_another_size_than_announced(announced):
    encoder = BdatEncoder(announced)
    with pytest.raises(ContentFault) as caught:
        encoder.encode(b"abcd") and encoder.finish()
    assert caught.value.reply is WRONG_SIZE
