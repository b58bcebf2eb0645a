"""How the rules of accounts say no: which argument, what was wrong, what would be right. Nothing was changed then.

Called by all of accounts/; shown by every face of admin/.
"""

from __future__ import annotations


class Refused(Exception):
    """`argument`: which one, such as 'ADDRESS' or 'password'. `str()`: a sentence that says what would be right."""

    def __init__(self, argument: str, text: str) -> None:
        super().__init__(f"{argument}: {text}")
        self.argument = argument


class Malformed(Refused):
    """The argument could never be right, whatever the configuration says: wrong usage."""
