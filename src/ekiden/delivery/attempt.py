"""An attempt: one leg on its way, and what the replies of a peer come to for each of its recipients. Pure.

Rules
1. Each recipient has its own outcome: 2xx relayed, 5xx failed, everything else delayed. What is unknown (a connection
   lost before the final reply) is delayed, never failed.
2. A leg goes in as many transactions as the peer's limit asks for. Recipients that a peer refused with "too many"
   (452 4.5.3, 552 5.5.3, a bare 452; RFC 5321 §4.5.3.1.10) go again at once, as long as the transaction before took
   somebody.
3. A transaction whose content was not yet sent completely has surely not been taken: it may be sent again at once, a
   few times (a kept connection that the peer closed just then is no reason to wait for minutes).
4. One whose content was sent and never answered is a possible duplicate: it is tried again, and counted. A 421 is an
   answer, and says no (RFC 5321 §4.2.2).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from ekiden.model.envelope import Recipient
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.model.reply import Reply
from ekiden.ports.spool import Claim

#: Recipients of one transaction when the peer announced nothing (RFC 5321 §4.5.3.1.8: 100 must be taken).
RECIPIENTS: Final = 100
#: How often a transaction that was surely not taken is sent again at once before it is delayed.
IMMEDIATE_RETRIES: Final = 2
#: Of a letter that waits for a person (RFC 3463 §3.8: other or undefined policy status).
HELD_STATUS: Final = "4.7.0"


class Attempt:
    """`outcomes`: by index of the leg's recipients, None while undecided. `batch`: the indexes under way.

    `started`: monotonic seconds, 0.0 before it was first sent. `retries`: see rule 3. `hold_reason`: what is
    delayed of it is held for a person, '' if it is tried again."""

    __slots__ = (
        "batch",
        "claim",
        "hold_reason",
        "ipv6_refusals",
        "outcomes",
        "remote",
        "retries",
        "started",
        "tls",
        "where",
    )

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self.outcomes: list[Outcome | None] = [None] * len(claim.leg.recipients)
        self.batch: Sequence[int] = ()
        self.started = 0.0
        self.retries = 0
        self.ipv6_refusals = 0
        self.hold_reason = ""
        self.remote = ""
        self.tls = ""
        self.where = ""

    @property
    def is_decided(self) -> bool:
        return None not in self.outcomes

    @property
    def is_untouched(self) -> bool:
        """True while nothing is decided: it can be given back unattempted."""
        return all(outcome is None for outcome in self.outcomes)

    def next_batch(self, limit: int) -> list[Recipient]:
        """The recipients of the next transaction, `limit` at most."""
        recipients = self.claim.leg.recipients
        if len(recipients) <= limit and self.is_untouched:
            self.batch = range(len(recipients))
            return recipients
        self.batch = [index for index, outcome in enumerate(self.outcomes) if outcome is None][:limit]
        return [recipients[index] for index in self.batch]

    def take_replies(self, replies: Sequence[Reply], *, dsn: bool, again: Collection[int] = ()) -> None:
        """One reply a recipient of the batch. `dsn`: the peer took over the DSN wishes. Recipients that shall go
        again at once (`again`, by index, and too many) stay undecided."""
        some_taken = len(replies) > 1 and any(reply.is_positive for reply in replies)
        for index, reply in zip(self.batch, replies, strict=True):
            if index in again or (some_taken and is_too_many(reply)) or self._is_held(index):
                continue
            self.outcomes[index] = outcome_of(
                self.claim.leg.recipients[index].forward_path, reply, self.remote, self.tls, dsn=dsn
            )
        self.batch = ()

    def hold(self, replies: Sequence[Reply], wanted: Collection[int], reason: str) -> None:
        """Recipients of the batch (`wanted`: their places in it) that were refused for good, but are not to fail."""
        self.hold_reason = reason
        for place in wanted:
            index, reply = self.batch[place], replies[place]
            path = self.claim.leg.recipients[index].forward_path
            text = f"{reply} (held: {reason})"
            self.outcomes[index] = Outcome(path, OutcomeKind.DELAYED, 451, HELD_STATUS, text, self.remote, self.tls)

    def decide_rest(self, kind: OutcomeKind, code: int, status: str, text: str, remote: str = "") -> None:
        """The same outcome for everybody who is undecided."""
        for index, outcome in enumerate(self.outcomes):
            if outcome is None:
                path = self.claim.leg.recipients[index].forward_path
                self.outcomes[index] = Outcome(path, kind, code, status, text, remote, self.tls if remote else "")
        self.batch = ()

    def _is_held(self, index: int) -> bool:
        return bool(self.hold_reason) and self.outcomes[index] is not None

    def take_known(self, replies: Sequence[Reply | None]) -> None:
        """The session ended in the midst: what is known of the batch holds, such as a 550 to one RCPT."""
        for index, reply in zip(self.batch, replies, strict=True):
            if reply is not None:
                path = self.claim.leg.recipients[index].forward_path
                self.outcomes[index] = outcome_of(path, reply, self.remote, self.tls)

    def take_unknown(self, reason: Reply, *, whole: bool) -> None:
        """After `take_known`: what is left is delayed. `reason`: their 421, or what we saw. `whole`: they had the whole
        content (rule 4)."""
        status = reason.status if reason.status.startswith("4.") else "4.4.2"
        if reason.code == 421:
            self.decide_rest(OutcomeKind.DELAYED, 421, status, reason.text, self.remote)
            return
        text = f"{self.remote}: {reason.text}"
        for index in self.batch if whole else ():
            if self.outcomes[index] is None:
                path = self.claim.leg.recipients[index].forward_path
                self.outcomes[index] = Outcome(path, OutcomeKind.DELAYED, 451, status, text, possible_duplicate=True)
        self.decide_rest(OutcomeKind.DELAYED, 451, status, text)

    def may_go_again(self) -> bool:
        """Counts an immediate retry (rule 3); False when there were enough."""
        self.retries += 1
        self.batch = ()
        return self.retries <= IMMEDIATE_RETRIES


def is_too_many(reply: Reply) -> bool:
    """RFC 5321 §4.5.3.1.10: a limit of the transaction, not of the recipient."""
    if reply.code == 452:
        return reply.status in ("", "4.5.3")
    return reply.code == 552 and reply.status == "5.5.3"


def outcome_of(path: str, reply: Reply, remote: str, tls: str, *, dsn: bool = False) -> Outcome:
    """What one recipient's reply comes to. A reply without enhanced status code gets the general one of its class."""
    if reply.code // 100 == 2:
        return Outcome(path, OutcomeKind.RELAYED, reply.code, reply.status or "2.0.0", reply.text, remote, tls, dsn)
    if reply.is_permanent:
        return Outcome(path, OutcomeKind.FAILED, reply.code, reply.status or "5.0.0", reply.text, remote, tls)
    return Outcome(path, OutcomeKind.DELAYED, reply.code, reply.status or "4.0.0", reply.text, remote, tls)
