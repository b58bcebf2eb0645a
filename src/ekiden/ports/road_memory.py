"""RoadMemory: what is known of the road to port 25, shared by the workers of a machine, and kept over restarts.

Contract
1. `read` is asked once a second by each worker: it costs next to nothing while nothing changed. It never raises: what
   cannot be read is not there.
2. `write` replaces all of it, for every worker. What cannot be stored counts in this process alone. It never raises.
3. Who writes is on duty (`delivery.road_watch`), so that no word of another worker is lost.
"""

from __future__ import annotations

from typing import Protocol

from ekiden.model.road_block import RoadState


class RoadMemory(Protocol):
    def read(self) -> RoadState: ...

    async def write(self, state: RoadState) -> None: ...
