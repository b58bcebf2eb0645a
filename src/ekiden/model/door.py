"""Doors: the listeners that people and servers knock at, and what each of them is for.

The table in the README says the same as `DOORS`; a test compares them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Door(StrEnum):
    """The name of a listener in the configuration, in events and on the command line."""

    RELAY = "relay"
    SUBMISSION = "submission"
    SUBMISSIONS = "submissions"
    POP3 = "pop3"
    POP3S = "pop3s"


class DoorFacts(NamedTuple):
    """`port`: the registered one. `implicit_tls`: TLS from the first byte. `login`: nobody passes without one."""

    port: int
    implicit_tls: bool
    login: bool
    speaks: str


DOORS: Final[dict[Door, DoorFacts]] = {
    Door.RELAY: DoorFacts(25, implicit_tls=False, login=False, speaks="SMTP"),
    Door.SUBMISSION: DoorFacts(587, implicit_tls=False, login=True, speaks="SMTP"),
    Door.SUBMISSIONS: DoorFacts(465, implicit_tls=True, login=True, speaks="SMTP"),
    Door.POP3: DoorFacts(110, implicit_tls=False, login=True, speaks="POP3"),
    Door.POP3S: DoorFacts(995, implicit_tls=True, login=True, speaks="POP3"),
}
