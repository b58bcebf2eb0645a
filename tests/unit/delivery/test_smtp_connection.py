"""SmtpConnection over a wire without a socket: what the owner is told, what is written, and when it gives up."""

from __future__ import annotations

import asyncio

import pytest

from ekiden.delivery.smtp_connection import SmtpConnection
from ekiden.model.reply import Reply
from ekiden.ports.spool import SpoolFailed
from ekiden.ports.wire import TlsMode
from ekiden.proto.smtp.client_events import ClientSettings, Phase, Transaction
from ekiden.proto.smtp.faults import LocalProtocolError
from ekiden.proto.smtp.timeouts import SECONDS, Wait
from tests.fakes.smtp_talk import CONTENT, ehlo, letter
from tests.fakes.wire import FakeWire

ENVELOPE = b"MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\nDATA\r\n"
GO = b"250 ok\r\n250 ok\r\n354 go\r\n"


class Content:
    """`ports.spool.Content`. `fail_after`: pieces until the store fails; `gate`: waited for before each piece."""

    def __init__(self, pieces: list[bytes], *, large: bool = True, fail_after: int = -1, error=None) -> None:
        self.pieces = pieces
        self.size_octets = sum(map(len, pieces))
        self.octets = None if large else b"".join(pieces)
        self.fail_after = fail_after
        self.error = error or SpoolFailed("bad sector")
        self.read = 0
        self.closed = False

    async def chunks(self):
        try:
            for piece in self.pieces:
                if self.read == self.fail_after:
                    raise self.error
                self.read += 1
                yield piece
        finally:
            self.closed = True

    async def head(self, limit: int) -> bytes:
        return b"".join(self.pieces)[:limit]


class Owner:
    """Keeps what it was told; sends what waits in `letters` as soon as it may."""

    def __init__(self, *letters: Transaction | tuple[Transaction, Content]) -> None:
        self.letters = list(letters)
        self.told: list[str] = []
        self.ended: list[tuple[Transaction, list[Reply]]] = []
        self.unknown: list[Transaction] = []
        self.reason: Reply | None = None
        self.on_end = None

    def feed(self, connection: SmtpConnection) -> None:
        if self.letters and connection.can_send:
            waiting = self.letters.pop(0)
            transaction, content = waiting if isinstance(waiting, tuple) else (waiting, None)
            connection.send(transaction, content)

    def on_ready(self, connection: SmtpConnection) -> None:
        self.told.append("ready")
        self.feed(connection)

    def on_free(self, connection: SmtpConnection) -> None:
        self.told.append("free")
        self.feed(connection)

    def on_transaction_ended(self, connection: SmtpConnection, ended) -> None:
        self.told.append(f"ended {' '.join(str(reply.code) for reply in ended.replies)}")
        self.ended.append((ended.transaction, ended.replies))
        if self.on_end:
            self.on_end(connection)

    def on_refused(self, connection: SmtpConnection, reply: Reply, phase: Phase) -> None:
        self.told.append(f"refused {phase}")

    def on_closed(self, connection: SmtpConnection, unknown: list[Transaction], reason: Reply) -> None:
        self.told.append("closed")
        self.unknown = unknown
        self.reason = reason


class Line:
    """A connection, its owner and the wire between."""

    def __init__(self, *letters, tls: TlsMode | None = None, **settings) -> None:
        self.owner = Owner(*letters)
        self.tasks: list[asyncio.Task] = []
        settings = ClientSettings("me.test", tls or TlsMode(allowed=False), **settings)
        self.connection = SmtpConnection(settings, self.owner, self.spawn)
        self.wire = FakeWire(self.connection)
        self.now = 100.0

    def spawn(self, coroutine) -> asyncio.Task:
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.append(task)
        return task

    def greet(self, *extensions: str) -> Line:
        self.wire.open()
        self.wire.feed(b"220 mx.test ESMTP\r\n")
        assert self.wire.take() == b"EHLO me.test\r\n"
        self.wire.feed(ehlo(*extensions))
        return self

    def tick(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.connection.tick(self.now)

    async def take_one_piece(self) -> None:
        """The peer takes what is written first, then no more."""
        self.connection.writable(False)
        await self.settle()
        self.connection.writable(True)
        self.connection.writable(False)
        await self.settle()

    async def settle(self, turns: int = 20) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)


def test_letters_follow_each_other_in_one_write_each():
    one, two = letter(tag=1), letter(tag=2)
    line = Line(one, two).greet("PIPELINING", "X-A b")
    assert (line.connection.host, line.connection.extensions) == ("mx.test", {"PIPELINING": "", "X-A": "b"})
    assert line.wire.take() == ENVELOPE
    line.wire.feed(GO)
    assert line.wire.take() == CONTENT + b".\r\n" + ENVELOPE
    assert line.connection.in_flight == 2
    line.wire.feed(b"250 2.0.0 one\r\n" + GO)
    assert line.wire.take() == CONTENT + b".\r\n"
    line.wire.feed(b"550 5.7.1 two\r\n")
    assert [transaction.tag for transaction, _ in line.owner.ended] == [1, 2]
    assert line.owner.told == ["ready", "free", "ended 250", "free", "ended 550"]
    assert len(line.wire.written) == 4
    assert line.connection.letters == 2
    assert line.connection.can_send
    assert not line.connection.in_flight


def test_a_letter_sent_to_an_idle_connection_is_written_at_once():
    line = Line().greet("PIPELINING")
    assert line.owner.told == ["ready"]
    line.connection.send(letter(octets=None), Content([CONTENT], large=False))
    assert line.wire.take() == ENVELOPE
    line.wire.feed(GO)
    line.wire.feed(b"250 ok\r\n")
    assert line.owner.told == ["ready", "free", "ended 250"]


def test_size_comes_from_the_content():
    line = Line().greet("SIZE 10")
    line.connection.send(letter(octets=None), Content([b"x" * 11], large=False))
    assert line.wire.take() == b""
    assert line.owner.told == ["ready", "ended 552", "free"]


def test_many_letters_that_cannot_be_taken_need_no_stack():
    line = Line(*[letter(octets=b"x" * 11) for _ in range(3000)])
    line.greet("SIZE 10")
    assert line.connection.letters == 3000


def test_a_transaction_without_content_is_our_bug():
    line = Line().greet()
    with pytest.raises(LocalProtocolError):
        line.connection.send(letter(octets=None))
    line.connection.send(letter(octets=None, probe=True))


def test_mailmax_quits_by_itself():
    line = Line(letter()).greet("PIPELINING", "LIMITS MAILMAX=1")
    line.wire.feed(GO + b"250 ok\r\n")
    assert line.wire.take().endswith(b".\r\nQUIT\r\n")


# --- ends ---------------------------------------------------------------------------------------------------------


def test_quit_in_good_order():
    line = Line(letter()).greet("PIPELINING")
    line.connection.quit()
    line.wire.feed(GO)
    line.wire.feed(b"250 ok\r\n")
    assert line.wire.take().endswith(b"QUIT\r\n")
    assert not line.connection.is_closed
    line.wire.feed(b"221 bye\r\n")
    assert line.wire.closed
    assert not line.wire.aborted
    line.wire.settle()
    assert line.owner.told == ["ready", "ended 250", "closed"]
    assert (line.owner.reason.code, line.owner.unknown) == (221, [])


def test_quit_from_a_callback_is_written_with_the_rest():
    line = Line(letter())
    line.owner.on_end = lambda connection: connection.quit()
    line.greet("PIPELINING")
    line.wire.feed(GO)
    writes = len(line.wire.written)
    line.wire.feed(b"250 ok\r\n")
    assert line.wire.written[writes:] == [b"QUIT\r\n"]


@pytest.mark.parametrize("greeting", [b"554 5.7.1 you are listed\r\n", b"450 4.3.2 later\r\n"])
def test_a_refused_session_says_quit(greeting):
    line = Line(letter())
    line.wire.open()
    line.wire.feed(greeting)
    assert line.wire.take() == b"QUIT\r\n"
    line.wire.feed(b"221 bye\r\n")
    line.wire.settle()
    assert line.owner.told == ["refused greeting", "closed"]
    assert line.owner.reason.code == int(greeting[:3])


def test_noise_closes_at_once():
    line = Line(letter()).greet("PIPELINING")
    line.wire.feed(b"noise\r\n")
    assert line.wire.closed
    line.wire.settle()
    assert line.owner.told == ["ready", "refused garbage", "closed"]
    assert len(line.owner.unknown) == 1
    assert line.owner.reason.status == "4.5.0"


def test_421_closes_and_gives_its_reason():
    line = Line(letter(), letter()).greet("PIPELINING")
    line.wire.feed(GO)
    line.wire.feed(b"421 4.3.2 shutting down\r\n")
    assert line.wire.closed
    assert line.connection.is_closed
    assert not line.connection.can_send
    line.wire.settle()
    assert line.owner.told == ["ready", "free", "closed"]
    assert len(line.owner.unknown) == 2
    assert str(line.owner.reason) == "421 4.3.2 shutting down"


@pytest.mark.parametrize("error", [None, ConnectionResetError("reset by peer")])
def test_a_lost_connection(error):
    line = Line(letter()).greet("PIPELINING")
    line.wire.hang_up(error)
    line.connection.lost(None)
    assert line.owner.told == ["ready", "closed"]
    assert (line.owner.reason.code, line.owner.reason.status) == (451, "4.4.2")
    assert ("reset" in line.owner.reason.text) is bool(error)
    assert line.owner.unknown[0].replies == [None]


def test_abort():
    line = Line(letter()).greet("PIPELINING")
    line.connection.abort(Reply(451, "4.3.2", "shutting down"))
    assert line.wire.aborted
    assert line.connection.is_closed
    line.wire.settle()
    assert line.owner.reason.text == "shutting down"
    assert len(line.owner.unknown) == 1


@pytest.mark.parametrize("how", ["abort", "quit"])
def test_given_up_before_it_was_connected(how):
    line = Line(letter())
    getattr(line.connection, how)()
    assert line.connection.is_closed
    assert line.connection.tls is None
    line.wire.open()
    assert line.wire.aborted
    line.wire.settle()
    assert line.owner.told == ["closed"]


# --- TLS ----------------------------------------------------------------------------------------------------------


def test_starttls_and_login():
    line = Line(letter(), tls=TlsMode(required=True, verify=True), username="u", password="p")
    line.greet("STARTTLS", "AUTH PLAIN")
    assert line.wire.take() == b"STARTTLS\r\n"
    line.wire.feed(b"220 go\r\n")
    assert line.wire.tls_starts == 1
    line.wire.finish_tls(verified=True)
    assert line.wire.take() == b"EHLO me.test\r\n"
    line.wire.feed(ehlo("AUTH PLAIN", "PIPELINING"))
    assert line.wire.take() == b"AUTH PLAIN AHUAcA==\r\n"
    line.wire.feed(b"235 ok\r\n")
    assert line.wire.take() == ENVELOPE
    assert line.connection.tls.verified
    assert line.connection.extensions == {"AUTH": "PLAIN", "PIPELINING": ""}


def test_a_failed_handshake_is_told_apart():
    line = Line(letter(), tls=TlsMode()).greet("STARTTLS")
    line.wire.feed(b"220 go\r\n")
    line.wire.fail_tls()
    assert line.connection.tls_failed
    assert line.owner.told == ["closed"]
    assert line.owner.reason.status == "4.7.5"
    other = Line().greet()
    other.wire.hang_up()
    assert not other.connection.tls_failed


def test_a_handshake_that_never_ends_counts_as_failed():
    line = Line(letter(), tls=TlsMode()).greet("STARTTLS")
    line.wire.feed(b"220 go\r\n")
    line.tick()
    line.tick(SECONDS[Wait.HANDSHAKE])
    line.wire.settle()
    assert line.connection.tls_failed


def test_injection_ends_it():
    line = Line(letter(), tls=TlsMode()).greet("STARTTLS")
    line.wire.feed(b"220 go\r\n250 injected\r\n")
    assert line.wire.tls_starts == 0
    assert line.wire.closed
    line.wire.settle()
    assert line.owner.told == ["refused starttls", "closed"]
    assert not line.connection.tls_failed


# --- deadlines ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "wait"),
    [
        ([], Wait.GREETING),
        ([b"220 x\r\n"], Wait.HELLO),
        ([b"220 x\r\n", ehlo("PIPELINING")], Wait.MAIL),
        ([b"220 x\r\n", ehlo("PIPELINING"), b"250 ok\r\n"], Wait.RCPT),
        ([b"220 x\r\n", ehlo("PIPELINING"), b"250 ok\r\n250 ok\r\n"], Wait.DATA),
        ([b"220 x\r\n", ehlo("PIPELINING"), GO], Wait.FINAL),
    ],
)
def test_each_wait_has_its_end(answers, wait):
    line = Line(letter())
    line.wire.open()
    line.tick()
    for answer in answers:
        line.wire.feed(answer)
        line.tick(1)
    line.wire.feed(b"2")  # dripping is no progress
    line.tick(SECONDS[wait] - 1)
    assert not line.wire.aborted
    line.tick(1)
    assert line.wire.aborted
    line.wire.settle()
    assert line.owner.reason.status == "4.4.2"
    assert wait.value in line.owner.reason.text
    assert line.owner.told[-1] == "closed"


def test_progress_of_the_same_kind_starts_the_wait_anew():
    line = Line(letter("b@y.test", "c@y.test", "d@y.test")).greet("PIPELINING")
    line.wire.feed(b"250 ok\r\n")
    for _ in range(3):
        line.tick(SECONDS[Wait.RCPT] - 1)
        assert not line.wire.aborted
        line.wire.feed(b"250 ok\r\n")


def test_an_idle_connection_has_no_deadline_and_the_next_wait_starts_full():
    line = Line().greet("PIPELINING")
    line.tick()
    line.tick(100_000)
    assert not line.wire.aborted
    line.connection.send(letter())
    line.tick(1)
    line.tick(SECONDS[Wait.MAIL] - 1)
    assert not line.wire.aborted


def test_a_server_that_does_not_answer_quit_is_left():
    line = Line().greet()
    line.connection.quit()
    line.tick()
    line.tick(SECONDS[Wait.QUIT])
    assert line.wire.aborted
    line.wire.settle()
    assert line.owner.reason.code == 221


def test_a_close_that_never_completes_is_cut():
    line = Line().greet()
    line.wire.feed(b"421 bye\r\n")
    line.tick()
    assert not line.wire.aborted
    line.tick(SECONDS[Wait.QUIT])
    assert line.wire.aborted


# --- large content ------------------------------------------------------------------------------------------------


async def test_large_content_is_read_no_faster_than_the_peer_takes_it():
    content = Content([b"one\r\n", b".two\r\n", b"three"])
    transaction = letter(octets=None)
    line = Line((transaction, content), letter()).greet("PIPELINING", "SIZE")
    assert b"SIZE=16" in line.wire.take()
    line.connection.writable(False)
    line.wire.feed(GO)
    await line.settle()
    assert content.read == 0
    line.connection.writable(True)
    line.connection.writable(False)
    await line.settle()
    assert content.read == 1
    assert line.wire.take() == b"one\r\n"
    assert len(line.tasks) == 1
    line.tick()
    line.tick(SECONDS[Wait.BLOCK] - 1)
    assert not line.wire.aborted
    line.connection.writable(True)
    await line.settle()
    assert line.wire.take() == b"..two\r\nthree\r\n.\r\n" + ENVELOPE.replace(
        b">\r\nR", b"> SIZE=%d\r\nR" % len(CONTENT)
    )
    assert content.closed
    assert line.tasks[0].done()
    line.wire.feed(b"250 2.0.0 ok\r\n")
    assert line.owner.ended[0][0] is transaction
    assert len(line.tasks) == 1


async def test_a_peer_that_stops_taking_content_is_left():
    content = Content([b"one\r\n"] * 5)
    line = Line((letter(octets=None), content)).greet("PIPELINING")
    line.wire.feed(GO)
    await line.take_one_piece()
    line.tick()
    line.tick(SECONDS[Wait.BLOCK])
    assert line.wire.aborted
    line.wire.settle()
    await line.settle()
    assert line.tasks[0].done()
    assert content.closed
    assert not line.owner.unknown[0].content_complete
    assert Wait.BLOCK.value in line.owner.reason.text


async def test_content_that_cannot_be_read_is_never_ended():
    content = Content([b"one\r\n"] * 5, fail_after=2)
    line = Line((letter(octets=None), content)).greet("PIPELINING")
    line.wire.take()
    line.wire.feed(GO)
    await line.settle()
    assert line.wire.aborted
    assert line.wire.take() == b"one\r\none\r\n"
    line.wire.settle()
    assert line.tasks[0].exception() is None
    assert str(line.owner.reason).startswith("451 4.3.0")
    assert len(line.owner.unknown) == 1


async def test_our_own_fault_while_reading_cuts_and_is_not_hidden():
    content = Content([b"one\r\n"] * 5, fail_after=2, error=ZeroDivisionError("oops"))
    line = Line((letter(octets=None), content)).greet("PIPELINING")
    line.wire.feed(GO)
    await line.settle()
    assert line.wire.aborted
    assert isinstance(line.tasks[0].exception(), ZeroDivisionError)


async def test_a_cancelled_reader_cuts():
    content = Content([b"one\r\n"] * 5)
    line = Line((letter(octets=None), content)).greet("PIPELINING")
    line.wire.feed(GO)
    await line.take_one_piece()
    line.tasks[0].cancel()
    await line.settle()
    assert line.tasks[0].cancelled()
    assert line.wire.aborted
    assert content.closed


async def test_an_early_refusal_stops_the_reader():
    content = Content([b"one\r\n"] * 5)
    line = Line((letter(octets=None), content)).greet("PIPELINING")
    line.wire.feed(GO)
    await line.take_one_piece()
    line.wire.feed(b"552 5.3.4 too large\r\n")
    assert line.wire.aborted
    line.wire.settle()
    await line.settle()
    assert line.owner.told == ["ready", "ended 552", "closed"]
    assert line.owner.unknown == []
    assert line.tasks[0].done()
    assert content.read == 1


async def test_a_bare_line_end_in_large_content():
    content = Content([b"one\r\n", b"\n.\r\n", b"never\r\n"])
    line = Line((letter(octets=None), content)).greet("PIPELINING")
    line.wire.take()
    line.wire.feed(GO)
    await line.settle()
    assert line.wire.take() == b"one\r\n"
    assert line.wire.aborted
    line.wire.settle()
    assert line.owner.told == ["ready", "ended 554", "closed"]
    assert content.read == 2


async def test_a_loss_while_reading():
    content = Content([b"one\r\n"] * 5)
    line = Line((letter(octets=None), content)).greet("PIPELINING", "CHUNKING")
    line.wire.feed(b"250 ok\r\n250 ok\r\n")
    await line.take_one_piece()
    assert line.wire.output.endswith(b"BDAT 25 LAST\r\none\r\n")
    line.wire.hang_up(ConnectionResetError("reset"))
    await line.settle()
    assert line.tasks[0].done()
    assert content.read == 1
    assert content.closed
    assert len(line.owner.unknown) == 1
