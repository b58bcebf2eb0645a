"""Letters over a session: what is written, what is told, and what a server can do meanwhile."""

from __future__ import annotations

import pytest

from ekiden.model.envelope import Notify, Recipient
from ekiden.ports.wire import TlsMode
from ekiden.proto.smtp.client import SmtpClient
from ekiden.proto.smtp.client_events import (
    ClientSettings,
    ContentWanted,
    CutWanted,
    PeerClosing,
    Phase,
    SessionEnded,
    SessionRefused,
    Transaction,
    TransactionEnded,
)
from ekiden.proto.smtp.faults import LocalProtocolError
from ekiden.proto.smtp.timeouts import SECONDS, Wait
from tests.fakes.smtp_talk import CONTENT, Talk, letter

ENVELOPE = b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n"
GO = b"250 ok\r\n250 ok\r\n354 go\r\n"


def codes(ended: TransactionEnded) -> list[str]:
    return [f"{reply.code} {reply.status}".strip() for reply in ended.replies]


def sent(talk: Talk, transaction: Transaction) -> bytes:
    talk.client.send(transaction)
    return talk.said()


# --- one command, one answer ------------------------------------------------------------------------------------------


def test_without_pipelining_each_command_waits():
    talk = Talk().greet("SIZE")
    assert sent(talk, letter("b@y.test", "c@y.test")) == b"MAIL FROM:<a@x.test> SIZE=%d\r\n" % len(CONTENT)
    steps = [
        (b"250 ok\r\n", b"RCPT TO:<b@y.test>\r\n", Wait.RCPT),
        (b"250 ok\r\n", b"RCPT TO:<c@y.test>\r\n", Wait.RCPT),
        (b"550 5.1.1 no\r\n", b"DATA\r\n", Wait.DATA),
        (b"354 go\r\n", CONTENT + b".\r\n", Wait.FINAL),
    ]
    assert talk.client.deadline_kind is Wait.MAIL
    for answer, command, wait in steps:
        talk.server(answer)
        assert talk.said() == command
        assert talk.client.deadline_kind is wait
        assert not talk.client.can_send
    talk.server(b"250 2.0.0 queued\r\n")
    ended = talk.only(TransactionEnded)
    assert codes(ended) == ["250 2.0.0", "550 5.1.1"]
    assert ended.reached_data
    assert not ended.dsn
    assert talk.client.can_send
    assert talk.client.deadline_kind is None


@pytest.mark.parametrize(
    ("answers", "expected", "reset"),
    [
        ((b"550 5.7.1 no\r\n",), "550 5.7.1", False),
        ((b"250 ok\r\n", b"450 4.2.0 later\r\n"), "450 4.2.0", True),
        ((b"250 ok\r\n", b"250 ok\r\n", b"451 4.3.0 oops\r\n"), "451 4.3.0", True),
        ((b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n", b"554 5.6.0 spam\r\n"), "554 5.6.0", False),
    ],
)
def test_refusals_without_pipelining(answers, expected, reset):
    talk = Talk().greet()
    talk.client.send(letter())
    talk.server(*answers)
    assert codes(talk.only(TransactionEnded)) == [expected]
    talk.said()
    first = sent(talk, letter())
    if reset:
        assert first == b"RSET\r\n"
        assert talk.client.deadline_kind is Wait.RESET
        talk.server(b"250 flushed\r\n")
        first = talk.said()
    assert first == b"MAIL FROM:<a@x.test>\r\n"


# --- PIPELINING -------------------------------------------------------------------------------------------------------


def test_the_envelope_is_one_piece_and_the_next_rides_behind_the_dot():
    talk = Talk().greet("PIPELINING")
    one, two, three = letter(tag=1), letter(tag=2), letter(tag=3)
    assert sent(talk, one) == ENVELOPE + b"DATA\r\n"
    assert not talk.client.can_send
    talk.client.receive(GO)
    assert talk.client.can_send
    assert one.content_complete
    talk.client.send(two)
    assert talk.said() == CONTENT + b".\r\n" + ENVELOPE + b"DATA\r\n"
    assert talk.client.in_flight == 2
    assert not talk.client.can_send
    assert talk.client.deadline_kind is Wait.FINAL
    talk.server(b"250 2.0.0 one\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    assert talk.only(TransactionEnded).transaction is one
    assert sent(talk, three) == CONTENT + b".\r\n" + ENVELOPE + b"DATA\r\n"
    talk.server(b"550 5.7.1 two\r\n" + GO, b"250 2.0.0 three\r\n")
    assert [(e.transaction.tag, *codes(e)) for e in talk.all(TransactionEnded)] == [
        (1, "250 2.0.0"),
        (2, "550 5.7.1"),
        (3, "250 2.0.0"),
    ]
    assert talk.client.in_flight == 0


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (b"550 5.7.1 a\r\n503 b\r\n503 c\r\n503 d\r\n", ["550 5.7.1", "550 5.7.1"]),
        (b"250 a\r\n550 5.1.1 b\r\n450 4.2.0 c\r\n554 5.5.1 d\r\n", ["550 5.1.1", "450 4.2.0"]),
        (b"250 a\r\n250 b\r\n450 4.2.0 c\r\n451 4.3.0 d\r\n", ["451 4.3.0", "450 4.2.0"]),
    ],
)
def test_refusals_with_pipelining(answers, expected):
    talk = Talk().greet("PIPELINING")
    talk.client.send(letter("b@y.test", "c@y.test"))
    talk.server(answers)
    ended = talk.only(TransactionEnded)
    assert codes(ended) == expected
    assert not ended.reached_data
    assert not ended.transaction.content_complete
    talk.said()
    reset = b"" if expected[0] == "550 5.7.1" else b"RSET\r\n"
    assert sent(talk, letter()) == reset + ENVELOPE + b"DATA\r\n"


@pytest.mark.parametrize(
    "start", [b"250 a\r\n550 5.1.1 b\r\n", b"550 5.1.1 a\r\n503 b\r\n", b"550 5.1.1 a\r\n250 b\r\n"]
)
def test_only_the_final_dot_for_nobody(start):
    talk = Talk().greet("PIPELINING")
    talk.client.send(letter())
    talk.said()
    talk.server(start + b"354 go\r\n")
    assert talk.said() == b".\r\n"
    assert not talk.client.can_send
    assert talk.client.deadline_kind is Wait.FINAL
    talk.server(b"250 2.0.0 an empty letter for nobody\r\n")
    ended = talk.only(TransactionEnded)
    assert codes(ended) == ["550 5.1.1"]
    assert not ended.transaction.content_complete


def test_rset_is_not_repeated_and_its_refusal_ends_the_session():
    talk = Talk().greet("PIPELINING")
    talk.client.send(letter())
    talk.server(b"250 a\r\n550 b\r\n503 c\r\n")
    talk.said()
    assert sent(talk, letter()).startswith(b"RSET\r\n")
    talk.server(b"250 flushed\r\n" + GO + b"250 queued\r\n")
    talk.said()
    assert sent(talk, letter()) == ENVELOPE + b"DATA\r\n"
    talk.server(b"250 a\r\n550 b\r\n503 c\r\n")
    last = letter()
    talk.client.send(last)
    talk.server(b"500 what\r\n")
    assert talk.only(SessionRefused).phase is Phase.GARBAGE
    assert talk.client.lost() == [last]
    assert last.replies == [None]


def test_552_behind_an_accepted_recipient_means_too_many():
    talk = Talk().greet("PIPELINING")
    talk.client.send(letter("b@y.test", "c@y.test", "d@y.test"))
    talk.server(b"250 a\r\n250 b\r\n552 too many\r\n552 5.2.2 mailbox full\r\n354 go\r\n250 ok\r\n")
    assert codes(talk.only(TransactionEnded)) == ["250", "452 4.5.3", "552 5.2.2"]
    talk = Talk().greet("PIPELINING")
    talk.client.send(letter())
    talk.server(b"250 a\r\n552 too large\r\n503 c\r\n")
    assert codes(talk.only(TransactionEnded)) == ["552"]


def test_a_letter_that_cannot_be_taken_is_answered_by_us_and_disturbs_nothing():
    talk = Talk().greet("PIPELINING", "SIZE 100")
    talk.client.send(letter())
    talk.client.receive(GO)
    assert talk.client.can_send
    talk.client.send(letter(octets=b"x" * 101, tag="large"))
    assert talk.client.can_send
    talk.server(b"250 2.0.0 ok\r\n")
    assert [(e.transaction.tag, *codes(e)) for e in talk.all(TransactionEnded)] == [
        ("large", "552 5.3.4"),
        (None, "250 2.0.0"),
    ]


def test_some_recipients_are_answered_by_us():
    talk = Talk().greet("PIPELINING")
    assert sent(talk, letter("メ@y.test", "b@y.test", "c\n@y.test")) == ENVELOPE + b"DATA\r\n"
    talk.server(GO, b"250 2.0.0 ok\r\n")
    assert codes(talk.only(TransactionEnded)) == ["550 5.6.7", "250 2.0.0", "501 5.1.3"]


def test_dsn_wishes_are_handed_on():
    talk = Talk().greet("PIPELINING", "DSN")
    transaction = letter(ret="FULL", envid="q1")
    transaction.recipients[0] = Recipient("b@y.test", (Notify.NEVER,), "rfc822;o@z.test")
    assert sent(talk, transaction) == (
        b"MAIL FROM:<a@x.test> RET=FULL ENVID=q1\r\nRCPT TO:<b@y.test> NOTIFY=NEVER ORCPT=rfc822;o@z.test\r\nDATA\r\n"
    )
    talk.server(GO, b"250 ok\r\n")
    assert talk.only(TransactionEnded).dsn


def test_mailmax_ends_the_sending():
    talk = Talk().greet("PIPELINING", "LIMITS MAILMAX=1")
    assert not talk.client.is_exhausted
    talk.client.send(letter())
    talk.server(GO)
    assert not talk.client.can_send
    talk.server(b"250 ok\r\n")
    assert talk.client.is_exhausted
    assert not talk.client.can_send


# --- probes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",), ("PIPELINING", "CHUNKING")])
@pytest.mark.parametrize("answer", [b"250 2.1.5 here\r\n", b"550 5.1.1 not here\r\n"])
def test_a_probe_sends_no_content(extensions, answer):
    talk = Talk().greet(*extensions)
    talk.client.send(letter(octets=None, reverse_path="", probe=True))
    talk.server(b"250 ok\r\n", answer)
    assert codes(talk.only(TransactionEnded)) == [answer[:9].decode()]
    assert talk.said() == b"MAIL FROM:<>\r\nRCPT TO:<b@y.test>\r\n"
    assert sent(talk, letter()).startswith(b"RSET\r\n")


# --- CHUNKING ---------------------------------------------------------------------------------------------------------


def test_with_pipelining_a_letter_in_memory_goes_by_data():
    talk = Talk().greet("PIPELINING", "CHUNKING")
    assert sent(talk, letter()) == ENVELOPE + b"DATA\r\n"


def test_rset_behind_a_bdat_that_is_not_answered():
    talk = Talk().greet("PIPELINING", "CHUNKING")
    talk.client.send(letter(octets=None, size=3))
    talk.server(b"250 ok\r\n250 ok\r\n")
    talk.client.content(b"a\r\n")
    assert not talk.client.can_send
    talk.client.end_content()
    talk.client.send(letter())
    assert talk.said().endswith(b"BDAT 3 LAST\r\na\r\nRSET\r\n" + ENVELOPE + b"DATA\r\n")
    talk.server(b"452 4.3.1 full\r\n250 flushed\r\n" + GO, b"250 2.0.0 ok\r\n")
    assert [codes(ended) for ended in talk.all(TransactionEnded)] == [["452 4.3.1"], ["250 2.0.0"]]
    talk.said()
    assert sent(talk, letter()) == ENVELOPE + b"DATA\r\n"


@pytest.mark.parametrize(("answer", "reset"), [(b"250 2.0.0 ok\r\n", b""), (b"452 4.3.1 full\r\n", b"RSET\r\n")])
def test_bdat_refused_resets(answer, reset):
    talk = Talk().greet("PIPELINING", "CHUNKING")
    talk.client.send(letter(octets=None, size=3))
    talk.server(b"250 ok\r\n250 ok\r\n")
    talk.client.content(b"a\r\n")
    talk.client.end_content()
    talk.server(answer)
    assert codes(talk.only(TransactionEnded)) == [answer[:9].decode()]
    talk.said()
    assert sent(talk, letter()) == reset + ENVELOPE + b"DATA\r\n"


def test_bdat_without_pipelining():
    talk = Talk().greet("CHUNKING")
    talk.client.send(letter())
    talk.server(b"250 ok\r\n", b"250 ok\r\n")
    assert talk.said() == ENVELOPE + b"BDAT %d LAST\r\n" % len(CONTENT) + CONTENT
    assert not talk.client.can_send
    talk.server(b"250 2.0.0 ok\r\n")
    assert codes(talk.only(TransactionEnded)) == ["250 2.0.0"]


def test_an_empty_content_goes_by_data():
    talk = Talk().greet("PIPELINING", "CHUNKING")
    assert sent(talk, letter(octets=b"")).endswith(b"DATA\r\n")
    talk.server(GO)
    assert talk.said() == b".\r\n"


# --- LMTP -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extensions", [("PIPELINING",), ("CHUNKING",), ()])
def test_lmtp_answers_for_each_accepted_recipient(extensions):
    talk = Talk(lmtp=True).greet(*extensions)
    transaction = letter("b@y.test", "c@y.test", "d@y.test")
    talk.client.send(transaction)
    talk.server(b"250 ok\r\n", b"250 ok\r\n", b"550 5.1.1 no\r\n", b"250 ok\r\n")
    if "CHUNKING" not in extensions:
        talk.server(b"354 go\r\n")
    talk.server(b"250 2.0.0 b\r\n")
    assert not talk.all(TransactionEnded)
    assert [reply and reply.code for reply in transaction.replies] == [250, 550, None]
    talk.server(b"452 4.2.2 d\r\n")
    assert codes(talk.only(TransactionEnded)) == ["250 2.0.0", "550 5.1.1", "452 4.2.2"]


def test_lmtp_with_nobody_accepted():
    talk = Talk(lmtp=True).greet("PIPELINING")
    talk.client.send(letter())
    talk.server(b"250 ok\r\n550 5.1.1 no\r\n503 5.5.1 nobody\r\n")
    assert codes(talk.only(TransactionEnded)) == ["550 5.1.1"]
    assert talk.client.can_send
    talk.client.send(letter())
    talk.server(b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n354 go on\r\n")
    assert len(talk.all(TransactionEnded)) == 2
    talk.only(CutWanted)
    assert talk.client.lost() == []


# --- content in pieces ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extensions", [(), ("PIPELINING",)])
def test_content_in_pieces(extensions):
    talk = Talk().greet(*extensions)
    transaction = letter(octets=None, size=8)
    talk.client.send(transaction)
    talk.server(b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")
    assert talk.only(ContentWanted).transaction is transaction
    talk.said()
    talk.client.content(b"a\r")
    assert talk.client.deadline_kind is Wait.BLOCK
    assert talk.said() == b"a"
    assert not talk.client.can_send
    talk.client.content(b"\n.b\r\n")
    talk.client.content(b".")
    assert not transaction.content_complete
    talk.client.end_content()
    assert talk.said() == b"\r\n..b\r\n..\r\n.\r\n"
    assert transaction.content_complete
    assert talk.client.deadline_kind is Wait.FINAL
    assert talk.client.can_send is bool(extensions)
    talk.server(b"250 2.0.0 ok\r\n")
    assert codes(talk.only(TransactionEnded)) == ["250 2.0.0"]


@pytest.mark.parametrize("extensions", [("CHUNKING",), ("PIPELINING", "CHUNKING")])
def test_bdat_in_pieces_waits_for_the_recipients(extensions):
    talk = Talk().greet(*extensions)
    talk.client.send(letter(octets=None, size=4))
    talk.server(b"250 ok\r\n", b"250 ok\r\n")
    assert talk.said() == ENVELOPE + b"BDAT 4 LAST\r\n"
    talk.only(ContentWanted)
    talk.client.content(b"a\r\n")
    talk.client.content(b".")
    talk.client.end_content()
    assert talk.said() == b"a\r\n."
    talk.server(b"250 2.0.0 ok\r\n")
    assert codes(talk.only(TransactionEnded)) == ["250 2.0.0"]


def test_bdat_in_pieces_for_nobody():
    talk = Talk().greet("PIPELINING", "CHUNKING")
    talk.client.send(letter(octets=None, size=4))
    talk.server(b"250 ok\r\n", b"550 5.1.1 no\r\n")
    assert talk.said() == ENVELOPE
    assert codes(talk.only(TransactionEnded)) == ["550 5.1.1"]
    assert talk.client.can_send


@pytest.mark.parametrize("extensions", [("PIPELINING",), ("PIPELINING", "CHUNKING")])
def test_a_bare_line_end_on_the_way_cuts_and_is_never_ended(extensions):
    talk = Talk().greet(*extensions)
    transaction = letter(octets=None, size=9)
    talk.client.send(transaction)
    talk.server(b"250 ok\r\n", b"250 ok\r\n")
    if len(extensions) == 1:
        talk.server(b"354 go\r\n")
    talk.said()
    talk.client.content(b"a\r\n")
    talk.said()
    talk.client.content(b"\n.\r\n")
    assert talk.said() == b""
    assert codes(talk.only(TransactionEnded)) == ["554 5.6.0"]
    talk.only(CutWanted)
    assert talk.client.is_closed
    talk.client.content(b"more")
    talk.client.end_content()
    assert talk.said() == b""


def test_a_stored_content_of_another_size_is_temporary():
    talk = Talk().greet("PIPELINING", "CHUNKING")
    talk.client.send(letter(octets=None, size=9))
    talk.server(b"250 ok\r\n", b"250 ok\r\n")
    talk.client.content(b"a\r\n")
    talk.client.end_content()
    talk.collect()
    assert codes(talk.only(TransactionEnded)) == ["451 4.3.0"]
    talk.only(CutWanted)


def test_an_early_refusal_counts_and_cuts():
    talk = Talk().greet("PIPELINING")
    talk.client.send(letter(octets=None, size=1000))
    talk.server(GO)
    talk.client.content(b"a\r\n")
    talk.server(b"552 5.3.4 too large\r\n")
    assert codes(talk.only(TransactionEnded)) == ["552 5.3.4"]
    talk.only(CutWanted)
    assert talk.client.lost() == []


def test_an_early_welcome_is_no_answer():
    talk = Talk().greet("PIPELINING")
    transaction = letter(octets=None, size=1000)
    talk.client.send(transaction)
    talk.server(GO, b"250 fine\r\n")
    assert talk.only(SessionRefused).phase is Phase.GARBAGE
    assert talk.client.lost() == [transaction]
    assert transaction.replies == [None]


# --- the end of a session ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", range(5))
def test_421_at_any_time_leaves_it_unknown(stage):
    talk = Talk().greet("PIPELINING")
    transaction = letter()
    if stage:
        talk.client.send(transaction)
    talk.server(*[b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"][: stage - 1] if stage else [])
    talk.server(b"421 4.3.2 shutting down\r\n")
    assert str(talk.only(PeerClosing).reply) == "421 4.3.2 shutting down"
    assert talk.client.is_closed
    assert talk.client.lost() == ([transaction] if stage else [])
    assert transaction.replies == [None]
    assert transaction.content_complete is (stage == 4)
    assert not talk.client.can_send
    assert talk.client.lost() == []


def test_what_was_decided_before_a_loss_holds():
    talk = Talk().greet("PIPELINING")
    transaction = letter("b@y.test", "c@y.test")
    talk.client.send(transaction)
    talk.server(b"250 ok\r\n550 5.1.1 no\r\n250 ok\r\n")
    assert talk.client.lost() == [transaction]
    assert [reply and reply.code for reply in transaction.replies] == [550, None]


def test_both_in_flight_are_lost():
    talk = Talk().greet("PIPELINING")
    one, two = letter(), letter()
    talk.client.send(one)
    talk.server(GO)
    talk.client.send(two)
    assert talk.client.lost() == [one, two]
    assert (one.content_complete, two.content_complete) == (True, False)
    talk.server(b"250 late\r\n")
    assert talk.events == talk.events[:1]


@pytest.mark.parametrize(
    "answers",
    [
        b"354 what\r\n",
        b"250 ok\r\n354 what\r\n",
        b"250 ok\r\n250 ok\r\n250 what\r\n",
        b"250 ok\r\n250 ok\r\n354 go\r\n354 what\r\n",
        b"250 ok\r\nnoise\r\n",
        b"250 ok\r\n250-ok\r\n550 what\r\n",
    ],
)
def test_answers_that_make_no_sense_leave_it_unknown(answers):
    talk = Talk().greet("PIPELINING")
    transaction = letter()
    talk.client.send(transaction)
    talk.server(answers)
    refused = talk.only(SessionRefused)
    assert (refused.phase, refused.reply.code, refused.reply.status) == (Phase.GARBAGE, 451, "4.5.0")
    assert talk.client.lost() == [transaction]
    assert transaction.replies == [None]
    talk.server(b"250 ok\r\n" * 10)
    assert not talk.all(TransactionEnded)


def test_replies_that_nobody_asked_for():
    talk = Talk().greet()
    talk.server(b"250 surprise\r\n")
    assert talk.only(SessionRefused).phase is Phase.GARBAGE
    talk = Talk().greet()
    talk.server(b"451 4.4.2 you were idle\r\n")
    talk.only(PeerClosing)


def test_quit_waits_for_what_is_under_way():
    talk = Talk().greet("PIPELINING")
    talk.client.send(letter())
    talk.client.quit()
    talk.client.quit()
    talk.server(GO)
    assert b"QUIT" not in talk.said()
    assert not talk.client.can_send
    talk.server(b"250 2.0.0 ok\r\n")
    talk.only(TransactionEnded)
    assert talk.said() == b"QUIT\r\n"
    assert talk.client.deadline_kind is Wait.QUIT
    talk.server(b"250 what\r\n")
    assert not talk.all(SessionEnded)
    talk.server(b"221 bye\r\n")
    talk.only(SessionEnded)
    assert talk.client.deadline_kind is None


def test_quit_after_a_failed_letter():
    talk = Talk().greet()
    talk.client.send(letter())
    talk.client.quit()
    talk.server(b"550 no\r\n")
    assert talk.said().endswith(b"QUIT\r\n")


def test_local_mistakes():
    talk = Talk()
    with pytest.raises(LocalProtocolError):
        talk.client.send(letter())
    talk.greet()
    talk.client.send(letter())
    with pytest.raises(LocalProtocolError):
        talk.client.send(letter())
    for wrong in (lambda: talk.client.content(b"x"), talk.client.end_content):
        with pytest.raises(LocalProtocolError):
            wrong()


def test_octets_before_connected_and_after_the_end_do_no_harm():
    client = SmtpClient(ClientSettings("me.test", TlsMode()))
    client.receive(b"220 early\r\n")
    assert client.next_event() is None
    assert client.output() == b""
    assert client.deadline_kind is None


def test_progress_is_made_by_replies_and_not_by_octets():
    talk = Talk()
    before = talk.client.progress
    talk.server(b"2", b"20 x", b"\r")
    assert talk.client.progress == before
    talk.server(b"\n")
    assert talk.client.progress > before


def test_every_wait_has_its_seconds():
    assert set(SECONDS) == set(Wait)
    # RFC 5321 §4.5.3.2: minimum values.
    minimum = {Wait.GREETING: 300, Wait.MAIL: 300, Wait.RCPT: 300, Wait.DATA: 120, Wait.BLOCK: 180, Wait.FINAL: 600}
    for wait, seconds in minimum.items():
        assert SECONDS[wait] >= seconds
