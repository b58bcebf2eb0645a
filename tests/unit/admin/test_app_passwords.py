"""Use cases around app passwords: who is told what, and which changes end sessions."""

from __future__ import annotations

import pytest

from ekiden.accounts.app_passwords import Wish, secret_digest
from ekiden.accounts.refusal import Refused
from ekiden.admin.app_passwords import AppPasswordDesk
from ekiden.model.events import AccountChanged
from ekiden.ports.directory import DirectoryConflict
from tests.fakes.clock import FakeRandom
from tests.unit.admin.test_accounts import PASSWORD, Desk

YOU = "you@example.test"


class Office(Desk):
    def __init__(self):
        super().__init__()
        self.app_passwords = AppPasswordDesk(self.use, self.directory, self.clock, FakeRandom(7))

    async def epoch(self):
        return (await self.directory.account(YOU)).epoch


@pytest.fixture
async def office():
    office = Office()
    await office.use.add(YOU, PASSWORD)
    return office


async def test_adding_shows_the_secret_once_and_ends_no_session(office):
    before = await office.epoch()
    new = await office.app_passwords.add("You@Example.test", Wish("Phone"))
    assert await office.app_passwords.list(YOU) == (new.app_password,)
    assert new.app_password.digest == secret_digest(new.secret)
    assert await office.epoch() == before
    event = office.sink.of(AccountChanged)[-1]
    assert (event.action, event.account, event.by) == ("app-password-add", YOU, "root")
    assert event.what == f"{new.app_password.id} (Phone)"
    assert new.secret not in repr(office.sink.events)


async def test_revoking_ends_sessions_and_leaves_the_others(office):
    phone = (await office.app_passwords.add(YOU, Wish("Phone"))).app_password
    tablet = (await office.app_passwords.add(YOU, Wish("Tablet"))).app_password
    before = await office.epoch()
    assert await office.app_passwords.revoke(YOU, "phone") == phone
    assert await office.epoch() > before
    assert await office.app_passwords.list(YOU) == (tablet,)
    assert await office.app_passwords.revoke(YOU, tablet.id) == tablet
    assert [event.what for event in office.sink.of(AccountChanged)[-2:]] == [
        f"{phone.id} (Phone)",
        f"{tablet.id} (Tablet)",
    ]


async def test_all_are_revoked_at_once(office):
    made = []
    for name in ("Phone", "Tablet"):
        made.append((await office.app_passwords.add(YOU, Wish(name))).app_password)
        office.clock.advance(1)
    assert list(await office.app_passwords.revoke_all(YOU)) == made
    assert await office.app_passwords.list(YOU) == ()
    before = await office.epoch(), office.told
    assert list(await office.app_passwords.revoke_all(YOU)) == []
    assert (await office.epoch(), office.told) == before


async def test_a_new_main_password_leaves_them(office):
    phone = (await office.app_passwords.add(YOU, Wish("Phone"))).app_password
    await office.use.passwd(YOU, "quick foxes jump over 9 dogs")
    assert await office.app_passwords.list(YOU) == (phone,)


async def test_refusals_change_nothing_and_tell_nobody(office):
    await office.app_passwords.add(YOU, Wish("Phone"))
    before, told = await office.directory.account(YOU), office.told
    for call, error in (
        (office.app_passwords.add(YOU, Wish("PHONE")), DirectoryConflict),
        (office.app_passwords.add(YOU, Wish("")), Refused),
        (office.app_passwords.add("no@example.test", Wish("Phone")), DirectoryConflict),
        (office.app_passwords.revoke(YOU, "Tablet"), DirectoryConflict),
        (office.app_passwords.revoke(YOU, ""), DirectoryConflict),
    ):
        with pytest.raises(error):
            await call
    assert (await office.directory.account(YOU), office.told) == (before, told)
