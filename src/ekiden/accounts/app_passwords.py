"""App passwords: a secret that we make for one device or program, and how one that comes back is known.

Rules
1. A secret is 24 letters and digits in groups of four, `abcd-efgh-jkmn-pqrs-tuvw-xyz2`: 118 bits of chance, none of
   them easily mistaken for another (no i, l, o, 0, 1). It is shown once; only its verifiers are kept.
2. Where the program sends us the secret itself (PLAIN, LOGIN), blanks, hyphens and letter case do not matter. A SCRAM
   client proves what was typed, letter by letter: there it must be typed as it was shown.

Called by `admin.app_passwords` (making) and `accounts.login` (checking).
"""

from __future__ import annotations

import hashlib
from typing import Final

#: 31 of them.
ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
GROUPS: Final = 6
GROUP: Final = 4
LENGTH: Final = GROUPS * GROUP

_SPACERS: Final = str.maketrans("", "", "- \t")


def secret_digest(prepared: str) -> bytes | None:
    """What `AppPassword.digest` of this secret is; None for what can not be one of ours. `prepared`:
    `proto.sasl.prepare`. Costs a microsecond."""
    bare = prepared.translate(_SPACERS).lower()
    if len(bare) != LENGTH or not bare.isascii():
        return None
    return hashlib.sha256(bare.encode()).digest()
