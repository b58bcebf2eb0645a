"""What is known of the road to other servers' port 25: which families of addresses it is blocked for, and by what that
was seen. Kept by `ports.road_memory`, decided by `policy.road_block`, read by delivery and by every face."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec


class Family(StrEnum):
    IPV4 = "IPv4"
    IPV6 = "IPv6"


def family_of(address: str) -> Family:
    return Family.IPV6 if ":" in address else Family.IPV4


class Trouble(StrEnum):
    """How connections to port 25 fail. The first four: how a road is blocked."""

    DROPPED = "dropped"
    RESET = "reset"
    PROHIBITED = "prohibited"
    FOREIGN = "foreign-banner"
    NOT_SMTP = "not-smtp"


#: For people: "connections to port 25 …".
TROUBLES: Final = {
    Trouble.DROPPED: "are silently dropped: nothing answers",
    Trouble.RESET: "are refused or reset by something on the way",
    Trouble.PROHIBITED: "are prohibited: the network says that they may not pass",
    Trouble.FOREIGN: "are answered by another server than the one that was asked",
    Trouble.NOT_SMTP: "are answered by something that does not speak SMTP",
}


class RoadBlock(msgspec.Struct, frozen=True, kw_only=True):
    """`since`, `looked`: seconds since 1970; when it was judged, and when it was looked at last. `evidence`: what each
    host answered. `banner`: of the other server. `told`: the postmaster has been written to."""

    family: Family
    kind: Trouble
    since: float
    looked: float
    evidence: tuple[str, ...] = ()
    banner: str = ""
    told: bool = False

    @property
    def reason(self) -> str:
        """A sentence for people, senders included."""
        return f"this network blocks port 25: connections over {self.family} {TROUBLES[self.kind]}"


class RoadState(msgspec.Struct, frozen=True, kw_only=True):
    """`blocks`: one a family at most. `looked`: when each family was examined last, whatever came of it."""

    blocks: tuple[RoadBlock, ...] = ()
    looked: dict[Family, float] = {}

    def block_of(self, family: Family) -> RoadBlock | None:
        return next((block for block in self.blocks if block.family is family), None)

    def blocked(self, block: RoadBlock) -> RoadState:
        """With this block instead of an earlier one of its family."""
        others = tuple(one for one in self.blocks if one.family is not block.family)
        return RoadState(blocks=(*others, block), looked={**self.looked, block.family: block.looked})

    def opened(self, family: Family, now: float) -> RoadState:
        others = tuple(one for one in self.blocks if one.family is not family)
        return RoadState(blocks=others, looked={**self.looked, family: now})
