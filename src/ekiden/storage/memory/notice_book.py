"""MemoryNoticeBook: the NoticeBook of tests."""

from __future__ import annotations


class MemoryNoticeBook:
    def __init__(self) -> None:
        self._told: dict[tuple[str, str], float] = {}

    async def take(self, kind: str, about: str, now: float, period: float) -> bool:
        told = self._told.get((kind, about))
        if told is not None and now - period < told <= now:
            return False
        self._told[kind, about] = now
        return True

    async def give_back(self, kind: str, about: str) -> None:
        self._told.pop((kind, about), None)
