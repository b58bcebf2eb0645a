"""Brakes: what sessions ask about the brake (`policy.brake`), in memory: once a letter that a login sends."""

from __future__ import annotations

from typing import Final, Protocol


class Brakes(Protocol):
    def why_held(self, account: str) -> str:
        """The `hold_reason` of what this account sends now; '' if its letters go their way. Of what other workers
        decided it hears within two seconds."""


class _NoBrakes:
    def why_held(self, account: str) -> str:
        return ""


#: For a configuration without the brake, for rehearsals and tests.
NO_BRAKES: Final[Brakes] = _NoBrakes()
