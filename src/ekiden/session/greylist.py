"""Greylist: what `policy.greylist` needs to know, kept in the tally, so that all workers know it.

Called by `session.callers`; about 20 µs a recipient while it is on.
"""

from __future__ import annotations

from ekiden.model.decision import Decision
from ekiden.policy.greylist import (
    KEPT_SECONDS,
    MOST_NEW,
    NEW_WINDOW,
    TRUSTED_SECONDS,
    GreylistFacts,
    decide_greylist,
    greylist_network,
)
from ekiden.ports.tally import Tally


class Greylist:
    """`delay`: seconds until the second try is taken."""

    def __init__(self, tally: Tally, delay: float) -> None:
        self._tally = tally
        self._delay = delay

    def judge(self, client: str, reverse_path: str, forward_path: str) -> Decision:
        """`forward_path`: the mailbox's key."""
        tally, network = self._tally, greylist_network(client)
        trust, triple = f"grey-trust:{network}", f"grey:{network}:{reverse_path.lower()}:{forward_path}"
        trusted = tally.recall(trust) is not None
        age = None if trusted else tally.recall(triple)
        decision = decide_greylist(GreylistFacts(trusted, age, self._delay))
        if decision.accepted:
            tally.remember(trust, TRUSTED_SECONDS)
        elif age is None and tally.add(f"grey-new:{network}", NEW_WINDOW) <= MOST_NEW:
            tally.remember(triple, KEPT_SECONDS)
        return decision
