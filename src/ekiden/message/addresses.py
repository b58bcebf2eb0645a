"""Address lists of a header section, such as From: the octets of a field's value to mailboxes (RFC 5322 §3.4, RFC 6532
§3.2, RFC 6854). Grade A.

What stands in From is a claim that people believe, and programs read crooked lists each in its own way. So only what
can be read in one way is taken; the rest is a fault that says what was expected.

Rules
1. A list is mailboxes and groups (`Team: a@x.test, b@x.test;`) with commas between. Names may hold dots, octets beyond
   ASCII (RFC 6532, and what older programs send) and `[`…`]`; other special characters stand in quotes.
2. Within an address there are no blanks and comments (RFC 5322 §3.4.1 "SHOULD NOT"), no source routes (§4.4), no
   encoded words (RFC 2047 §5) and no quoted `@`.
3. An unquoted `@` in a name is taken only where the name is the address again (`a@x.test <a@x.test>`): both ways to
   read that mean the same. A comment has none of `@<>`.
4. Control characters are faults; folding is undone before (`message.header`).
5. The time is linear in the octets, and so is the memory; a list has at most MAX_OCTETS and MAX_MAILBOXES. Short lists
   are remembered: a program that sends a thousand letters says From in the same octets a thousand times.

The grammar of what stands between the angle brackets is `model.path`'s. Called by `message.originators`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from ekiden.model.mailbox import Mailbox, unquote_local_part
from ekiden.model.path import PathError, parse_path

#: In one field. Papers have long lists of authors; each mailbox may cost a question to the directory.
MAX_MAILBOXES: Final = 50
#: Comments in comments; nobody needs two.
MAX_DEPTH: Final = 10
#: Lists that are remembered, and their length: a MiB in the worst case. RFC 5322 §2.1.1 allows a line of 998.
REMEMBERED: Final = 1024
_REMEMBERED_OCTETS: Final = 998

#: A value that is longer is not read: MAX_MAILBOXES with long names need less, and the worst that can stand in it keeps
#: other sessions waiting for some 15 ms.
MAX_OCTETS: Final = 8 * 1024
_CONTROLS: Final = bytes(octet for octet in (*range(32), 127) if octet != ord("\t"))
#: What fits none of these has no place outside quotes. Each octet is looked at once.
_TOKEN: Final = re.compile(
    rb"""
      (?P<atom>    [^\x00-\x20\x7f()<>\[\]:;@\\,."]+ )
    | (?P<blank>   [ \t]+ )
    | (?P<special> [<>:;@,.] )
    | (?P<quoted>  "[^"\\]*(?:\\.[^"\\]*)*" )
    | (?P<literal> \[[^\[\]\\]*\] )
    | (?P<comment> \( )
    """,
    re.VERBOSE | re.DOTALL,
)
_SPECIALS: Final = b'<>:;@,"()'
_IN_COMMENT: Final = re.compile(rb"[^()\\]+|\\.|[()]", re.DOTALL)


_NO_ADDRESS: Final = "expected an address such as you@example.org"
_NO_COMMA: Final = "expected a comma between addresses"


class AddressFault(ValueError):
    """No list of addresses. The text says what was expected, never what came: it goes into a reply."""


#: A token: its kind (a special stands for itself), its octets, and whether a blank or comment stands before it.
_Token = tuple[str, bytes, bool]


def parse_addresses(value: bytes) -> tuple[Mailbox, ...]:
    """The mailboxes of an unfolded address-list, one or more, in order; those of groups among them. Raises
    AddressFault."""
    found = _remembered(value) if len(value) <= _REMEMBERED_OCTETS else _parse(value)
    if isinstance(found, str):
        raise AddressFault(found)
    return found


@lru_cache(maxsize=REMEMBERED)
def _remembered(value: bytes) -> tuple[Mailbox, ...] | str:
    return _parse(value)


def _parse(value: bytes) -> tuple[Mailbox, ...] | str:
    """The mailboxes, or what was expected: a fault is remembered, too."""
    try:
        return _List(_tokens(value)).read()
    except AddressFault as fault:
        return str(fault)
    except PathError as error:
        return str(error)


def _tokens(value: bytes) -> list[_Token]:
    if len(value) > MAX_OCTETS:
        raise AddressFault(f"expected at most {MAX_OCTETS // 1024} KiB")
    if len(value.translate(None, _CONTROLS)) != len(value):
        raise AddressFault("expected no control characters")
    tokens: list[_Token] = []
    at, spaced = 0, False
    while at < len(value):
        match = _TOKEN.match(value, at)
        if match is None:
            raise AddressFault("expected closed quotes and brackets, and a backslash only in quotes")
        kind = match.lastgroup
        assert kind is not None
        at = match.end()
        if kind == "comment":
            at = _end_of_comment(value, at)
            spaced = True
        elif kind == "blank":
            spaced = True
        else:
            octets = match.group()
            tokens.append((octets.decode() if kind == "special" else kind, octets, spaced))
            spaced = False
    return tokens


def _end_of_comment(value: bytes, at: int) -> int:
    """Where the comment whose parenthesis stands before `at` ends (RFC 5322 §3.2.2)."""
    begin, depth = at, 1
    while depth:
        match = _IN_COMMENT.match(value, at)
        if match is None or depth > MAX_DEPTH:
            raise AddressFault("expected closed parentheses")
        octets = match.group()
        depth += (octets == b"(") - (octets == b")")
        at = match.end()
    comment = value[begin:at]
    if b"@" in comment or b"<" in comment or b">" in comment:
        raise AddressFault("expected no address in parentheses")
    return at


class _List:
    """address-list of RFC 5322 §3.4, in one pass: words are gathered until the special that says what they were."""

    __slots__ = ("_at", "_complete", "_empty_group", "_in_group", "_tokens", "_words", "found")

    def __init__(self, tokens: list[_Token]) -> None:
        self.found: list[Mailbox] = []
        self._tokens = tokens
        self._at = 0
        self._words: list[_Token] = []
        self._in_group = False
        self._empty_group = False  # nothing has come behind its colon yet
        self._complete = False  # an address in angle brackets, or a group, has just ended

    def read(self) -> tuple[Mailbox, ...]:
        tokens = self._tokens
        while self._at < len(tokens):
            token = tokens[self._at]
            self._at += 1
            special = _SPECIAL.get(token[0])
            if special is not None:
                special(self)
            elif self._complete:
                raise AddressFault(_NO_COMMA)
            else:
                self._words.append(token)
        if self._in_group:
            raise AddressFault("expected a semicolon at the end of a group")
        self._end_mailbox()
        if not self.found:
            raise AddressFault(_NO_ADDRESS)
        return tuple(self.found)

    def _angle(self) -> None:
        tokens, begin = self._tokens, self._at
        end = next((at for at in range(begin, len(tokens)) if tokens[at][0] in ("<", ">")), len(tokens))
        if self._complete or end == len(tokens) or tokens[end][0] == "<":
            raise AddressFault("expected one address in angle brackets after a name")
        self.found.append(_named(self._words, tokens[begin:end]))
        self._words, self._complete, self._at = [], True, end + 1

    def _stray(self) -> None:
        raise AddressFault(_NO_COMMA)

    def _comma(self) -> None:
        self._end_mailbox()
        self._complete = self._empty_group = False

    def _colon(self) -> None:
        if self._in_group or self._complete or not self._words or _has_at(self._words):
            raise AddressFault("expected quotes around a name with a colon")
        self._words, self._in_group, self._empty_group = [], True, True

    def _semicolon(self) -> None:
        if not self._in_group:
            raise AddressFault("expected quotes around a name with a semicolon")
        if self._words or not self._empty_group:
            self._end_mailbox()
        self._in_group, self._complete = False, True

    def _end_mailbox(self) -> None:
        """What has no angle brackets is an address."""
        if not self._complete:
            self.found.append(_address(self._words))
        self._words = []
        if len(self.found) > MAX_MAILBOXES:
            raise AddressFault(f"expected at most {MAX_MAILBOXES} addresses")


_SPECIAL: Final = {
    "<": _List._angle,
    ">": _List._stray,
    ",": _List._comma,
    ":": _List._colon,
    ";": _List._semicolon,
}


def _named(words: list[_Token], within: list[_Token]) -> Mailbox:
    """`name <address>` (RFC 5322 §3.4 name-addr). Rule 3."""
    mailbox = _address(within)
    if _has_at(words):
        if _address(words).key != mailbox.key:
            raise AddressFault("expected quotes around a name with an @")
    elif any(kind == "literal" and octets.translate(None, _SPECIALS) != octets for kind, octets, _ in words):
        raise AddressFault("expected quotes around a name with special characters in brackets")
    return mailbox


def _has_at(words: list[_Token]) -> bool:
    return any(word[0] == "@" for word in words)


def _address(words: list[_Token]) -> Mailbox:
    """addr-spec of RFC 5322 §3.4.1, without what rule 2 leaves out."""
    if not words:
        raise AddressFault(_NO_ADDRESS)
    if not _has_at(words):
        raise AddressFault("expected an address such as you@example.org, and quotes around a name with a comma")
    if any(spaced for _, _, spaced in words[1:]):
        raise AddressFault("expected no blanks in an address, and angle brackets around it behind a name")
    path, rest = parse_path(b"<%b>" % b"".join(octets for _, octets, _ in words), utf8=True, lenient=False)
    if path is None or rest or not path.domain or words[0][0] == "@":
        raise AddressFault(_NO_ADDRESS)
    local_part = path.local_part
    if local_part == '""' or path.domain.endswith("."):
        raise AddressFault(_NO_ADDRESS)
    if "=?" in local_part or "@" in unquote_local_part(local_part):
        raise AddressFault("expected an address without encoded words and without a quoted @")
    return path
