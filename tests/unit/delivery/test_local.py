"""Local mailboxes and aliases."""

from __future__ import annotations

import msgspec
import pytest

from ekiden.config.model import Domain
from ekiden.delivery import local
from ekiden.model.account import Account, Alias, DirectoryEntry, ScramVerifier, Standing
from ekiden.model.envelope import Notify, Recipient
from ekiden.model.events import InternalFault
from ekiden.model.mailbox import Mailbox
from ekiden.ports.directory import DirectoryFailed
from ekiden.ports.spool import SpoolFailed
from tests.fakes.smtp_server import FakeSmtpServer
from tests.unit.delivery.letters import CONTENT
from tests.unit.delivery.post_office import PostOffice, config, wishes

SCRAM = ScramVerifier(b"", 1, b"", b"")


async def add(office: PostOffice, *names: str, enabled: bool = True) -> None:
    for name in names:
        await office.directory.add_account(Account(f"{name}@example.test", "", SCRAM, enabled=enabled))


async def alias(office: PostOffice, name: str, *targets: str) -> None:
    await office.directory.put_alias(Alias(name, targets))


async def test_into_the_mailbox_with_return_path() -> None:
    async with PostOffice() as office:
        await add(office, "bob")
        letter = await office.send("Bob+tag@Example.test")
        await office.settle()
        head = b"Return-Path: <alice@example.test>\r\nDelivered-To: Bob+tag@Example.test\r\n"
        assert office.mailbox("bob@example.test") == [head + CONTENT]
        assert await office.kinds(letter) == ["delivered"]
        assert await office.queued() == []
        assert office.attempts[0].next_hop == "local"


async def test_a_disabled_account_still_receives_and_an_unknown_one_is_reported() -> None:
    async with PostOffice() as office:
        await add(office, "bob", enabled=False)
        letter = await office.send("bob@example.test", "removed@example.test")
        await office.settle()
        outcomes = await office.outcomes(letter)
        assert [(o.kind, o.status) for o in outcomes] == [("delivered", "2.0.0"), ("failed", "5.1.1")]
        assert office.reports == [("failed", "alice@example.test")]


async def test_the_null_reverse_path() -> None:
    async with PostOffice() as office:
        await add(office, "bob")
        await office.send("bob@example.test", reverse_path="")
        await office.settle()
        assert office.mailbox("bob@example.test")[0].startswith(b"Return-Path: <>\r\n")


async def test_postmaster_without_a_domain_is_ours() -> None:
    async with PostOffice() as office:
        await add(office, "postmaster")
        letter = await office.send("postmaster")
        await office.settle()
        assert await office.kinds(letter) == ["delivered"]


async def test_an_alias_is_replaced_by_its_targets_each_once() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        await add(office, "bob")
        await alias(office, "team@example.test", "bob@example.test", "carol@far.test", "BOB@example.test")
        letter = await office.send("team@example.test")
        await office.settle()
        assert sorted(await office.kinds(letter)) == ["delivered", "expanded", "relayed"]
        assert far.paths == ["carol@far.test"]
        assert len(office.mailbox("bob@example.test")) == 1
        assert await office.queued() == []


async def test_who_is_addressed_directly_and_by_an_alias_gets_one_copy() -> None:
    async with PostOffice() as office:
        await add(office, "bob")
        await alias(office, "team@example.test", "bob@example.test")
        await office.send("team@example.test", "bob@example.test")
        await office.settle()
        assert len(office.mailbox("bob@example.test")) == 1
        assert await office.queued() == []


async def test_aliases_in_a_circle_end_with_a_report() -> None:
    async with PostOffice() as office:
        await alias(office, "a@example.test", "b@example.test")
        await alias(office, "b@example.test", "a@example.test")
        letter = await office.send("a@example.test", "b@example.test")
        await office.settle()
        outcomes = await office.outcomes(letter)
        assert [o.kind for o in outcomes if o.kind != "expanded"] == ["failed"] * 2
        assert outcomes[-1].status == "5.4.6"
        assert len(outcomes) == 2 * (local.DEPTH + 1)
        assert await office.queued(letter) == []


async def test_an_alias_that_names_itself_means_the_account_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with PostOffice() as office:
        await add(office, "bob", "copy")
        targets = ("bob@example.test", "copy@example.test")

        def peek(mailbox: Mailbox) -> DirectoryEntry:
            if mailbox.key == "bob@example.test":
                return DirectoryEntry(Standing.ALIAS, targets=targets)
            return DirectoryEntry(Standing.ACCOUNT, mailbox.key)

        monkeypatch.setattr(office.directory, "peek", peek)
        letter = await office.send("bob@example.test")
        await office.settle()
        assert len(office.mailbox("bob@example.test")) == len(office.mailbox("copy@example.test")) == 1
        assert await office.kinds(letter) == ["expanded", "delivered"]


async def test_an_alias_that_leads_only_to_itself_fails() -> None:
    async with PostOffice() as office:
        await alias(office, "a@example.test", "A@example.test")
        letter = await office.send("a@example.test")
        await office.settle()
        assert [o.status for o in await office.outcomes(letter)] == ["5.4.6"]


async def test_wishes_travel_to_one_target_and_are_answered_for_several() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer(extensions=("PIPELINING", "DSN"))
        office.server("far.test", far)
        await alias(office, "one@example.test", "carol@far.test")
        await alias(office, "two@example.test", "carol@far.test", "dan@far.test")
        one = Recipient("one@example.test", (Notify.SUCCESS,), "rfc822;one@example.test")
        await office.send(one)
        await office.settle()
        (rcpt,) = (line for line in far.lines if line.startswith("RCPT"))
        assert "NOTIFY=SUCCESS" in rcpt
        assert "ORCPT=rfc822;one@example.test" in rcpt
        assert office.reports == []
        far.lines.clear()
        await office.send(wishes("two@example.test", Notify.SUCCESS))
        await office.settle()
        assert office.reports == [("relayed", "alice@example.test")]
        assert all("NOTIFY=NEVER" in line for line in far.lines if line.startswith("RCPT"))


async def test_a_mailbox_that_fails_delays_and_a_second_attempt_makes_no_second_copy() -> None:
    async with PostOffice() as office:
        await add(office, "bob", "carol")
        office.mailboxes.failing.add("deliver")
        letter = await office.send("bob@example.test")
        await office.settle()
        (outcome,) = await office.outcomes(letter)
        assert outcome.kind == "delayed"
        assert "told to fail" not in outcome.text  # for the log, never for a report
        assert "told to fail" in office.events.one(InternalFault).error
        office.mailboxes.failing.clear()
        await office.pass_time(301, step=20)
        assert await office.kinds(letter) == ["delayed", "delivered"]
        assert len(office.mailbox("bob@example.test")) == 1


@pytest.mark.parametrize("error", [DirectoryFailed("down"), SpoolFailed("gone"), ZeroDivisionError("bug")])
async def test_faults_delay_each_recipient_alone(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    async with PostOffice() as office:
        await add(office, "bob", "carol")
        find = office.directory.find

        async def sometimes(mailbox: Mailbox) -> DirectoryEntry:
            if mailbox.local_part == "bob":
                raise error
            return await find(mailbox)

        monkeypatch.setattr(office.directory, "peek", lambda _: None)
        monkeypatch.setattr(office.directory, "find", sometimes)
        letter = await office.send("bob@example.test", "carol@example.test")
        await office.settle()
        outcomes = await office.outcomes(letter)
        assert [o.kind for o in outcomes] == ["delayed", "delivered"]
        assert outcomes[0].status == "4.3.0"
        assert str(error) not in outcomes[0].text
        office.events.one(InternalFault)


async def test_many_at_once_but_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "CONCURRENT", 3)
    async with PostOffice() as office:
        await add(office, "bob")
        letters = [await office.send("bob@example.test") for _ in range(20)]
        assert office.delivery._local._running == 3
        await office.settle()
        assert len(office.mailbox("bob@example.test")) == len(letters)
        assert office.delivery._local.held == 0


def with_quota(octets: int) -> PostOffice:
    domain = Domain(name="example.test", mailbox_quota=octets)
    return PostOffice(msgspec.structs.replace(config(), domain=(domain,)))


async def test_a_full_mailbox_delays_and_is_tried_again() -> None:
    async with with_quota(1000) as office:
        await add(office, "bob")
        office.usage.held["bob@example.test"] = 1000
        letter = await office.send("bob@example.test")
        await office.settle()
        assert [(o.kind, o.code, o.status) for o in await office.outcomes(letter)] == [("delayed", 452, "4.2.2")]
        assert office.mailbox("bob@example.test") == []
        office.usage.held["bob@example.test"] = office.usage.found["bob@example.test"] = 0
        await office.pass_time(400)
        assert len(office.mailbox("bob@example.test")) == 1
        assert office.usage.warnings == []


async def test_the_postmaster_and_who_has_no_quota_receive_still() -> None:
    async with with_quota(1000) as office:
        await add(office, "postmaster")
        await office.directory.add_account(Account("carol@example.test", "", SCRAM, quota=0))
        office.usage.held = {"postmaster@example.test": 5000, "carol@example.test": 5000}
        await office.send("postmaster@example.test", "carol@example.test")
        await office.settle()
        assert len(office.mailbox("postmaster@example.test")) == len(office.mailbox("carol@example.test")) == 1


async def test_the_owner_of_a_nearly_full_mailbox_is_warned() -> None:
    async with with_quota(10_000) as office:
        await add(office, "bob")
        office.usage.held["bob@example.test"] = 9100
        for _ in range(3):
            await office.send("bob@example.test")
        await office.settle()
        assert len(office.mailbox("bob@example.test")) == 3
        assert [notice.to for notice in office.usage.warnings] == ["bob@example.test"]
