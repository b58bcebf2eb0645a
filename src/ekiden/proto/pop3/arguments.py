"""The arguments of POP3 commands: numbers, text, base64. Pure; None is what they are not.

Used by `proto.pop3.server`.
"""

from __future__ import annotations

import binascii
from typing import Final

#: More digits than any message number or line count has.
MAX_DIGITS: Final = 10


def parse_number(octets: bytes) -> int | None:
    return int(octets) if octets.isdigit() and len(octets) <= MAX_DIGITS else None


def parse_text(octets: bytes) -> str | None:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return None


def parse_base64(octets: bytes) -> bytes | None:
    try:
        return binascii.a2b_base64(octets, strict_mode=True)
    except binascii.Error:
        return None
