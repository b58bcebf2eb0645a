"""Letters for delivery's tests."""

from __future__ import annotations

from ekiden.model.envelope import Envelope, Leg, Origin, Recipient
from ekiden.model.ids import LetterId
from ekiden.ports.spool import Claim
from ekiden.storage.memory.content import MemoryContent

CONTENT = b"From: <a@example.test>\r\nSubject: x\r\n\r\nhello\r\n"


def claim(*paths: str | Recipient, letter: int = 1, next_hop: str = "mx:far.test", flow: str = "") -> Claim:
    recipients = [path if isinstance(path, Recipient) else Recipient(path) for path in paths or ("b@far.test",)]
    envelope = Envelope("a@example.test", 0.0, Origin(), size_octets=len(CONTENT), header_octets=39)
    leg = Leg(LetterId(letter), 0, next_hop, recipients, flow)
    return Claim(LetterId(letter), envelope, leg, MemoryContent(CONTENT))
