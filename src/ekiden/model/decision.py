"""Decision: what policy says, with its reason. `Ask` names a fact that is missing.

The pattern (DESIGN §1): gather facts → decide (pure) → act → reply. `decide(facts)` returns a Decision, or `Ask(fact)`:
the caller fetches just that fact and decides again. Rule names are stable: events show them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from ekiden.model.reply import Reply


class Verdict(StrEnum):
    ACCEPT = "accept"
    REJECT = "reject"
    DEFER = "defer"


class Decision(NamedTuple):
    """`rule`: the name of what decided. `reason`: for people. `reply`: what the client gets; None on accept means
    the usual one."""

    verdict: Verdict
    rule: str
    reason: str
    reply: Reply | None = None

    @property
    def accepted(self) -> bool:
        return self.verdict is Verdict.ACCEPT


class Ask(NamedTuple):
    """A fact that `decide` needs next, by its field name in the facts."""

    fact: str
