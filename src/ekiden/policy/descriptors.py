"""How many outbound connections a worker may have, by the file descriptors that its process gets. Pure.

Rules
1. What the doors may need (`limits.sessions`) and what stores and log need (`OTHERS`) comes first; delivery has the
   rest, `MOST` at most: each connection is memory, too, and one worker is not done sooner with more.
2. Where descriptors are too few for that, delivery has a quarter of them nevertheless: doors that are full refuse with
   421 and lose nothing, while a queue that stands still keeps everybody waiting.

Called by app when a worker is composed.
"""

from __future__ import annotations

from typing import Final

MOST: Final = 2_000
#: Databases, content files being read and written, log, bells, DNS, refusals (`net.listener`).
OTHERS: Final = 800


def outbound_connections(descriptors: int, sessions: int) -> int:
    """`descriptors`: the process's limit; `sessions`: what its doors take at once."""
    return max(1, min(MOST, max(descriptors - sessions - OTHERS, descriptors // 4)))
