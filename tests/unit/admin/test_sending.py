"""Use cases around how much an account may send."""

from __future__ import annotations

import pytest

from ekiden.accounts.refusal import Refused
from ekiden.admin import sending
from ekiden.admin.sending import SendingDesk
from ekiden.config.model import Config, Profile
from ekiden.policy.limits import profiles_of
from ekiden.ports.directory import DirectoryConflict
from ekiden.storage.memory.known_recipients import MemoryKnownRecipients
from tests.unit.admin.test_accounts import PASSWORD, Desk

YOU = "you@example.test"
CONFIG = Config(hostname="-", data_dir="-", profile=(Profile(name="shop", recipients_per_hour=9),))


class Office(Desk):
    def __init__(self):
        super().__init__()
        self.known = MemoryKnownRecipients()
        self.sending = SendingDesk(self.use, self.directory, self.known, self.clock, profiles=profiles_of(CONFIG))

    async def text(self):
        return self.sending.profile_of(await self.directory.account(YOU)).text


@pytest.fixture
async def office():
    office = Office()
    await office.use.add(YOU, PASSWORD)
    return office


async def test_a_profile_is_given_and_taken_and_ends_sessions(office):
    epoch = (await office.directory.account(YOU)).epoch
    assert await office.text() == "person: 1,000 messages per day, 200 first time recipients per day"
    assert not await office.sending.set_profile(YOU, "person")
    assert await office.sending.set_profile(YOU, "shop")
    assert await office.text() == (
        "shop: 1,000 messages per day, 9 recipients per hour, 200 first time recipients per day"
    )
    assert await office.sending.set_profile(YOU, "person")
    account = await office.directory.account(YOU)
    assert (account.profile, account.epoch) == ("", epoch + 2)
    assert [event.what for event in office.sink.events[-2:]] == ["shop", "person"]


async def test_a_profile_that_is_gone_is_told(office):
    await office.sending.set_profile(YOU, "shop")
    office.sending = SendingDesk(office.use, office.directory, office.known, office.clock, profiles=profiles_of(
        Config(hostname="-", data_dir="-")))  # fmt: skip
    assert (await office.text()).startswith("shop, which is configured no more; so as person: 1,000")


async def test_recipients_are_imported_in_key_form_and_counted(office):
    lines = ["# readers", "", "Ann@FAR.test ", "ann@far.test", "b\u00fc@far.test"]
    assert await office.sending.import_recipients(YOU, lines) == (2, 2, 2)
    assert await office.sending.import_recipients(YOU, ["ann@far.test", "c@far.test"]) == (2, 1, 3)
    assert await office.known.knows(YOU, "ann@far.test")
    assert await office.sending.known(YOU) == 3
    await office.sending.forget(YOU)
    assert await office.sending.known(YOU) == 0


async def test_refusals_change_nothing(office, monkeypatch):
    monkeypatch.setattr(sending, "MOST_KNOWN", 3)
    before = await office.directory.account(YOU)
    for call, error, words in (
        (office.sending.set_profile(YOU, "postman"), Refused, "PROFILE: .* there are person, newsletter"),
        (office.sending.set_profile("no@example.test", "person"), DirectoryConflict, "no account"),
        (office.sending.import_recipients(YOU, ["a@far.test", "", "nobody"]), Refused, "FILE: line 3: .*no address"),
        (office.sending.import_recipients(YOU, ["# nobody"]), Refused, "FILE: holds no address"),
        (office.sending.import_recipients(YOU, [f"a{n}@far.test" for n in range(4)]), Refused, "more than 3"),
    ):
        with pytest.raises(error, match=words):
            await call
    assert await office.directory.account(YOU) == before
    assert await office.known.count(YOU) == 0
