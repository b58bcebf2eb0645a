"""What a submission server adds to a letter and takes out of it (RFC 6409 §8). Grade A.

Added at the end of the header section, only when missing: Date (RFC 6409 §8.2), Message-ID (§8.3). Taken out: every
Bcc and Resent-Bcc field (RFC 5322 §3.6.3 lets the sender's software decide; programs that leave it in would betray
their blind copies). Put in: the empty line, where a line that is no field ended the section; some readers would go on
and find other fields than those that were looked at. Everything else stays as it is, octet by octet and in order
(invariant 8).

Called by session for doors with a login, before the Received field goes on top.
"""

from __future__ import annotations

from typing import Final

from ekiden.message.date import render_date
from ekiden.message.header import HeaderSection

_BLIND: Final = frozenset((b"bcc", b"resent-bcc"))


def complete_header(header: bytes, *, now: float, message_id: str, body_follows: bool = False) -> bytes:
    """The header section to store in place of `header`.

    `header`: a letter's header section with the empty line that ends it, or without one if the content has none (then
    an empty line follows what was added, so that a body never becomes part of it). `now`: seconds since 1970.
    `message_id`: used if there is none, with or without angle brackets. `body_follows`: the content goes on behind it.
    """
    section = HeaderSection(header)
    added = b""
    if b"date" not in section:
        added += b"Date: %b\r\n" % render_date(now).encode("ascii")
    if b"message-id" not in section:
        added += b"Message-ID: <%b>\r\n" % message_id.strip("<>").encode("ascii")
    blind = []
    if b"bcc" in section or b"resent-bcc" in section:
        blind = [(field.start, field.end) for field in section if field.name in _BLIND]
    unparted = body_follows and not section.separated
    if not added and not blind:
        return header + b"\r\n" if unparted else header
    fields_end = section.fields_end
    kept = _without(header[:fields_end], blind)
    if not added:
        return kept + header[fields_end:] + (b"\r\n" if unparted else b"")
    if kept and not kept.endswith(b"\r\n"):  # the content ends within its last field
        kept += b"\r\n"
    return kept + added + (header[fields_end:] if section.separated else b"\r\n" + header[fields_end:])


def _without(octets: bytes, spans: list[tuple[int, int]]) -> bytes:
    kept, position = [], 0
    for start, end in spans:
        kept.append(octets[position:start])
        position = end
    kept.append(octets[position:])
    return b"".join(kept)
