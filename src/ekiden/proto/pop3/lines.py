"""LineReader: bytes to command lines with a limit. Pure; used by `proto.pop3.server`.

Rules
1. Only CRLF ends a line (invariant 5): a lone CR, LF or NUL stays within it, for the caller to refuse.
2. A line over the limit is skipped to its end in constant memory, and reported once, there: so the place of the report
   does not depend on how the bytes were split.
"""

from __future__ import annotations

from typing import Final

#: RFC 2449 §4 asks for 255 octets with CRLF. A mailbox name alone may have 320 (64 + 1 + 255), so twice that.
COMMAND_LINE: Final = 512
#: RFC 4954 §4 (the sibling in SMTP): 12,288 octets hold every SASL response that is in use, Kerberos tickets included.
AUTH_LINE: Final = 12_288


class TooLong:
    """What `next_line` gives in place of a line over the limit."""


TOO_LONG: Final = TooLong()


class LineReader:
    __slots__ = ("_buffer", "_scanned", "_skipping")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._skipping = False

    def __len__(self) -> int:
        """Octets that no `next_line` has given yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def clear(self) -> None:
        self._buffer.clear()
        self._scanned = 0
        self._skipping = False

    def next_line(self, *, auth: bool) -> bytes | TooLong | None:
        """The next line without its CRLF, or None if it is not complete. `auth`: it is a response to a challenge."""
        buffer = self._buffer
        end = buffer.find(b"\r\n", self._scanned)
        limit = AUTH_LINE if auth or buffer[:5].upper() == b"AUTH " else COMMAND_LINE
        if end < 0:
            if self._skipping or len(buffer) > limit:
                self._skipping = True
                del buffer[: -1 if buffer.endswith(b"\r") else len(buffer)]
            self._scanned = max(len(buffer) - 1, 0)
            return None
        line = TOO_LONG if self._skipping or end + 2 > limit else bytes(buffer[:end])
        del buffer[: end + 2]
        self._scanned = 0
        self._skipping = False
        return line
