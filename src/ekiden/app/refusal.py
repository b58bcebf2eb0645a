"""StartRefused: the server cannot start, and nothing was changed. Raised within app, printed by the commands."""

from __future__ import annotations


class StartRefused(Exception):
    """`str()`: one line for people: the key or thing, what is wrong, what would be right."""
