"""The contract of `ports.directory`, on every engine. `Pair`: two views of one directory, as two workers have them."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys

import apsw
import msgspec
import pytest

from ekiden.model.account import Account, Alias, DirectoryEntry, ScramVerifier, Standing
from ekiden.model.mailbox import Mailbox
from ekiden.ports.directory import DirectoryConflict, DirectoryFailed
from ekiden.storage.memory.directory import MemoryDirectory
from ekiden.storage.sqlite import directory as sqlite_directory
from ekiden.storage.sqlite.connection import DatabaseRefused
from ekiden.storage.sqlite.directory import SqliteDirectory

DOMAINS = ("example.test", "second.test")


def account(name: str, **changes: object) -> Account:
    scram = ScramVerifier(salt=b"s" * 16, iterations=4096, stored_key=b"k" * 32, server_key=b"v" * 32)
    return msgspec.structs.replace(Account(name, "$argon2id$x", scram, created=1.5, changed=2.5), **changes)


def mailbox(text: str) -> Mailbox:
    local_part, at, domain = text.rpartition("@")
    return Mailbox(local_part, domain) if at else Mailbox(text, "")


@pytest.fixture(params=["memory", "sqlite"])
def make(request, tmp_path):
    """A function that makes an engine; for SQLite each call opens the same file."""
    opened = []

    def make(**options):
        options.setdefault("domains", DOMAINS)
        if request.param == "memory":
            opened.append(MemoryDirectory(**options))
        else:
            opened.append(SqliteDirectory(tmp_path / "directory.db", **options))
        return opened[-1]

    yield make
    for engine in opened:
        engine.close()


@pytest.fixture
def directory(make):
    return make()


async def test_account_comes_back_as_it_was_stored(directory):
    assert await directory.account("you@example.test") is None
    await directory.add_account(account("you@example.test"))
    assert await directory.account("you@example.test") == account("you@example.test")
    await directory.change_account(account("you@example.test", profile="shop"))
    assert await directory.account("you@example.test") == account("you@example.test", profile="shop", epoch=2)


async def test_accounts_are_sorted_and_of_the_domain_asked_for(directory):
    for name in ("zoe@example.test", "bob@second.test", "amy@example.test"):
        await directory.add_account(account(name))
    assert [a.name for a in await directory.accounts()] == ["amy@example.test", "bob@second.test", "zoe@example.test"]
    assert [a.name for a in await directory.accounts("example.test")] == ["amy@example.test", "zoe@example.test"]
    assert await directory.accounts("other.test") == []


async def test_adding_twice_is_a_conflict_and_changes_nothing(directory):
    await directory.add_account(account("you@example.test"))
    with pytest.raises(DirectoryConflict, match=r"already an account you@example\.test"):
        await directory.add_account(account("you@example.test", argon2="other"))
    assert (await directory.account("you@example.test")).argon2 == "$argon2id$x"


async def test_change_replaces_and_counts_the_epoch_up(directory):
    await directory.add_account(account("you@example.test"))
    stored = await directory.account("you@example.test")
    await directory.change_account(msgspec.structs.replace(stored, enabled=False, changed=9.0))
    assert await directory.account("you@example.test") == account(
        "you@example.test", enabled=False, changed=9.0, epoch=stored.epoch + 1
    )


async def test_change_that_did_not_know_of_another_is_a_conflict(directory):
    await directory.add_account(account("you@example.test"))
    read = await directory.account("you@example.test")
    await directory.change_account(msgspec.structs.replace(read, enabled=False))
    with pytest.raises(DirectoryConflict, match="somebody else"):
        await directory.change_account(msgspec.structs.replace(read, argon2="new"))
    assert (await directory.account("you@example.test")).enabled is False


async def test_what_is_not_there_can_not_be_changed_or_removed(directory):
    for change in (
        directory.change_account(account("no@example.test")),
        directory.remove_account("no@example.test"),
        directory.remove_alias("no@example.test"),
    ):
        with pytest.raises(DirectoryConflict, match=r"no@example.test"):
            await change


async def test_an_account_made_anew_has_a_later_epoch(directory):
    await directory.add_account(account("you@example.test"))
    await directory.change_account(account("you@example.test"))
    before = await directory.account("you@example.test")
    await directory.remove_account("you@example.test")
    assert await directory.account("you@example.test") is None
    await directory.add_account(account("you@example.test"))
    assert (await directory.account("you@example.test")).epoch > before.epoch


async def test_aliases_gather_targets_once_each_in_order(directory):
    await directory.put_alias(Alias("info@example.test", ("You@example.test", "bob@far.test")))
    await directory.put_alias(Alias("info@example.test", ("you@EXAMPLE.test", "amy@far.test")))
    await directory.put_alias(Alias("@second.test", ("you@example.test",)))
    assert await directory.aliases() == [
        Alias("@second.test", ("you@example.test",)),
        Alias("info@example.test", ("You@example.test", "bob@far.test", "amy@far.test")),
    ]
    assert [a.name for a in await directory.aliases("second.test")] == ["@second.test"]


async def test_alias_loses_one_target_and_with_the_last_itself(directory):
    await directory.put_alias(Alias("info@example.test", ("a@far.test", "b@far.test")))
    with pytest.raises(DirectoryConflict, match=r"does not lead to c@far.test"):
        await directory.remove_alias("info@example.test", "c@far.test")
    await directory.remove_alias("info@example.test", "A@FAR.test")
    assert await directory.aliases() == [Alias("info@example.test", ("b@far.test",))]
    await directory.remove_alias("info@example.test", "b@far.test")
    assert await directory.aliases() == []


async def test_alias_is_removed_whole(directory):
    await directory.put_alias(Alias("info@example.test", ("a@far.test", "b@far.test")))
    await directory.remove_alias("info@example.test")
    assert await directory.aliases() == []


async def test_no_alias_may_shadow_an_account_nor_the_reverse(directory):
    await directory.add_account(account("you@example.test"))
    with pytest.raises(DirectoryConflict, match="is an account"):
        await directory.put_alias(Alias("you@example.test", ("a@far.test",)))
    await directory.put_alias(Alias("info@example.test", ("a@far.test",)))
    with pytest.raises(DirectoryConflict, match="is an alias"):
        await directory.add_account(account("info@example.test"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("you@example.test", DirectoryEntry(Standing.ACCOUNT, "you@example.test")),
        ("YOU@EXAMPLE.TEST.", DirectoryEntry(Standing.ACCOUNT, "you@example.test")),
        ('"you"@example.test', DirectoryEntry(Standing.ACCOUNT, "you@example.test")),
        ("you+tag@example.test", DirectoryEntry(Standing.ACCOUNT, "you@example.test")),
        ("you+special@example.test", DirectoryEntry(Standing.ALIAS, targets=("far@far.test",))),
        ("full+name@example.test", DirectoryEntry(Standing.ACCOUNT, "full+name@example.test")),
        ("info@example.test", DirectoryEntry(Standing.ALIAS, targets=("you@example.test", "b@far.test"))),
        ("info+x@example.test", DirectoryEntry(Standing.ALIAS, targets=("you@example.test", "b@far.test"))),
        ("off@example.test", DirectoryEntry(Standing.DISABLED, "off@example.test")),
        ("nobody@example.test", DirectoryEntry(Standing.UNKNOWN)),
        ("+tag@example.test", DirectoryEntry(Standing.UNKNOWN)),
        ("@example.test", DirectoryEntry(Standing.UNKNOWN)),
        ("anybody@second.test", DirectoryEntry(Standing.ALIAS, targets=("you@example.test",))),
        ("you@second.test", DirectoryEntry(Standing.ALIAS, targets=("you@example.test",))),
    ],
)
async def test_find_in_its_order(directory, path, expected):
    for name in ("you@example.test", "full+name@example.test"):
        await directory.add_account(account(name))
    await directory.add_account(account("off@example.test", enabled=False))
    await directory.put_alias(Alias("info@example.test", ("you@example.test", "b@far.test")))
    await directory.put_alias(Alias("you+special@example.test", ("far@far.test",)))
    await directory.put_alias(Alias("@second.test", ("you@example.test",)))
    assert await directory.find(mailbox(path)) == expected
    assert directory.peek(mailbox(path)) == expected, "what was found once is known without asking"


@pytest.mark.parametrize(
    ("configured", "path", "expected"),
    [
        ("boss@example.test", "postmaster@example.test", DirectoryEntry(Standing.ACCOUNT, "boss@example.test")),
        ("Boss@Example.test", "PostMaster", DirectoryEntry(Standing.ACCOUNT, "boss@example.test")),
        ("boss", "postmaster+x@second.test", DirectoryEntry(Standing.ACCOUNT, "boss@example.test")),
        ("me@far.test", "postmaster@example.test", DirectoryEntry(Standing.ALIAS, targets=("me@far.test",))),
        # nobody named: the oldest account of the domain, else of all; a catch-all comes first
        ("", "postmaster@example.test", DirectoryEntry(Standing.ACCOUNT, "old@example.test")),
        ("", "postmaster", DirectoryEntry(Standing.ACCOUNT, "old@example.test")),
        ("", "postmaster@third.test", DirectoryEntry(Standing.ACCOUNT, "old@example.test")),
        ("", "postmaster@second.test", DirectoryEntry(Standing.ALIAS, targets=("all@far.test",))),
    ],
)
async def test_postmaster_always_works(make, configured, path, expected):
    directory = make(postmaster=configured)
    for name in ("old@example.test", "boss@example.test"):
        await directory.add_account(account(name))
    await directory.put_alias(Alias("@second.test", ("all@far.test",)))
    assert await directory.find(mailbox(path)) == expected


async def test_postmaster_of_its_own_comes_before_the_configured_one(make):
    directory = make(postmaster="boss@example.test")
    await directory.add_account(account("boss@example.test"))
    await directory.put_alias(Alias("postmaster@example.test", ("me@far.test",)))
    await directory.add_account(account("postmaster@second.test"))
    assert (await directory.find(mailbox("postmaster@example.test"))).targets == ("me@far.test",)
    assert (await directory.find(mailbox("postmaster@second.test"))).account == "postmaster@second.test"


async def test_postmaster_of_an_empty_directory_is_unknown(directory):
    assert await directory.find(mailbox("postmaster")) == DirectoryEntry(Standing.UNKNOWN)


async def test_own_changes_are_seen_at_once(directory):
    you = mailbox("you@example.test")
    assert (await directory.find(you)).standing is Standing.UNKNOWN
    await directory.add_account(account("you@example.test"))
    assert directory.peek(you) != DirectoryEntry(Standing.UNKNOWN)
    assert (await directory.find(you)).standing is Standing.ACCOUNT
    await directory.remove_account("you@example.test")
    assert (await directory.find(you)).standing is Standing.UNKNOWN
    assert await directory.account("you@example.test") is None


async def test_callbacks_run_by_the_next_tick_after_a_change(directory):
    calls = []
    directory.on_change(lambda: calls.append(1))
    directory.tick()
    assert not calls
    await directory.add_account(account("you@example.test"))
    directory.tick()
    assert calls


# Two processes on one file: SQLite alone.


@pytest.fixture
def two(tmp_path):
    pair = [SqliteDirectory(tmp_path / "directory.db", domains=DOMAINS) for _ in range(2)]
    yield pair
    for engine in pair:
        engine.close()


async def test_a_change_elsewhere_is_seen_after_one_tick(two):
    here, there = two
    you = mailbox("you@example.test")
    await there.add_account(account("you@example.test"))
    assert (await here.find(you)).standing is Standing.ACCOUNT
    assert (await here.account("you@example.test")).enabled
    calls = []
    here.on_change(lambda: calls.append(here.peek(you)))
    await there.change_account(msgspec.structs.replace(account("you@example.test"), enabled=False))
    here.tick()
    assert calls == [None], "called after the cache was emptied"
    assert (await here.find(you)).standing is Standing.DISABLED
    assert not (await here.account("you@example.test")).enabled
    here.tick()
    assert len(calls) == 2, "once more, for who was logging in meanwhile"
    here.tick()
    assert len(calls) == 2


async def test_what_was_read_before_a_change_is_not_remembered_after_it(two):
    here, there = two
    you = mailbox("you@example.test")
    await there.add_account(account("you@example.test"))
    here.tick()
    # the answers are read, but not yet back on the loop, when the change is made and noticed: no await until then
    reading = asyncio.ensure_future(here.find(you)), asyncio.ensure_future(here.account("you@example.test"))
    await asyncio.sleep(0)
    here._thread.submit(lambda: None).result()
    removing = functools.partial(there._transaction, "IMMEDIATE", lambda: there._rows.delete("you@example.test"))
    there._thread.submit(removing).result()
    here.tick()
    assert (await reading[0]).standing is Standing.ACCOUNT
    await reading[1]
    assert here.peek(you) is None
    assert await here.account("you@example.test") is None


async def test_one_faulty_callback_keeps_no_other_from_running(two):
    here, there = two
    calls = []
    here.on_change(lambda: 1 / 0)
    here.on_change(lambda: calls.append(1))
    await there.add_account(account("you@example.test"))
    with pytest.raises(ExceptionGroup):
        here.tick()
    assert calls == [1]


async def test_a_change_survives_kill_9(tmp_path):
    script = """
import asyncio, os, signal, sys
sys.path.insert(0, ".")
from tests.contract.test_directory import account
from ekiden.storage.sqlite.directory import SqliteDirectory
async def main():
    await SqliteDirectory(sys.argv[1]).add_account(account("you@example.test"))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    path = tmp_path / "directory.db"
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr.decode()
    directory = SqliteDirectory(path)
    assert await directory.account("you@example.test") is not None
    directory.close()


async def test_the_caches_end(two, monkeypatch):
    monkeypatch.setattr(sqlite_directory, "CACHE_SIZE", 3)
    here, _ = two
    for n in range(10):
        await here.find(mailbox(f"guess{n}@example.test"))
        await here.account(f"guess{n}@example.test")
    assert len(here._entries) == len(here._accounts) == 3
    assert here.peek(mailbox("guess9@example.test")) is not None


async def test_a_store_that_can_not_answer_is_a_temporary_failure(two):
    here, there = two
    # a crippled file (restored by hand, say) stands for every way a store can fail
    apsw.Connection(here._connection.filename).execute("DROP TABLE account")
    with pytest.raises(DirectoryFailed):
        await here.find(mailbox("you@example.test"))
    with pytest.raises(DirectoryFailed):
        await there.add_account(account("you@example.test"))
    assert not there._connection.in_transaction


def test_a_foreign_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "directory.db"
    foreign = apsw.Connection(str(path))
    foreign.execute("CREATE TABLE theirs (x)")
    foreign.close()
    before = path.read_bytes()
    with pytest.raises(DatabaseRefused):
        SqliteDirectory(path)
    tables = apsw.Connection(str(path)).execute("SELECT name FROM sqlite_schema").fetchall()
    assert tables == [("theirs",)], before[:16]
