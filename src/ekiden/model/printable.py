"""Text that is to be looked at: JSON without characters that a terminal obeys.

JSON itself escapes the controls below U+0020 alone. DEL, the C1 controls (U+009B begins a terminal's control sequence)
and the marks that turn the direction of a line pass, and what strangers wrote may hold them. Called by `telemetry`
(the log) and `cli` (`--json`).
"""

from __future__ import annotations


def escape_json(text: str) -> str:
    """`text`: JSON on any number of lines. The same value, with `\\uXXXX` for each character that is not printable."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    """As UTF-16 code units (RFC 8259 §7)."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
