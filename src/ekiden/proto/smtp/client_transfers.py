"""Transfers: the letters in flight on one session that is ready; from MAIL to the last reply.

    [RSET] MAIL RCPT... DATA -> 354 -> content, dot -> reply          each letter takes these steps, `Transaction.step`
    [RSET] MAIL RCPT... -> BDAT n LAST, content      -> reply         counts the replies that have come

The rules are those of `proto.smtp.client`, which alone calls this: it hands over each reply, and ends the session when
PeerProtocolError is raised (a reply that makes no sense where it came) or `Cut` (the wire must be aborted).
"""

from __future__ import annotations

from collections import deque
from typing import Final

from ekiden.model.reply import Reply
from ekiden.proto.smtp.client_events import ClientEvent, ContentWanted, Transaction, TransactionEnded
from ekiden.proto.smtp.client_letter import (
    FINAL_DOT,
    BdatEncoder,
    ContentFault,
    DataEncoder,
    render_mail,
    render_rcpt,
    stuff,
    weigh,
)
from ekiden.proto.smtp.extensions import Capabilities
from ekiden.proto.smtp.faults import LocalProtocolError
from ekiden.proto.smtp.reply_reader import PeerProtocolError, ReplyReader
from ekiden.proto.smtp.timeouts import Wait

#: Letters sent and not answered: one that waits for its 250, one whose envelope rides behind it.
MAX_IN_FLIGHT: Final = 2

#: `Transaction.step`: whose reply is next. 0 … n-1: RCPT; n: DATA or BDAT; n+1 …: the content.
_RSET: Final = -2
_MAIL: Final = -1

_EARLY: Final = Reply(451, "4.5.0", "the server answered before it had the whole content")
_NOBODY: Final = Reply(451, "4.5.0", "the server wants content for no recipient")


class Cut(Exception):
    """The wire must be aborted. `reply`: why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Transfers:
    """`flights`: begun and not ended, oldest first. `sent`: how many were begun. `out`, `events`: the client's."""

    __slots__ = ("_encoder", "_events", "_lmtp", "_needs_reset", "_out", "_peer", "_reader", "flights", "sent")

    def __init__(
        self, peer: Capabilities, reader: ReplyReader, out: list[bytes], events: deque[ClientEvent], *, lmtp: bool
    ) -> None:
        self._peer = peer
        self._reader = reader
        self._out = out
        self._events = events
        self._lmtp = lmtp
        #: A mail transaction may be open at the server.
        self._needs_reset = False
        #: Of the first in flight while its content is fed piece by piece.
        self._encoder: DataEncoder | BdatEncoder | None = None
        self.flights: deque[Transaction] = deque()
        self.sent = 0

    @property
    def can_send(self) -> bool:
        if self.sent >= self._peer.mail_limit:
            return False
        flights = self.flights
        if not flights:
            return True
        return self._peer.pipelining and len(flights) < MAX_IN_FLIGHT and flights[-1].content_complete

    @property
    def is_exhausted(self) -> bool:
        """MAILMAX, RFC 9422 §4.1."""
        return self.sent >= self._peer.mail_limit

    @property
    def wait(self) -> Wait | None:
        return _wait_for(self.flights[0]) if self.flights else None

    def send(self, transaction: Transaction) -> None:
        peer = self._peer
        if transaction.octets is not None:
            transaction.size = len(transaction.octets)
        weigh(transaction, peer)
        if not transaction.asked:
            self._tell_ended(transaction)
            return
        transaction.pipelined = peer.pipelining
        transaction.chunking = (
            peer.chunking
            and transaction.size > 0
            and not transaction.probe
            and (transaction.octets is None or not peer.pipelining)
        )
        if self.flights:
            reset = self.flights[-1].chunking
        else:
            reset, self._needs_reset = self._needs_reset, False
        transaction.step = _RSET if reset else _MAIL
        self.flights.append(transaction)
        self.sent += 1
        if reset:
            self._out.append(b"RSET\r\n")
        if peer.pipelining:
            self._write_envelope(transaction)
        elif not reset:
            self._out.append(render_mail(transaction, peer))

    def content(self, data: bytes) -> None:
        if self._encoder is None:
            raise LocalProtocolError("content that was not asked for")
        try:
            encoded = self._encoder.encode(data)
        except ContentFault as fault:
            self._cut_content(fault.reply)
        else:
            if encoded:
                self._out.append(encoded)

    def end_content(self) -> None:
        if self._encoder is None:
            raise LocalProtocolError("content that was not asked for")
        try:
            rest = self._encoder.finish()
        except ContentFault as fault:
            self._cut_content(fault.reply)
        else:
            self._encoder = None
            self.flights[0].content_complete = True
            if rest:
                self._out.append(rest)

    # -- what the server says ----------------------------------------------------------------------------------------

    def replied(self, code: int) -> None:
        """The reader has a reply of this code for the first in flight. Raises PeerProtocolError, Cut."""
        transaction = self.flights[0]
        step, count = transaction.step, len(transaction.asked)
        transaction.step = step + 1
        if 0 <= step < count:
            self._on_rcpt(transaction, step, code)
        elif step == _MAIL:
            self._on_mail(transaction, code)
        elif step == _RSET:
            self._on_rset(transaction, code)
        elif step == count and not transaction.chunking:
            self._on_data(transaction, code)
        else:
            self._on_final(transaction, step - count - (not transaction.chunking), code)

    def _on_rset(self, transaction: Transaction, code: int) -> None:
        if code >= 300:
            # MAIL behind it would be refused for our sake, not the letter's.
            raise PeerProtocolError(f"RSET refused: {self._reader.reply()}")
        if not transaction.pipelined:
            self._out.append(render_mail(transaction, self._peer))

    def _on_mail(self, transaction: Transaction, code: int) -> None:
        if code >= 400:
            reply = transaction.mail_reply = self._reader.reply()
            for index in transaction.asked:
                transaction.replies[index] = reply
            if not transaction.pipelined:
                self._finish(transaction)
        elif code >= 300:
            raise PeerProtocolError(f"{code} as the answer to MAIL")
        elif not transaction.pipelined:
            self._write_rcpt(transaction, 0)

    def _on_rcpt(self, transaction: Transaction, step: int, code: int) -> None:
        index = transaction.asked[step]
        if transaction.mail_reply is not None:
            pass  # Decided; what is said to RCPT then is about the sequence of commands.
        elif code < 300:
            transaction.accepted.append(index)
            if transaction.probe:
                transaction.replies[index] = self._reader.reply()
        elif code < 400:
            raise PeerProtocolError(f"{code} as the answer to RCPT")
        else:
            transaction.replies[index] = _recast(self._reader.reply(), first=not transaction.accepted)
        if step + 1 < len(transaction.asked):
            if not transaction.pipelined:
                self._write_rcpt(transaction, step + 1)
        elif transaction.probe or transaction.chunking or not transaction.pipelined:
            self._envelope_answered(transaction)

    def _envelope_answered(self, transaction: Transaction) -> None:
        """All RCPT are answered, and the content's command is not out yet."""
        if transaction.probe or not transaction.accepted:
            self._finish(transaction)
        elif transaction.chunking:
            self._write_bdat(transaction)
        else:
            self._out.append(b"DATA\r\n")

    def _on_data(self, transaction: Transaction, code: int) -> None:
        if code >= 400:
            reply = self._reader.reply()
            for index in transaction.accepted:
                transaction.replies[index] = reply
            self._finish(transaction)
        elif code < 300:
            raise PeerProtocolError(f"{code} as the answer to DATA")
        elif transaction.accepted:
            transaction.reached_data = True
            if transaction.octets is None:
                self._encoder = DataEncoder()
                self._events.append(ContentWanted(transaction))
            else:
                self._out += (stuff(transaction.octets), FINAL_DOT)
                transaction.content_complete = True
        else:
            self._out.append(FINAL_DOT)  # RFC 2920 §3.1
            if self._lmtp:  # No recipient, no reply: from here on nobody knows who is to speak.
                self._finish(transaction)
                raise Cut(_NOBODY)

    def _on_final(self, transaction: Transaction, number: int, code: int) -> None:
        """The answer to the content: one, or in LMTP one for each accepted recipient; `number` counts them from 0."""
        accepted = transaction.accepted
        if 300 <= code < 400 or (code < 300 and accepted and not transaction.content_complete):
            raise PeerProtocolError(f"{code} as the answer to the content")
        if accepted:
            reply = self._reader.reply()
            if self._lmtp:
                transaction.replies[accepted[number]] = reply
                if number + 1 < len(accepted):
                    return
            else:
                for index in accepted:
                    transaction.replies[index] = reply
        early = self._encoder is not None
        self._finish(transaction, closed=code < 300 or not transaction.chunking)
        if early:
            raise Cut(_EARLY)

    # -- what we say -------------------------------------------------------------------------------------------------

    def _write_envelope(self, transaction: Transaction) -> None:
        peer, out = self._peer, self._out
        out.append(render_mail(transaction, peer))
        recipients = transaction.recipients
        for index in transaction.asked:
            out.append(render_rcpt(recipients[index], peer))
        if not (transaction.probe or transaction.chunking):
            out.append(b"DATA\r\n")

    def _write_rcpt(self, transaction: Transaction, step: int) -> None:
        self._out.append(render_rcpt(transaction.recipients[transaction.asked[step]], self._peer))

    def _write_bdat(self, transaction: Transaction) -> None:
        transaction.reached_data = True
        octets = transaction.octets
        if octets is None:
            self._out.append(b"BDAT %d LAST\r\n" % transaction.size)
            self._encoder = BdatEncoder(transaction.size)
            self._events.append(ContentWanted(transaction))
        else:
            self._out += (b"BDAT %d LAST\r\n" % len(octets), octets)
            transaction.content_complete = True

    # -- ends --------------------------------------------------------------------------------------------------------

    def _finish(self, transaction: Transaction, *, closed: bool = False) -> None:
        """The first in flight has ended. `closed`: the server's mail transaction is over too."""
        self.flights.popleft()
        if not self.flights and transaction.mail_reply is None and not (closed and transaction.accepted):
            self._needs_reset = True
        self._encoder = None
        self._tell_ended(transaction)

    def _tell_ended(self, transaction: Transaction) -> None:
        replies = [reply for reply in transaction.replies if reply is not None]
        if len(replies) != len(transaction.recipients):
            raise AssertionError("a transaction ended without an answer for each recipient")
        self._events.append(TransactionEnded(transaction, replies, transaction.reached_data, self._peer.dsn))

    def _cut_content(self, reply: Reply) -> None:
        """The content in hand must not be ended: its recipients get `reply`."""
        transaction = self.flights[0]
        for index in transaction.accepted:
            transaction.replies[index] = reply
        self._finish(transaction)
        raise Cut(reply)


def _wait_for(transaction: Transaction) -> Wait:
    step, count = transaction.step, len(transaction.asked)
    if step == _RSET:
        return Wait.RESET
    if step == _MAIL:
        return Wait.MAIL
    if step < count:
        return Wait.RCPT
    if step == count and not transaction.chunking:
        return Wait.DATA
    return Wait.FINAL if transaction.content_complete or not transaction.accepted else Wait.BLOCK


def _recast(reply: Reply, *, first: bool) -> Reply:
    """RFC 5321 §4.5.3.1.10: 552 to a RCPT behind others means too many recipients, from servers of RFC 821's days."""
    if reply.code == 552 and not first and reply.status in ("", "5.5.3"):
        return Reply(452, "4.5.3", *reply.lines)
    return reply
