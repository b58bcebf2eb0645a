"""Use cases around `send_as`."""

from __future__ import annotations

import pytest

from ekiden.accounts.refusal import Malformed, Refused
from ekiden.admin import grants
from ekiden.admin.grants import GrantDesk
from ekiden.ports.directory import DirectoryConflict
from tests.unit.admin.test_accounts import PASSWORD, Desk

YOU = "you@example.test"


class Office(Desk):
    def __init__(self):
        super().__init__()
        self.grants = GrantDesk(self.use, self.directory, self.clock)


@pytest.fixture
async def office():
    office = Office()
    await office.use.add(YOU, PASSWORD)
    return office


async def test_grants_come_and_go_in_key_form_and_end_sessions(office):
    epoch = (await office.directory.account(YOU)).epoch
    assert await office.grants.add(YOU, "Sales@FAR.test")
    assert await office.grants.add(YOU, "@Bücher.test")
    assert not await office.grants.add(YOU, "sales@far.test")
    assert await office.grants.list(YOU) == ("sales@far.test", "@xn--bcher-kva.test")
    assert (await office.directory.account(YOU)).epoch == epoch + 2
    await office.grants.remove(YOU, "SALES@far.test")
    assert await office.grants.list(YOU) == ("@xn--bcher-kva.test",)
    assert office.told[1:] == [(a, YOU, "root") for a in ("send-as-add", "send-as-add", "send-as-remove")]
    assert office.sink.events[-1].what == "sales@far.test"


async def test_refusals_change_nothing_and_tell_nobody(office, monkeypatch):
    await office.grants.add(YOU, "sales@far.test")
    monkeypatch.setattr(grants, "MAX_GRANTS", 1)
    before, told = await office.directory.account(YOU), office.told
    for call, error, words in (
        (office.grants.add(YOU, "you@EXAMPLE.test"), Refused, "own address"),
        (office.grants.add(YOU, "sales"), Malformed, "OTHER: 'sales' is no address"),
        (office.grants.add(YOU, "@"), Malformed, "OTHER: "),
        (office.grants.add(YOU, "@far test"), Malformed, "OTHER: "),
        (office.grants.add(YOU, "more@far.test"), Refused, "grant it a domain instead"),
        (office.grants.add("no@example.test", "a@far.test"), DirectoryConflict, "no account"),
        (office.grants.remove(YOU, "other@far.test"), DirectoryConflict, "was not granted other@far.test"),
    ):
        with pytest.raises(error, match=words):
            await call
    assert (await office.directory.account(YOU), office.told) == (before, told)
