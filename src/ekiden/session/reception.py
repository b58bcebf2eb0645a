"""Reception: a letter's content on its way in, from the first octet behind DATA to the spool.

Rules
1. The header section is held until it is complete (256 KiB at most), because what is put on top (Received) and what
   submission mends (Date, Message-ID, Bcc) needs all of it. The body streams through; it is never in memory whole.
2. What goes wrong midway (disk full, too many hops, a From that is not the login's) is remembered as a refusal; the
   rest of the content is swallowed and the refusal is the answer to the final dot.
3. With content rules the letter is examined as it comes; what they say is known, and told, at the end (`ruling`).
4. Nobody says 250 before `Spool.accept` is done (invariant 1).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from ekiden.message.header import HeaderReader, HeaderSection
from ekiden.message.submission import complete_header
from ekiden.model.decision import Decision, Verdict
from ekiden.model.ids import render_id
from ekiden.model.reply import Reply
from ekiden.policy.content_rules import Ruling
from ekiden.ports.spool import Draft, SpoolFailed
from ekiden.session.doorway import Doorway
from ekiden.session.examination import Examination

HEADER_TOO_LARGE: Final = Reply(552, "5.3.4", "The header section is larger than 256 KiB")
TOO_MANY_HOPS: Final = Reply(554, "5.4.6", "Too many hops: this letter is going round in circles")
NO_SPACE: Final = Reply(452, "4.3.1", "No space for the letter right now, please try again later")
CANNOT_STORE: Final = Reply(451, "4.3.0", "The letter could not be stored, please try again later")


#: What is to be said about a header section: a refusal, or None if nothing speaks against the letter so far.
Examine = Callable[[HeaderSection], Decision | None]


def storage_failed(error: SpoolFailed) -> Decision:
    return Decision(Verdict.DEFER, "storage", str(error), NO_SPACE if error.full else CANNOT_STORE)


class Reception:
    """One letter's content. `complete`: add what a submission lacks. `examine`: asked once, when the header section is
    complete. `examination`: by the content rules, None without any. `ruling`: what those came to."""

    __slots__ = (
        "_complete",
        "_doorway",
        "_examination",
        "_examine",
        "_reader",
        "_trace",
        "draft",
        "header_octets",
        "is_8bit",
        "message_id",
        "refusal",
        "ruling",
    )

    def __init__(
        self,
        doorway: Doorway,
        *,
        complete: bool,
        examine: Examine | None = None,
        examination: Examination | None = None,
    ) -> None:
        """Raises SpoolFailed when nothing can be taken."""
        self._doorway = doorway
        self._complete = complete
        self._examine = examine
        self._examination = examination
        self._reader: HeaderReader | None = HeaderReader()
        self._trace = b""
        self.draft: Draft = doorway.spool.begin()
        self.refusal: Decision | None = None
        self.ruling: Ruling | None = None
        self.is_8bit = False
        self.message_id = ""
        self.header_octets = 0

    def begin(self, trace: bytes) -> None:
        """Gives the trace field, which names the letter's id and so comes after the draft."""
        self._trace = trace if self._examination is None else self._examination.marks() + trace

    def chunk(self, data: bytes) -> Awaitable[None] | None:
        """Takes octets. What it returns must be awaited before the next chunk (back-pressure)."""
        if self.refusal is not None:
            return None
        if not self.is_8bit and not data.isascii():
            self.is_8bit = True
        try:
            if self._reader is not None:
                if not self._reader.feed(data):
                    return None
                self._finish_header(self._reader)
                return self.draft.drain() if self.refusal is None else None
            self.draft.write(data)
            if self._examination is not None:
                self._examination.feed(data)
            return self.draft.drain()
        except SpoolFailed as error:
            self.refuse(storage_failed(error))
            return None

    def end(self) -> None:
        """The content is complete: a letter that is all header, or has none, is finished here."""
        try:
            if self._reader is not None and self.refusal is None:
                self._reader.finish()
                self._finish_header(self._reader)
            if self._examination is not None and self.refusal is None:
                self._rule(self._examination)
        except SpoolFailed as error:
            self.refuse(storage_failed(error))

    def refuse(self, refusal: Decision) -> None:
        if self.refusal is None:
            self.refusal = refusal
        self.draft.discard()
        self._reader = None

    def discard(self) -> None:
        self.draft.discard()

    # --- within -----------------------------------------------------------------------------------------------

    def _finish_header(self, reader: HeaderReader) -> None:
        section = reader.section
        assert section is not None
        self._reader = None
        if section.truncated:
            self.refuse(Decision(Verdict.REJECT, "content", "", HEADER_TOO_LARGE))
            return
        if section.count(b"received") >= self._doorway.config.limits.hops:  # RFC 5321 §6.3
            self.refuse(Decision(Verdict.REJECT, "content", "", TOO_MANY_HOPS))
            return
        if self._examine is not None:
            verdict = self._examine(section)
            if verdict is not None and not verdict.accepted:
                self.refuse(verdict)
                return
        header, body = section.raw, reader.gathered[section.end :]
        if self._examination is not None:
            self._examination.begin(section)
            self._examination.feed(body)
        if self._complete:
            header = self._completed(header, body_follows=bool(body))
            section = HeaderSection(header)
        self.message_id = section.message_id
        self.header_octets = len(self._trace) + len(header)
        self.draft.write(b"".join((self._trace, header, body)))

    def _rule(self, examination: Examination) -> None:
        ruling = self.ruling = examination.finish()
        if ruling.refusal is not None:
            self.refuse(ruling.refusal)
        elif (marks := examination.marks(ruling.marks)) != examination.marks():
            self.draft.overwrite(0, marks)

    def _completed(self, header: bytes, *, body_follows: bool) -> bytes:
        message_id = f"<{render_id(self.draft.letter)}@{self._doorway.config.hostname}>"
        now = self._doorway.clock.now()
        return complete_header(header, now=now, message_id=message_id, body_follows=body_follows)
