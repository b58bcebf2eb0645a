"""Outcome: how one attempt ended for one recipient.

delivered   in a mailbox of ours                        final
relayed     another server took responsibility (250)    final
expanded    replaced by other recipients (alias)        final; they are new legs of the same letter
failed      permanently: a report goes to the sender    final
removed     a person took it out of the queue           final; an event says who
delayed     not yet, or unknown: tried again            stays queued

Rule: what is unknown (a connection lost before the reply, a reply that is no reply) is *delayed*, never failed.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class OutcomeKind(StrEnum):
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    FAILED = "failed"
    REMOVED = "removed"
    DELAYED = "delayed"


class Outcome(msgspec.Struct, array_like=True):
    """One recipient's outcome.

    `code`/`status`/`text`: the reply that decided, ours or the other server's (`remote` names that host, '' if ours).
    `tls`: how the connection was protected, or ''. `dsn_relayed`: the next hop took over the DSN wishes (it offers
    DSN). `possible_duplicate`: delayed because the answer to the whole content never came: the next attempt may be a
    second copy (RFC 5321 §6.1).
    """

    forward_path: str
    kind: OutcomeKind
    code: int = 250
    status: str = "2.0.0"
    text: str = ""
    remote: str = ""
    tls: str = ""
    dsn_relayed: bool = False
    possible_duplicate: bool = False

    @property
    def summary(self) -> str:
        """Such as `550 5.1.1 no such user`."""
        return f"{self.code} {self.status} {self.text}".strip()
