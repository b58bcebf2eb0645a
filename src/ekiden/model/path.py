"""Paths: the octets of a reverse-path or forward-path to a Mailbox, and back (RFC 5321 §4.1.2, §4.1.3, RFC 6531 §3.3).

Rules
1. What is taken is kept as it was written: quoting, letter case, dots. Only the source route goes (§4.1.1.3).
2. Not ASCII means UTF-8, and only where the caller says so (`utf8`: SMTPUTF8 was given). U-labels must be names that
   IDNA can encode.
3. The lengths of §4.5.3.1 are minimums, and local parts beyond 64 octets are common (VERP, SRS): a mailbox may fill a
   command line without parameters. A domain ends at 255 octets and a label at 63, because the DNS knows no longer ones.
4. Parsed paths are remembered: the same senders and list members come again and again.

Called by the SMTP server machine, and by everything that reads an address a person typed (with `lenient`).
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

import idna

from ekiden.model.mailbox import Mailbox

#: RFC 5321 §4.5.3.1.2.
MAX_DOMAIN: Final = 255
#: RFC 5321 §4.5.3.1.4: what a command line leaves for a mailbox. Parameters make the line longer, not the path; and
#: Return-Path must fit into a line of 998 octets.
MAX_MAILBOX: Final = 512 - len(b"RCPT TO:<>\r\n")
#: RFC 1035 §2.3.4.
MAX_LABEL: Final = 63
#: How many parsed paths are remembered; at most a command line each, so a few MiB in the worst case.
REMEMBERED: Final = 4096

_LET_DIG: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_LDH: Final = _LET_DIG + b"-"
_HIGH: Final = bytes(range(128, 256))
#: atext of RFC 5322 §3.2.3, the dot between atoms, and UTF-8 (which `_check_utf8` has let pass).
_DOT_STRING: Final = _LET_DIG + b"!#$%&'*+-/=?^_`{|}~." + _HIGH
#: dcontent: printable, but no brackets and no backslash.
_DCONTENT: Final = bytes(octet for octet in range(33, 127) if octet not in b"[\\]")
_QUOTED: Final = re.compile(rb'"(?:[ -!#-\[\]-~\x80-\xff]|\\[ -~])*"')

_QUOTE, _BACKSLASH, _OPEN, _CLOSE = b'"\\[]'


class PathError(ValueError):
    """No path. The text says what was expected, never what came: it goes into a reply."""


def parse_path(octets: bytes, *, utf8: bool, lenient: bool) -> tuple[Mailbox | None, bytes]:
    """The path that `octets` begin with, and the octets behind it (parameters, with their leading blank).

    None is the null path `<>`. `<postmaster>` is a Mailbox without a domain (RFC 5321 §4.5.1). `utf8`: octets above
    127 may be UTF-8. `lenient`: angle brackets may be missing. Raises PathError.
    """
    if octets.startswith(b"<"):
        end = octets.find(b">") if b'"' not in octets and b"[" not in octets else _find_unquoted(octets, b">", b">")
        if end < 0:
            raise PathError("expected '>' after the address")
        if end == 1:
            return None, octets[2:]
        return _parse_mailbox(octets[1:end], utf8), octets[end + 1 :]
    if not lenient:
        raise PathError("expected an address in angle brackets, such as <user@example.org>")
    # deviates RFC 5321 §4.1.2: angle brackets may be missing where the caller allows it (printers, scripts):
    # test_missing_angle_brackets
    end = _find_unquoted(octets, b" ", b"\t")
    if end < 0:
        end = len(octets)
    if not end:
        raise PathError("expected an address, such as <user@example.org>")
    return _parse_mailbox(octets[:end], utf8), octets[end:]


def render_path(mailbox: Mailbox | None) -> bytes:
    """`<local-part@domain>` in UTF-8; None is `<>`."""
    return b"<>" if mailbox is None else f"<{mailbox}>".encode()


def _find_unquoted(octets: bytes, one: bytes, other: bytes) -> int:
    """Where the first of two octets stands outside a quoted string and an address literal; -1 if nowhere."""
    wanted = one + other
    quoted = escaped = literal = False
    for at, octet in enumerate(octets):
        if escaped:
            escaped = False
        elif quoted:
            escaped = octet == _BACKSLASH
            quoted = octet != _QUOTE
        elif literal:
            literal = octet != _CLOSE
        elif octet in wanted:
            return at
        else:
            quoted = octet == _QUOTE
            literal = octet == _OPEN
    return -1


@lru_cache(maxsize=REMEMBERED)
def _parse_mailbox(octets: bytes, utf8: bool) -> Mailbox:  # noqa: FBT001 - a cache key
    """What stands between the angle brackets."""
    if not octets.isascii():
        _check_utf8(octets, allowed=utf8)
    if octets.startswith(b"@"):
        octets = _without_source_route(octets)
    at = _find_unquoted(octets, b"@", b"@") if octets.startswith(b'"') else octets.find(b"@")
    if at < 0:
        if octets.lower() == b"postmaster":
            return Mailbox(octets.decode(), "")
        raise PathError("expected local-part@domain")
    if len(octets) > MAX_MAILBOX:
        raise PathError(f"expected an address of at most {MAX_MAILBOX} octets")
    local_part, domain = octets[:at], octets[at + 1 :]
    _check_local_part(local_part)
    if domain.startswith(b"["):
        _check_literal(domain)
    else:
        _check_domain(domain)
    return Mailbox(local_part.decode(), domain.decode())


def _check_utf8(octets: bytes, *, allowed: bool) -> None:
    if not allowed:
        raise PathError("expected an ASCII address (others need SMTPUTF8)")
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise PathError("expected UTF-8 in the address") from None
    # RFC 5198 §2: C1 controls and the line and paragraph separators have no place in a line of text.
    if any("\x80" <= character <= "\x9f" or character in "\u2028\u2029" for character in text):
        raise PathError("expected no control characters in the address")


def _without_source_route(octets: bytes) -> bytes:
    """RFC 5321 §4.1.1.3, appendix C: `@a,@b:user@c` is recognised, and taken as `user@c`."""
    colon = octets.find(b":")
    if colon < 0:
        raise PathError("expected local-part@domain, or ':' after a source route")
    for hop in octets[:colon].split(b","):
        if not hop.startswith(b"@"):
            raise PathError("expected a source route of the form @host,@host:")
        _check_domain(hop[1:])
    return octets[colon + 1 :]


def _check_local_part(octets: bytes) -> None:
    if octets.startswith(b'"'):
        if not _QUOTED.fullmatch(octets):
            raise PathError("expected a closed quoted string of printable characters before '@'")
        return
    if octets.translate(None, _DOT_STRING):
        raise PathError("expected a local part of letters, digits, dots and !#$%&'*+-/=?^_`{|}~, or in quotes")
    # deviates RFC 5321 §4.1.2: leading, trailing and doubled dots are taken (addresses that Japanese mobile carriers
    # gave out for years): test_dots_anywhere. Dots alone name nobody.
    if not octets.strip(b"."):
        raise PathError("expected a local part before '@'")


def _check_domain(octets: bytes) -> None:
    if not octets:
        raise PathError("expected a domain")
    if len(octets) > MAX_DOMAIN:
        raise PathError(f"expected a domain of at most {MAX_DOMAIN} octets")
    if not octets.isascii():
        _check_u_labels(octets)
        return
    for label in octets.split(b"."):
        if not label or len(label) > MAX_LABEL:
            raise PathError(f"expected labels of 1 to {MAX_LABEL} octets in the domain")
        if label.translate(None, _LDH) or label.startswith(b"-") or label.endswith(b"-"):
            raise PathError("expected a domain of letters, digits and inner hyphens")


def _check_u_labels(octets: bytes) -> None:
    """RFC 6531 §3.3: sub-domain =/ U-label."""
    try:
        idna.encode(octets.decode(), uts46=True)
    except UnicodeError:  # idna.IDNAError is one
        raise PathError("expected a domain that is an internationalized name (IDNA)") from None


def _check_literal(octets: bytes) -> None:
    """RFC 5321 §4.1.3: `[192.0.2.1]`, `[IPv6:2001:db8::1]` or `[tag:content]`."""
    inner = octets[1:-1]
    if not octets.endswith(b"]") or not inner or inner.translate(None, _DCONTENT):
        raise PathError("expected an address literal, such as [192.0.2.1]")
    tag, colon, content = inner.partition(b":")
    if not colon:
        # deviates RFC 5321 §4.1.3: leading zeros are refused, for others read them as octal:
        # test_leading_zeros_are_refused
        _check_address(ipaddress.IPv4Address, inner, "expected an IPv4 address such as [192.0.2.1]")
    elif tag.lower() == b"ipv6":
        if b"%" in content:  # a zone is no part of the grammar
            raise PathError("expected an IPv6 address without zone")
        _check_address(ipaddress.IPv6Address, content, "expected an IPv6 address such as [IPv6:2001:db8::1]")
    elif not content or not tag or tag.translate(None, _LDH) or tag.endswith(b"-"):
        raise PathError("expected an address literal of the form [tag:content]")


def _check_address(
    kind: type[ipaddress.IPv4Address] | type[ipaddress.IPv6Address], octets: bytes, expected: str
) -> None:
    try:
        kind(octets.decode())
    except ValueError:
        raise PathError(expected) from None
