"""What the benchmark carries: five ways in which letters come, and where they go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

#: Recipients: a relayed letter's, and the mailboxes of the inbound scenario.
SINK_RECIPIENT: Final = "someone@sink.test"
BOXES: Final = tuple(f"box{number}" for number in range(5))
BOX_DOMAIN: Final = "bench.test"
#: Who logs in on 587.
LOGIN: Final = f"writer@{BOX_DOMAIN}"
PASSWORD: Final = "lab-only-quince-harbour-93"
SESSIONS: Final = 50


@dataclass(frozen=True)
class Scenario:
    """`name`: on the command line. `title`: above the table. `submission`: 587, STARTTLS, AUTH. `inbound`: into
    mailboxes instead of on to a sink."""

    name: str
    title: str
    size_octets: int = 4096
    kept: bool = True
    submission: bool = False
    inbound: bool = False

    @property
    def sender(self) -> str:
        return LOGIN if self.submission else "sender@source.test"

    @property
    def recipients(self) -> tuple[str, ...]:
        return tuple(f"{box}@{BOX_DOMAIN}" for box in BOXES) if self.inbound else (SINK_RECIPIENT,)


SCENARIOS: Final = (
    Scenario("kept", "4 KiB, kept connections"),
    Scenario("new", "4 KiB, a new connection a letter", kept=False),
    Scenario("large", "100 KiB, kept connections", size_octets=100 * 1024),
    Scenario("submission", "4 KiB through 587 with STARTTLS and AUTH, kept connections", submission=True),
    Scenario("inbound", f"4 KiB into {len(BOXES)} mailboxes (Maildir), kept connections", inbound=True),
)
