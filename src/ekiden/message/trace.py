"""Trace fields: what a server writes on top of a letter (RFC 5321 §4.4). Grade A.

Rules
1. Every value from outside (HELO name, reverse name, recipient) is taken as hostile: controls never pass, what stands
   in a comment is escaped, what does not fit its grammar is left out or moved into a comment. No call can make a
   second field or line.
2. Lines are folded to 78 octets where the values allow it, and never exceed 998 (RFC 5322 §2.1.1).
3. `for` names a recipient only if it is the only one of the transaction: else it would tell blind copies
   (RFC 5321 §7.2). The caller decides by passing it or not.
4. The client's address is shown on every door, submission included: that is practice in the field, and what abuse
   desks and users tracing their own letter look for. The login name is never shown. A caller that must hide the
   address passes client ''.

Called by session (Received) and delivery (Return-Path and Delivered-To at final delivery).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from ekiden.message.date import render_date

#: What a HELO name may consist of to stand where the grammar wants a Domain; underscore: Windows hosts.
_NAME_CHARACTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_")
#: A domain has 255 octets at most (RFC 5321 §4.5.3.1.2): longer names are cut in comments.
_NAME_LIMIT: Final = 255
#: A path has 256 octets (RFC 5321 §4.5.3.1.3); lenient doors may take longer ones. Past this a line could pass 998.
_PATH_LIMIT: Final = 900
_LINE: Final = 78


def protocol_keyword(
    *, extended: bool, tls: bool = False, auth: bool = False, utf8: bool = False, lmtp: bool = False
) -> str:
    """The `with` keyword: RFC 3848 §2 (ESMTP, ESMTPS, ESMTPA, ESMTPSA, LMTP…), RFC 6531 §4.3 (UTF8SMTP…, UTF8LMTP…).

    After HELO (`extended` False, no LMTP) it is SMTP whatever else holds: the registry has no other."""
    if not extended and not lmtp:
        return "SMTP"
    base = "LMTP" if lmtp else "SMTP"
    return f"{'UTF8' if utf8 else '' if lmtp else 'E'}{base}{'S' if tls else ''}{'A' if auth else ''}"


def render_received(  # noqa: PLR0913 - each is a clause of the field, all are named
    *,
    helo: str,
    client: str,
    hostname: str,
    protocol: str,
    letter: str,
    now: float,
    reverse_name: str = "",
    tls: str = "",
    for_recipient: str = "",
    priority: int = 0,
) -> bytes:
    """A Received field with its final CRLF, folded.

    `helo`: as the client gave it. `client`: its IP address in text form, '' to leave it out. `reverse_name`: its
    verified name in the DNS, or ''. `protocol`: see `protocol_keyword`. `letter`: rendered letter id. `tls`: such as
    `TLSv1.3 TLS_AES_256_GCM_SHA384`, or ''. `for_recipient`: the forward-path when there is exactly one, else ''.
    `priority`: MT-PRIORITY as granted; 0, what everybody has, is not written (RFC 6710 §4.1, §6: the PRIORITY clause).
    `now`: seconds since 1970.
    """
    clause = _for_clause(for_recipient, utf8=protocol.startswith("UTF8")) if for_recipient else b""
    if priority:
        clause += b"%bPRIORITY %d" % (b"\r\n\t" if clause else b" ", priority)
    return b"%b\r\n\tid %b%b;\r\n\t%b\r\n" % (
        _origin(helo, client, reverse_name, hostname, protocol, tls),
        letter.encode("ascii"),
        clause,
        render_date(now).encode("ascii"),
    )


def render_return_path(reverse_path: str) -> bytes:
    """`Return-Path: <…>` (RFC 5321 §4.4); '' gives `<>`."""
    return b"Return-Path: <%b>\r\n" % _path(reverse_path)


def render_delivered_to(mailbox: str) -> bytes:
    """`Delivered-To: …` (RFC 9228): which mailbox of ours it was put into."""
    return b"Delivered-To: %b\r\n" % _path(mailbox)


def address_literal(address: str) -> str:
    """`[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3)."""
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


@lru_cache(maxsize=1024)  # the same for all letters of a session, and of a client that comes back
def _origin(helo: str, client: str, reverse_name: str, hostname: str, protocol: str, tls: str) -> bytes:
    """From `Received:` to the `with` clause, folded; no CRLF at its end."""
    literal = address_literal(client) if client else ""
    facts = [reverse_name] if reverse_name and _is_name(reverse_name) else []
    if literal:
        facts.append(literal)
    source = helo
    if not (_is_name(helo) or _is_literal(helo)):
        # deviates RFC 5321 §4.4: any printable HELO name is taken, and what is no domain stands in the comment;
        # tests/unit/message/test_trace.py
        source = literal or "unknown"
        facts.insert(0, f"HELO {_comment_text(helo)}")
    words = ["Received:", f"from {source}"]
    if facts:
        words.append(f"({' '.join(facts)})")
    words += [f"by {hostname}", f"with {protocol}"]
    if tls:
        words.append(f"({_comment_text(tls)})")
    return _fold(words)


def _fold(words: list[str]) -> bytes:
    lines, line = [], words[0]
    for word in words[1:]:
        if len(line) + 1 + len(word) > _LINE and line != words[0]:
            lines.append(line)
            line = "\t" + word
        else:
            line = f"{line} {word}"
    lines.append(line)
    return "\r\n".join(lines).encode("ascii")


def _for_clause(recipient: str, *, utf8: bool) -> bytes:
    """` for <…>`, or b'' for a path that cannot stand in this header: 8-bit without SMTPUTF8, controls, or too long."""
    if not (recipient.isascii() or utf8) or not recipient.isprintable():
        return b""
    path = recipient.encode("utf-8", "replace")
    if len(path) > _PATH_LIMIT:
        return b""
    blank = b" " if len(path) < _LINE - 26 else b"\r\n\t"
    return b"%bfor <%b>" % (blank, path)


def _path(path: str) -> bytes:
    """A path as it stands in a trace field of final delivery: controls out, UTF-8."""
    if not path.isprintable():
        path = "".join(c for c in path if c.isprintable())
    return path.encode("utf-8", "replace")


def _is_name(name: str) -> bool:
    return 0 < len(name) <= _NAME_LIMIT and _NAME_CHARACTERS.issuperset(name)


def _is_literal(name: str) -> bool:
    """Such as `[192.0.2.1]` or `[IPv6:2001:db8::1]`: brackets around what cannot break out of them."""
    inner = name[1:-1]
    return name[:1] == "[" and name[-1:] == "]" and _is_name(inner.replace(":", "."))


def _comment_text(text: str) -> str:
    """What may stand in a comment (RFC 5322 §3.2.2 ctext and quoted-pair), in ASCII; other characters become `?`."""
    clean = (c if " " <= c <= "~" else "?" for c in text[:_NAME_LIMIT])
    return "".join(f"\\{c}" if c in "()\\" else c for c in clean)
