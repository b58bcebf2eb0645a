"""The SMTP client's machine under any octets and any cut."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from ekiden.ports.wire import TlsMode
from ekiden.proto.smtp.client import SmtpClient
from ekiden.proto.smtp.client_events import (
    ClientSettings,
    ContentWanted,
    Ready,
    StartTlsWanted,
    TransactionEnded,
)
from ekiden.proto.smtp.client_letter import (
    FINAL_DOT,
    BdatEncoder,
    ContentFault,
    DataEncoder,
    has_bare_line_end,
    stuff,
)
from tests.fakes.smtp_talk import letter
from tests.suites import suite

GREETING = [b"220 mx ESMTP\r\n", b"220-hi\r\n220 there\r\n", b"554 5.7.1 no\r\n"]
EXTENSIONS = st.lists(
    st.sampled_from(
        ["PIPELINING", "SIZE 10000", "SIZE 10", "CHUNKING", "DSN", "8BITMIME", "SMTPUTF8", "LIMITS MAILMAX=2"]
    ),
    unique=True,
)
ANSWER = st.sampled_from(
    [
        b"250 2.0.0 ok\r\n",
        b"250-a\r\n250 b\r\n",
        b"550 5.1.1 no\r\n",
        b"450 4.2.0 later\r\n",
        b"354 go\r\n",
        b"552 x\r\n",
    ]
)
RARE = st.sampled_from(
    [b"421 4.3.2 bye\r\n", b"noise\r\n", b"250-a\r\n550 b\r\n", b"221 bye\r\n", b"\x00\xff\r\n", b"250\r\n"]
)


class Played(NamedTuple):
    """`turns`: after which octets of the server the caller did something of its own."""

    told: list[str]
    wrote: bytes
    turns: list[int]


def play(parts: list[bytes], *, large: bool, lmtp: bool) -> Played:
    """A caller that always has a letter to send; what it was told and what it wrote."""
    client = SmtpClient(ClientSettings("me.test", TlsMode(), lmtp=lmtp))
    client.connected()
    told: list[str] = []
    wrote, turns, read, sent = b"", [], 0, 0
    for part in parts:
        read += len(part)
        client.receive(part)
        acting = True
        while acting:
            acting = False
            while (event := client.next_event()) is not None:
                told.append(describe(event))
                if type(event) is ContentWanted:
                    client.content(b"Subject: x\r\n")
                    client.content(b"\r\n.body")
                    client.end_content()
                if type(event) is StartTlsWanted:
                    wrote += client.output()
                    client.tls_started(verified=True)
            if client.can_send and sent < 20:
                sent += 1
                turns.append(read)
                octets = None if large else b"Subject: x\r\n\r\n.body"
                client.send(letter("b@y.test", "c@y.test", octets=octets, size=19, tag=sent))
                acting = True
        output = client.output()
        wrote += output
        turns += [read] if output else []
    told += [f"lost {t.tag} {[r and r.code for r in t.replies]} {t.content_complete}" for t in client.lost()]
    return Played(told, wrote, turns)


def describe(event) -> str:
    if type(event) is TransactionEnded:
        return f"ended {event.transaction.tag} {[str(reply) for reply in event.replies]} {event.reached_data}"
    if type(event) is Ready:
        return f"ready {event}"
    return f"{type(event).__name__} {getattr(event, 'reply', '')}"


@st.composite
def conversations(draw) -> bytes:
    extensions = draw(EXTENSIONS)
    hello = "".join(f"250-{word}\r\n" for word in ["mx", *extensions]) + "250 HELP\r\n"
    answers = draw(st.lists(st.one_of(ANSWER, ANSWER, ANSWER, ANSWER, RARE), max_size=25))
    return draw(st.sampled_from(GREETING)) + hello.encode() + b"".join(answers)


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    bounds = sorted({0, len(octets), *(place % (len(octets) + 1) for place in places)})
    return [octets[start:end] for start, end in pairwise(bounds)]


@given(conversations(), st.lists(st.integers(0, 10_000), max_size=12), st.booleans(), st.booleans())
def test_any_cut_gives_the_same(octets, places, large, lmtp):
    """Between two things that the client says, a server's octets may come cut in any way. (It cannot answer what it
    has not read, so a cut where the client speaks stays.)"""
    single = play([octets[i : i + 1] for i in range(len(octets))], large=large, lmtp=lmtp)
    assert play(cut(octets, single.turns), large=large, lmtp=lmtp) == single
    assert play(cut(octets, single.turns + places), large=large, lmtp=lmtp) == single


@given(st.lists(st.binary(max_size=60), max_size=20), conversations(), st.booleans(), st.booleans())
def test_any_octets_never_raise(noise, start, large, lmtp):
    play(noise, large=large, lmtp=lmtp)
    play([start, *noise], large=large, lmtp=lmtp)


@given(conversations(), st.booleans(), st.booleans())
def test_each_letter_ends_once(octets, large, lmtp):
    told, _, _ = play([octets], large=large, lmtp=lmtp)
    ends = [line.split()[1] for line in told if line.startswith(("ended", "lost"))]
    assert len(ends) == len(set(ends))


LINES = st.lists(st.sampled_from([b"a", b".", b"\r\n", b"\r\n.", b"\r\n.\r\n", b"..", b"\x00", b"\xff"]), max_size=30)
ANY = st.lists(st.sampled_from([b"a", b".", b"\r", b"\n", b"\r\n"]), max_size=30)


@given(LINES.map(b"".join), st.lists(st.integers(0, 200), max_size=8))
def test_stuffing_is_undone_by_the_rule_of_the_receiver(octets, places):
    wire = stuff(octets) + FINAL_DOT
    encoder = DataEncoder()
    assert b"".join(map(encoder.encode, cut(octets, places))) + encoder.finish() == wire
    # RFC 5321 §4.5.2: a line that is a lone dot ends; of any other that begins with a dot, the dot goes.
    received, rest = [], wire
    while True:
        line, _, rest = rest.partition(b"\r\n")
        if line == b".":
            break
        received.append(line[1:] if line.startswith(b".") else line)
    assert rest == b""
    again = b"".join(line + b"\r\n" for line in received)
    assert again == octets or again == octets + b"\r\n"


@given(ANY.map(b"".join), st.lists(st.integers(0, 200), max_size=8), st.booleans())
def test_nothing_smuggled_in_any_cut(octets, places, chunking):
    encoder = BdatEncoder(len(octets)) if chunking else DataEncoder()
    out = b""
    try:
        for part in cut(octets, places):
            out += encoder.encode(part)
        out += encoder.finish()
        assert not has_bare_line_end(octets)
    except ContentFault:
        assert has_bare_line_end(octets)
    assert not has_bare_line_end(out)


def outbound_cases() -> list[bytes]:
    return [
        case["bad_body"].encode().decode("unicode_escape").encode()
        for case in json.loads(suite("smtp/smuggling-sequences.json").read_text())["outbound"]
    ]


def test_the_published_outbound_sequences():
    cases = outbound_cases()
    assert len(cases) >= 9
    for body in cases:
        client = SmtpClient(ClientSettings("me.test", TlsMode()))
        client.connected()
        client.receive(b"220 x\r\n250-x\r\n250 PIPELINING\r\n")
        client.next_event()
        client.output()
        client.send(letter(octets=b"Subject: x\r\n\r\n" + body))
        client.receive(b"250 ok\r\n250 ok\r\n354 go\r\n")
        wire = client.output()
        assert not has_bare_line_end(wire)
        assert (b"bad" in wire) == (not has_bare_line_end(body))
