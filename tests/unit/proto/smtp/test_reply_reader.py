"""Replies as servers send them, and as they must not."""

from __future__ import annotations

import pytest

from ekiden.model.reply import Reply
from ekiden.proto.smtp.reply_reader import (
    KEPT_LINES,
    MAX_LINE_OCTETS,
    MAX_LINES,
    PeerProtocolError,
    ReplyReader,
    is_status,
)


def read(octets: bytes) -> Reply:
    reader = ReplyReader()
    reader.feed(octets)
    assert reader.next()
    assert not reader.has_octets
    return reader.reply()


@pytest.mark.parametrize(
    ("octets", "code", "status", "lines"),
    [
        (b"250 2.1.0 Ok\r\n", 250, "2.1.0", ("Ok",)),
        (b"250 Ok\r\n", 250, "", ("Ok",)),
        (b"354\r\n", 354, "", ("",)),
        (b"354 \r\n", 354, "", ("",)),
        (b"250 ok\n", 250, "", ("ok",)),
        (b"250 ok\r\r\n", 250, "", ("ok",)),
        (b"550-5.1.1 no\r\n550 5.1.1 such user\r\n", 550, "5.1.1", ("no", "such user")),
        (b"550-no\r\n550 5.1.1 such user\r\n", 550, "5.1.1", ("no", "such user")),
        (b"550-5.1.1 no\r\n550 such user\r\n", 550, "5.1.1", ("no", "such user")),
        (b"550-5.1.1 no\r\n550 5.7.1 at all\r\n", 550, "5.1.1", ("no", "5.7.1 at all")),
        (b"550 4.1.1 wrong class\r\n", 550, "", ("4.1.1 wrong class",)),
        (b"550 5.1 no\r\n", 550, "", ("5.1 no",)),
        (b"550 5.1.1\r\n", 550, "5.1.1", ("",)),
        (b"550 5.1111.1 no\r\n", 550, "", ("5.1111.1 no",)),
        (b"550 \xe3\x83\xa1 \xff\r\n", 550, "", ("メ �",)),
        (b"250-\r\n250 x\r\n", 250, "", ("", "x")),
        (b"250 a\x00\x1bb\r\n", 250, "", ("a  b",)),
    ],
)
def test_replies(octets, code, status, lines):
    reply = read(octets)
    assert (reply.code, reply.status, reply.lines) == (code, status, lines)


@pytest.mark.parametrize(
    "octets",
    [
        b"\r\n",
        b"hello\r\n",
        b"25 x\r\n",
        b"2500 x\r\n",
        b"250x\r\n",
        b"250\tx\r\n",
        b"199 x\r\n",
        b"600 x\r\n",
        b" 250 x\r\n",
        b"\xb2\xb3\xb4 x\r\n",
        b"250-a\r\n550 b\r\n",
        b"250-a\r\nb\r\n",
        b"250 " + b"x" * MAX_LINE_OCTETS + b"\r\n",
        b"250 " + b"x" * MAX_LINE_OCTETS,
        b"250-x\r\n" * (MAX_LINES + 1),
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 400 Bad Request\r\n",
    ],
)
def test_what_is_no_reply(octets):
    reader = ReplyReader()
    reader.feed(octets)
    with pytest.raises(PeerProtocolError) as caught:
        reader.next()
    assert str(caught.value).isprintable()


def test_limits_are_reached_exactly():
    line = b"250 " + b"x" * (MAX_LINE_OCTETS - 5) + b"\r\n"
    assert read(line).code == 250
    assert read(b"250-x\r\n" * (MAX_LINES - 1) + b"250 x\r\n").code == 250


def test_long_explanations_are_cut_for_the_store():
    reply = read(b"550-5.7.1 " + b"x" * 4000 + b"\r\n" + b"550-y\r\n" * 50 + b"550 z\r\n")
    assert len(reply.lines) == KEPT_LINES
    assert len(reply.text) < 1000
    assert reply.status == "5.7.1"


def test_several_replies_in_one_read_and_a_rest():
    reader = ReplyReader()
    reader.feed(b"250 one\r\n550-a\r\n550 two\r\n354 thr")
    codes = []
    while code := reader.next():
        codes.append((code, reader.reply().text))
    assert codes == [(250, "one"), (550, "a two")]
    assert reader.has_octets
    reader.feed(b"ee\r\n")
    assert reader.next() == 354
    assert reader.reply().text == "three"
    assert reader.next() == 0
    assert not reader.has_octets


def test_an_unfinished_multiline_reply_counts_as_octets():
    reader = ReplyReader()
    reader.feed(b"250-a\r\n")
    assert reader.next() == 0
    assert reader.has_octets


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("5.1.1", 550, True),
        ("5.123.999", 550, True),
        ("2.0.0", 250, True),
        ("4.0.0", 550, False),
        ("5.1.", 550, False),
        ("5..1", 550, False),
        ("5.1.1.1", 550, False),
        ("5.1.1234", 550, False),
        ("٥.1.1", 550, False),
        ("5.1.x", 550, False),
        ("", 550, False),
    ],
)
def test_enhanced_status_codes(text, code, expected):
    assert is_status(text, code) is expected
