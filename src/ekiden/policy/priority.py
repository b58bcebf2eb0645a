"""Which priority a letter gets of the one that its client asks for (RFC 6710 §4.1). Pure.

Rules
1. Everybody may say that his letter is less urgent than others (below 0).
2. More urgent than others: logins and trusted networks, up to what the postmaster allows. A stranger gets 0: else every
   bulk mailer would be first.
3. The MT-Priority header field (RFC 6758) is text that anybody writes: it passes unchanged and counts for nothing.

Called by the sessions of the doors.
"""

from __future__ import annotations


def grant_priority(wanted: int, *, known: bool, most: int) -> int:
    """`wanted`: from -9 to 9. `known`: logged in, or of a trusted network. `most`: limit for those."""
    return min(wanted, most if known else 0)
