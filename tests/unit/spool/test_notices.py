"""spool.notices: the server itself writes to people here."""

from __future__ import annotations

import pytest

from ekiden.config.model import Config, Domain
from ekiden.message.notice import Notice
from ekiden.model.events import NoticeSent
from ekiden.ports.spool import Selection, SpoolFailed
from ekiden.spool.notices import DAY, Notices
from ekiden.storage.memory.notice_book import MemoryNoticeBook
from ekiden.storage.memory.spool import MemorySpool
from tests.fakes.clock import FakeClock
from tests.fakes.events import CollectingSink

CONFIG = Config(hostname="mail.example.test", data_dir="/x", domain=(Domain(name="example.test"),))


class Office:
    def __init__(self):
        self.clock = FakeClock()
        self.spool = MemorySpool(self.clock)
        self.sink = CollectingSink()
        self.nudges = []
        book = MemoryNoticeBook()
        self.notices = Notices(self.spool, book, self.clock, self.sink, lambda: self.nudges.append(1))
        self.notices.configure(CONFIG)

    async def queued(self):
        return await self.spool.find(Selection())


@pytest.fixture
def office():
    return Office()


async def test_a_notice_is_a_letter_of_ours_that_nobody_reports_about(office):
    assert await office.notices.tell(Notice("brake", "Held", "Text.", to="you@example.test", about="you@example.test"))
    (letter,) = await office.queued()
    assert letter.envelope.reverse_path == ""
    assert letter.envelope.is_report
    assert letter.envelope.origin.door == "notice"
    assert [(leg.next_hop, leg.recipients[0].forward_path) for leg in letter.legs] == [("local", "you@example.test")]
    content = await office.spool.content(letter.letter)
    assert content.octets.startswith(b"From: Mail system <MAILER-DAEMON@mail.example.test>\r\nTo: <you@example.test>")
    assert len(content.octets) == letter.envelope.size_octets
    assert content.octets[letter.envelope.header_octets :] == b"Text.\r\n"
    assert office.nudges == [1]
    sent = office.sink.one(NoticeSent)
    assert (sent.kind, sent.to, sent.about) == ("brake", "you@example.test", "you@example.test")


async def test_without_a_recipient_it_is_for_the_postmaster(office):
    await office.notices.tell(Notice("anomaly", "More refusals", "Text."))
    (letter,) = await office.queued()
    assert [(leg.next_hop, leg.recipients[0].forward_path) for leg in letter.legs] == [("local", "postmaster")]
    assert b"To: <postmaster@example.test>" in (await office.spool.content(letter.letter)).octets


async def test_at_most_one_of_a_kind_and_matter_a_day(office):
    notice = Notice("quota", "Nearly full", "Text.", to="you@example.test", about="you@example.test")
    assert await office.notices.tell(notice, every=DAY)
    assert not await office.notices.tell(notice, every=DAY)
    assert await office.notices.tell(notice._replace(about="bob@example.test"), every=DAY)
    assert await office.notices.tell(notice)
    office.clock.advance(DAY)
    assert await office.notices.tell(notice, every=DAY)
    assert len(await office.queued()) == 4


async def test_what_the_store_did_not_take_is_told_later(office):
    notice = Notice("quota", "Nearly full", "Text.")
    for verb in ("begin", "accept"):
        office.spool.fail_next(verb, SpoolFailed("no space", full=True))
        with pytest.raises(SpoolFailed):
            await office.notices.tell(notice, every=DAY)
    assert await office.queued() == office.nudges == office.sink.of(NoticeSent) == []
    assert await office.notices.tell(notice, every=DAY)
