"""Who tries out names."""

from __future__ import annotations

import pytest

from ekiden.model.decision import Decision, Verdict
from ekiden.policy.harvest import HarvestFacts, decide_unknown, is_unknown
from ekiden.policy.relay import NO_SUCH_USER, RELAY_DENIED

UNKNOWN = Decision(Verdict.REJECT, "own-domain-unknown", "no such name", NO_SUCH_USER)


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        (HarvestFacts(20, 200, 20), "own-domain-unknown"),
        (HarvestFacts(21, 21, 20), "unknown-recipients"),
        (HarvestFacts(1, 201, 20), "unknown-recipients"),
        (HarvestFacts(999, 999, 0), "own-domain-unknown"),
    ],
)
def test_limits_at_their_edges(facts, rule) -> None:
    decision = decide_unknown(UNKNOWN, facts)
    assert decision.rule == rule
    assert decision.reply is not None
    assert decision.reply.code == (550 if rule == "own-domain-unknown" else 450)


def test_what_says_that_a_name_does_not_exist() -> None:
    assert is_unknown(UNKNOWN)
    assert is_unknown(Decision(Verdict.REJECT, "own-domain-callahead", "", NO_SUCH_USER))
    assert not is_unknown(Decision(Verdict.DEFER, "own-domain-callahead", "", NO_SUCH_USER))
    assert not is_unknown(Decision(Verdict.REJECT, "relay-denied", "", RELAY_DENIED))
