"""Letters with attachments, and what content rules say about them: no door, no spool."""

from __future__ import annotations

import io
import itertools
import zipfile
from email.message import EmailMessage

from ekiden.config.model import ContentRule
from ekiden.message.header import HeaderReader
from ekiden.policy.content_rules import CompiledRule, Ruling
from ekiden.session.examination import Examination

Attachment = tuple[str, bytes]


def letter(*attachments: Attachment, subject: str = "hello") -> bytes:
    """As Python writes it: base64, names by RFC 2231 where they are not ASCII."""
    message = EmailMessage()
    message["From"] = "ann@far.test"
    message["Subject"] = subject
    message.set_content("hello\n-- \nann\n")
    for name, octets in attachments:
        message.add_attachment(octets, maintype="application", subtype="octet-stream", filename=name)
    return crlf(message.as_bytes())


def crlf(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def archive(*members: Attachment, comment: bytes = b"", streamed: bool = False) -> bytes:
    """`streamed`: sizes stand behind the members, as in an archive that was written to a pipe."""
    file = _Pipe() if streamed else io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as written:
        for name, octets in members:
            written.writestr(name, octets)
        written.comment = comment
    return file.getvalue()


class _Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise OSError

    def tell(self) -> int:
        raise OSError


def rule(action: str = "refuse", **conditions: object) -> ContentRule:
    return ContentRule(**({"name": "r", "action": action} | conditions))


def examine(raw: bytes, *rules: ContentRule, piece: int = 65536) -> Ruling:
    """What the rules say of the letter, which comes in pieces of so many octets."""
    examination = Examination([CompiledRule(one) for one in rules])
    reader: HeaderReader | None = HeaderReader()
    for start in range(0, len(raw), piece):
        data = raw[start : start + piece]
        if reader is None:
            examination.feed(data)
        elif reader.feed(data):
            begin(examination, reader)
            reader = None
    if reader is not None:
        reader.finish()
        begin(examination, reader)
    return examination.finish()


def begin(examination: Examination, reader: HeaderReader) -> None:
    assert reader.section is not None
    examination.begin(reader.section)
    examination.feed(reader.gathered[reader.section.end :])


def said(raw: bytes, *rules: ContentRule, piece: int = 65536) -> str:
    """The refusal's reason, or ''."""
    refusal = examine(raw, *rules, piece=piece).refusal
    return "" if refusal is None else refusal.reason


def with_part(header: bytes, body: bytes, top: bytes = b"Content-Type: multipart/mixed; boundary=b\r\n") -> bytes:
    """A letter with one part as it is written here."""
    return top + b"\r\n--b\r\n" + header + b"\r\n" + body + b"\r\n--b--\r\n"


def pieces(octets: bytes, cuts: list[int]) -> list[bytes]:
    marks = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    return [octets[start:end] for start, end in itertools.pairwise(marks)]
