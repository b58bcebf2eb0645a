"""docs/doors.md says what the doors do and what the events say."""

from __future__ import annotations

import re
from pathlib import Path

from ekiden.admin.event_text import sentence
from ekiden.model.door import DOORS, Door
from ekiden.model.events import DoorWrong
from ekiden.model.wrong_door import WrongDoor, advise

PAGE = (Path(__file__).resolve().parents[3] / "docs/doors.md").read_text(encoding="utf-8")


def test_every_door_stands_in_the_page_as_it_is() -> None:
    rows = {int(row[0]): row for row in re.findall(r"^\| \*\*(\d+)\*\* \|.*\| (.*) \| (.*) \|$", PAGE, re.MULTILINE)}
    assert set(rows) == {facts.port for facts in DOORS.values()}
    for facts in DOORS.values():
        _, tls, login = rows[facts.port]
        assert ("first byte" in tls) == facts.implicit_tls
        assert login == ("yes" if facts.login else "never")


def test_a_phone_with_the_wrong_setting_leaves_the_event_that_the_page_shows() -> None:
    event = DoorWrong(door="submission", client="192.0.2.7", what="tls", advice=advise(Door.SUBMISSION, WrongDoor.TLS))
    assert f"door.wrong          {sentence(event)}\n" in PAGE


def test_the_page_names_only_what_events_say() -> None:
    named = {word for cell in re.findall(r"`door\.wrong` \(([^)]*)\)", PAGE) for word in re.findall(r"`([^`]*)`", cell)}
    assert named
    assert named <= {what.value for what in WrongDoor}
