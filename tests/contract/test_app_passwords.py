"""App passwords and grants in the contract of `ports.directory`, on every engine."""

from __future__ import annotations

import apsw
import msgspec
import pytest

from ekiden.model.account import MAX_APP_PASSWORDS, AppPassword
from ekiden.ports.directory import DirectoryConflict
from ekiden.storage.memory.directory import MemoryDirectory
from ekiden.storage.sqlite import directory_rows
from ekiden.storage.sqlite.directory import APPLICATION_ID, SqliteDirectory
from ekiden.storage.sqlite.migrations import migrate
from tests.contract.test_directory import account

YOU = "you@example.test"
NOW = 1_767_225_600.0


def phone(number: int = 1, **changes: object) -> AppPassword:
    made = AppPassword(f"k{number}", f"Phone {number}", b"d" * 32, b"k" * 32, b"v" * 32, created=float(number))
    return msgspec.structs.replace(made, **changes)


@pytest.fixture(params=["memory", "sqlite"])
def make(request, tmp_path):
    opened = []

    def make():
        opened.append(MemoryDirectory() if request.param == "memory" else SqliteDirectory(tmp_path / "directory.db"))
        return opened[-1]

    yield make
    for engine in opened:
        engine.close()


@pytest.fixture
async def directory(make):
    engine = make()
    await engine.add_account(account(YOU))
    await engine.add_account(account("amy@second.test"))
    return engine


async def stored(directory, name=YOU):
    return (await directory.account(name)).app_passwords


async def test_all_that_an_account_has_comes_back(make):
    directory = make()
    limits = {"scopes": ("fetch",), "networks": ("192.0.2.0/24", "2001:db8::/32"), "expires": 9.5}
    whole = account(
        YOU,
        app_passwords=(phone(1), phone(2, **limits)),
        send_as=("info@example.test", "@far.test"),
        password_changed=7.5,
        password_history=("$argon2id$b", "$argon2id$a"),
    )
    await directory.add_account(whole)
    assert await directory.account(YOU) == whole
    assert await directory.accounts() == [whole]
    assert await directory.accounts("example.test") == [whole]


async def test_adding_one_ends_no_session_and_two_who_add_both_succeed(directory):
    before = await directory.account(YOU)
    await directory.add_app_password(YOU, phone(2))
    await directory.add_app_password(YOU, phone(1))
    assert await directory.account(YOU) == msgspec.structs.replace(before, app_passwords=(phone(1), phone(2)))
    assert await stored(directory, "amy@second.test") == ()


async def test_a_change_that_did_not_know_of_a_new_one_keeps_it(directory):
    before = await directory.account(YOU)
    await directory.add_app_password(YOU, phone())
    await directory.change_account(msgspec.structs.replace(before, send_as=("@far.test",)))
    after = await directory.account(YOU)
    assert (after.app_passwords, after.send_as, after.epoch) == ((phone(),), ("@far.test",), before.epoch + 1)


async def test_removing_one_grows_the_epoch_and_leaves_the_others(directory):
    for number in (1, 2, 3):
        await directory.add_app_password(YOU, phone(number))
    await directory.add_app_password("amy@second.test", phone(1))
    before = await directory.account(YOU)
    calls = []
    directory.on_change(lambda: calls.append(1))
    await directory.remove_app_password(YOU, "k2")
    directory.tick()
    assert calls
    after = await directory.account(YOU)
    assert (after.epoch, after.app_passwords) == (before.epoch + 1, (phone(1), phone(3)))
    await directory.remove_app_password(YOU)
    assert await stored(directory) == ()
    assert await stored(directory, "amy@second.test") == (phone(1),)


async def test_conflicts_change_nothing(directory):
    await directory.add_app_password(YOU, phone())
    before = await directory.account(YOU)
    for change, words in (
        (directory.add_app_password("no@example.test", phone()), "no account no@example.test"),
        (directory.add_app_password(YOU, phone(2, name="PHONE 1")), "PHONE 1 already"),
        (directory.add_app_password(YOU, phone(2, id="k1")), "already"),
        (directory.add_app_password(YOU, phone(2, name="k1")), "already"),
        (directory.remove_app_password(YOU, "k2"), "no app password k2"),
        (directory.remove_app_password("amy@second.test"), "no app passwords"),
        (directory.remove_app_password("no@example.test", "k1"), "no account no@example.test"),
    ):
        with pytest.raises(DirectoryConflict, match=words):
            await change
    assert await directory.account(YOU) == before


async def test_there_is_a_most(directory):
    for number in range(MAX_APP_PASSWORDS):
        await directory.add_app_password(YOU, phone(number))
    with pytest.raises(DirectoryConflict, match="100 app passwords; revoke"):
        await directory.add_app_password(YOU, phone(MAX_APP_PASSWORDS))


async def test_an_account_made_anew_has_nothing_of_the_old_one(directory):
    await directory.change_account(
        msgspec.structs.replace(await directory.account(YOU), send_as=("@far.test",), password_history=("$x",))
    )
    await directory.add_app_password(YOU, phone())
    await directory.app_password_used(YOU, "k1", NOW, "192.0.2.1")
    await directory.remove_account(YOU)
    await directory.add_account(account(YOU))
    new = await directory.account(YOU)
    assert (new.app_passwords, new.send_as, new.password_history) == ((), (), ())
    await directory.add_app_password(YOU, phone())
    assert await stored(directory) == (phone(),), "never used"


async def test_the_last_use_is_noted_coarsely(make, directory):
    await directory.add_app_password(YOU, phone())
    epoch = (await directory.account(YOU)).epoch
    for when, client, noted in (
        (NOW, "192.0.2.1", NOW),
        (NOW + 3599, "192.0.2.1", NOW),
        (NOW + 3600, "192.0.2.1", NOW + 3600),
        (NOW + 3659, "192.0.2.2", NOW + 3600),
        (NOW + 3660, "192.0.2.2", NOW + 3660),
        (NOW - 100, "192.0.2.2", NOW - 100),
    ):
        await directory.app_password_used(YOU, "k1", when, client)
        directory = make() if isinstance(directory, SqliteDirectory) else directory
        (found,) = await stored(directory)
        assert found.last_used == noted, (when, client)
    assert found.last_client == "192.0.2.2"
    assert (await directory.account(YOU)).epoch == epoch


async def test_a_use_calls_nobody_and_never_raises(directory):
    await directory.add_app_password(YOU, phone())
    directory.tick()
    directory.tick()
    calls = []
    directory.on_change(lambda: calls.append(1))
    await directory.app_password_used(YOU, "k1", NOW, "192.0.2.1")
    await directory.app_password_used("no@example.test", "k1", NOW, "192.0.2.1")
    await directory.app_password_used(YOU, "no", NOW, "192.0.2.1")
    directory.tick()
    assert calls == []


async def test_a_last_use_survives_a_removal_of_another_one(directory):
    await directory.add_app_password(YOU, phone(1))
    await directory.add_app_password(YOU, phone(2))
    await directory.app_password_used(YOU, "k1", NOW, "192.0.2.1")
    await directory.remove_app_password(YOU, "k2")
    assert [there.last_used for there in await stored(directory)] == [NOW]


# SQLite alone


async def test_a_use_that_says_nothing_new_costs_no_question(tmp_path):
    directory = SqliteDirectory(tmp_path / "directory.db")
    await directory.add_account(account(YOU, app_passwords=(phone(),)))
    await directory.app_password_used(YOU, "k1", NOW, "192.0.2.1")
    assert not directory._last_use.is_news(YOU, "k1", NOW + 3599, "192.0.2.1")
    assert directory._last_use.is_news(YOU, "k1", NOW + 3600, "192.0.2.1")
    assert directory._last_use.is_news(YOU, "k2", NOW, "192.0.2.1")
    directory.close()


async def test_a_use_that_can_not_be_noted_is_no_fault(tmp_path):
    directory = SqliteDirectory(tmp_path / "directory.db")
    await directory.add_account(account(YOU, app_passwords=(phone(),)))
    apsw.Connection(str(tmp_path / "last-use.db")).execute("DROP TABLE last_use")
    await directory.app_password_used(YOU, "k1", NOW, "192.0.2.1")
    assert await stored(directory) == (phone(),)
    await directory.remove_app_password(YOU, "k1")
    directory.close()


async def test_accounts_of_before_app_passwords_are_read(tmp_path):
    path = tmp_path / "directory.db"
    old = apsw.Connection(str(path))
    migrate(old, application_id=APPLICATION_ID, steps=directory_rows.STEPS[:1])
    row = (YOU, "example.test", "$argon2id$x", b"s" * 16, 4096, b"k" * 32, b"v" * 32, 1, 3, 1.5, 2.5)
    old.execute("INSERT INTO account VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    old.close()
    directory = SqliteDirectory(path)
    assert await directory.account(YOU) == account(YOU, epoch=3, password_changed=2.5)
    await directory.add_app_password(YOU, phone())
    assert await stored(directory) == (phone(),)
    directory.close()
