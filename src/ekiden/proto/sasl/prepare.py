"""The one normalisation of passwords. Applied where they are stored and where they are checked (accounts/), never to
octets on their way through. RFC 4013, RFC 3454.
"""

from __future__ import annotations

import stringprep
import unicodedata
from collections.abc import Iterator


def prepare(password: str) -> str:
    """The form in which a password is stored and compared: SASLprep's mapping and NFKC (RFC 4013 §2.1, §2.2).

    So `é` typed on a Mac (two code points) and on Windows (one) is one password, and a client that does SCRAM comes
    to the same octets. The tables of Unicode 3.2 are used, as RFC 3454 says, so that a newer Python changes nobody's
    password. ASCII is unchanged.
    """
    # deviates RFC 4013 §2.3–2.5: prohibited, bidirectional and unassigned characters (emoji!) pass. Refusing them at
    # login would lock out who has such a password; PLAIN and LOGIN need no agreement about them; accounts.book
    # refuses control characters when a password is set. test_prepare.py::test_prepare_lets_emoji_pass
    if password.isascii():
        return password
    return unicodedata.ucd_3_2_0.normalize("NFKC", "".join(_mapped(password)))


def _mapped(text: str) -> Iterator[str]:
    for character in text:
        if stringprep.in_table_c12(character):
            yield " "
        elif not stringprep.in_table_b1(character):
            yield character
