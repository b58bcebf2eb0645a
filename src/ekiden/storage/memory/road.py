"""MemoryRoad: `ports.road_memory.RoadMemory` for tests. `shared`: of another worker."""

from __future__ import annotations

from ekiden.model.road_block import RoadState


class MemoryRoad:
    def __init__(self, shared: MemoryRoad | None = None) -> None:
        self._box: list[RoadState] = shared._box if shared else [RoadState()]

    def read(self) -> RoadState:
        return self._box[0]

    async def write(self, state: RoadState) -> None:
        self._box[0] = state
