"""The contract of `ports.spool`, on every engine. A second view of one spool is what another process sees."""

from __future__ import annotations

import asyncio

import pytest

from ekiden.model.envelope import LegState, NewLeg, Notify, Recipient
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.ports.spool import Record, Report, Selection, SpoolFailed, Steer
from ekiden.storage.sqlite.reading import ReadOnlySpool
from tests.contract.spool_house import HEADER, delayed, ended, envelope, finished, gathered, leg, names, put

# The first door ------------------------------------------------------------------------------------------


async def test_a_letter_is_born_claimed_with_all_that_an_attempt_needs(spool):
    legs = (leg("bob@example.org", "eve@example.org", flow="alice", priority=3), leg("you@a.test", next_hop="local"))
    first, second = await put(spool, *legs, message_id="<1@example.test>")
    assert (first.letter, first.leg.number, second.leg.number) == (second.letter, 0, 1)
    assert first.envelope == envelope(message_id="<1@example.test>")
    assert first.leg.recipients == [Recipient("bob@example.org"), Recipient("eve@example.org")]
    assert (first.leg.next_hop, first.leg.flow, first.leg.priority, first.leg.attempts) == (
        "mx:example.org",
        "alice",
        3,
        0,
    )
    assert (first.leg.state, first.leg.next_attempt) == (LegState.CLAIMED, None)
    assert first.content.octets == HEADER + b"hello\r\n"
    assert await spool.counts() == {"waiting": 0, "claimed": 2, "held": 0, "letters": 1}


async def test_what_is_not_born_claimed_is_due_at_once(house, spool):
    letter = await put(spool, leg(priority=2), claim=False)
    assert await spool.next_due() == house.clock.now()
    (claim,) = await spool.claim(house.clock.now(), 10)
    assert (claim.letter, claim.leg.state, claim.leg.priority) == (letter, LegState.CLAIMED, 2)
    assert claim.content.octets == HEADER + b"hello\r\n"
    assert await spool.next_due() is None


async def test_recipients_keep_their_wishes(house, spool):
    wishes = Recipient(
        "bob@example.org", (Notify.SUCCESS, Notify.DELAY), "rfc822;bob@example.org", 2, True, "450 later"
    )
    await put(spool, NewLeg("local", [wishes]), claim=False)
    (claim,) = await spool.claim(house.clock.now(), 1)
    assert claim.leg.recipients == [wishes]


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
@pytest.mark.parametrize("piece", [1_000_000, 60_000])
async def test_content_comes_back_octet_for_octet(house, spool, other, size, piece):
    octets = bytes(range(256)) * (size // 256 + 1)
    octets = octets[:size]
    draft = spool.begin()
    for start in range(0, size, piece):
        draft.write(octets[start : start + piece])
        waits = draft.drain()
        if waits is not None:
            await waits
    assert draft.size_octets == size
    (claim,) = await spool.accept(draft, envelope(), [leg()], claim=True)
    for content in (claim.content, await other.content(draft.letter)):
        assert content.size_octets == size
        assert await gathered(content) == octets
        assert await content.head(100) == octets[:100]
        assert content.octets == (octets if size <= 65_536 else None)
    assert await spool.record(finished(claim))
    assert await other.content(draft.letter) is None


async def test_a_discarded_draft_leaves_nothing(spool):
    for size in (10, 200_000):
        draft = spool.begin()
        draft.write(b"x" * size)
        draft.discard()
        draft.discard()
        with pytest.raises(ValueError, match="before"):
            await spool.accept(draft, envelope(), [leg()], claim=True)
    assert await spool.counts() == {"waiting": 0, "claimed": 0, "held": 0, "letters": 0}


async def test_discard_after_accept_does_nothing(spool, other):
    for size in (10, 200_000):
        draft = spool.begin()
        draft.write(b"x" * size)
        await spool.accept(draft, envelope(), [leg()], claim=True)
        draft.discard()
        assert len(await gathered(await other.content(draft.letter))) == size


async def test_a_letter_for_nobody_is_refused(spool):
    for legs in ([], [NewLeg("local", [])]):
        with pytest.raises(ValueError, match=r"vanish|no recipients"):
            await spool.accept(spool.begin(), envelope(), legs, claim=True)


async def test_ids_grow_and_are_unique_across_views(spool, other):
    ids = [view.begin().letter for _ in range(50) for view in (spool, other)]
    assert len(set(ids)) == 100
    assert ids[::2] == sorted(ids[::2])


async def test_a_cancelled_accept_gives_its_claims_back(house, spool, other):
    draft = spool.begin()
    accepting = spool.accept(draft, envelope(), [leg()], claim=True)
    if accepting.cancel():
        while not (claims := await other.claim(house.clock.now(), 10)):
            await asyncio.sleep(0)
        assert names(claims) == [(draft.letter, 0)]
    else:
        assert names(await accepting) == [(draft.letter, 0)]  # it was quicker than the cancelling


# The second door ------------------------------------------------------------------------------------------


async def test_a_letter_without_legs_is_gone(spool):
    first, second = await put(spool, leg("bob@example.org"), leg("you@a.test", next_hop="local"))
    assert await spool.record(finished(first)) is True
    assert await spool.counts() == {"waiting": 0, "claimed": 1, "held": 0, "letters": 1}
    assert await spool.content(first.letter) is not None
    assert await spool.record(finished(second, OutcomeKind.DELIVERED)) is True
    assert await spool.counts() == {"waiting": 0, "claimed": 0, "held": 0, "letters": 0}
    assert await spool.content(first.letter) is None


async def test_what_remains_is_due_at_its_next_attempt(house, spool):
    (claim,) = await put(spool, leg("bob@example.org", "eve@example.org"))
    later = house.clock.now() + 300.5
    bob, eve = claim.leg.recipients
    stays = Recipient(eve.forward_path, last_error="450 4.2.1 busy", delay_reported=True)
    outcomes = [Outcome(bob.forward_path, OutcomeKind.RELAYED), Outcome(eve.forward_path, OutcomeKind.DELAYED, 450)]
    assert await spool.record(Record(claim, outcomes, remaining=[stays], next_attempt=later))
    assert await spool.next_due() == later
    assert await spool.claim(later - 0.1, 10) == []
    (again,) = await spool.claim(later, 10)
    assert again.leg.recipients == [stays]
    assert again.leg.attempts == 1
    assert again.content.octets == HEADER + b"hello\r\n"


async def test_a_record_that_is_no_attempt_does_not_count(house, spool):
    (claim,) = await put(spool)
    assert await spool.record(Record(claim, [], claim.leg.recipients, house.clock.now(), counts=False))
    (again,) = await spool.claim(house.clock.now(), 1)
    assert again.leg.attempts == 0
    assert await spool.trail(claim.letter) == []


async def test_no_recipient_may_vanish(house, spool):
    (claim,) = await put(spool, leg("bob@example.org", "eve@example.org"))
    bob = Outcome("bob@example.org", OutcomeKind.RELAYED)
    eve = Outcome("eve@example.org", OutcomeKind.DELAYED)
    for record in (
        Record(claim, [bob]),
        Record(claim, [bob, eve]),
        Record(claim, [bob, eve], remaining=claim.leg.recipients[1:]),
    ):
        with pytest.raises(ValueError, match=r"vanish|no next attempt"):
            spool.record(record)
    assert (await spool.counts())["claimed"] == 1


async def test_reports_and_expansions_stand_with_their_record(house, spool, other):
    (claim,) = await put(spool)
    report = Report(
        envelope("", is_report=True), b"Subject: sorry\r\n\r\n", [leg("alice@example.test", next_hop="local")]
    )
    big = Report(envelope("", is_report=True), b"x" * 200_000, [leg("a@x.test"), leg("b@y.test", priority=5)])
    record = finished(claim, OutcomeKind.EXPANDED, reports=[report, big], expanded=[leg("x@a.test"), leg("y@b.test")])
    assert await spool.record(record)
    assert report.letter != big.letter
    assert await other.counts() == {"waiting": 5, "claimed": 0, "held": 0, "letters": 3}
    claims = {(c.letter, c.leg.number): c for c in await other.claim(house.clock.now(), 10)}
    assert set(claims) == {(report.letter, 0), (big.letter, 0), (big.letter, 1), (claim.letter, 1), (claim.letter, 2)}
    assert claims[report.letter, 0].content.octets == b"Subject: sorry\r\n\r\n"
    assert claims[report.letter, 0].envelope.is_report
    assert claims[big.letter, 1].leg.priority == 5
    assert await gathered(claims[big.letter, 0].content) == b"x" * 200_000
    assert claims[claim.letter, 2].leg.recipients == [Recipient("y@b.test")]
    for one in claims.values():
        assert await other.record(finished(one))
    assert (await spool.counts())["letters"] == 0


async def test_what_remains_may_go_another_way(house, spool, other):
    (claim,) = await put(spool)
    now = house.clock.now()
    assert await spool.record(delayed(claim, now, next_hop="route:last"))
    assert await other.claim(now, 10, avoid=["route:last"]) == []
    (claim,) = await other.claim(now, 10)
    assert (claim.leg.next_hop, claim.leg.attempts) == ("route:last", 1)
    assert await other.record(delayed(claim, now))
    (claim,) = await other.claim(now, 10)
    assert (claim.leg.next_hop, claim.leg.attempts) == ("route:last", 2)


async def test_legs_that_part_keep_their_attempts(house, spool):
    (claim,) = await put(spool)
    assert await spool.record(finished(claim, OutcomeKind.EXPANDED, expanded=[leg("a@x.test", attempts=3), leg()]))
    assert [c.leg.attempts for c in await spool.claim(house.clock.now(), 10)] == [3, 0]


async def test_a_leg_number_is_never_used_twice_within_a_letter(house, spool):
    first, second = await put(spool, leg("a@x.test"), leg("b@x.test"))
    assert await spool.record(finished(second))
    assert await spool.record(finished(first, OutcomeKind.EXPANDED, expanded=[leg("c@x.test")]))
    (third,) = await spool.claim(house.clock.now(), 10)
    assert third.leg.number == 2


async def test_a_lost_claim_changes_nothing(house, spool, other):
    claims = await put(spool, leg("a@x.test"), leg("b@x.test"), leg("c@x.test", "d@x.test"))
    house.kill(spool)
    assert await other.free_claims(spool.incarnation) == 3
    before = await other.counts()
    report = Report(envelope(""), b"sorry", [leg("alice@example.test")])
    later = house.clock.now() + 1
    lost = [
        finished(claims[0]),
        finished(claims[1], OutcomeKind.FAILED, reports=[report], expanded=[leg("e@x.test")]),
        delayed(claims[2], later, reports=[report]),
    ]
    assert [await spool.record(record) for record in lost] == [False, False, False]
    assert await other.counts() == before == {"waiting": 3, "claimed": 0, "held": 0, "letters": 1}
    assert await other.trail(claims[0].letter) == []
    assert await other.content(claims[0].letter) is not None
    mine = await other.claim(house.clock.now(), 10)
    assert [await spool.record(record) for record in lost] == [False, False, False]
    assert [await other.record(finished(claim)) for claim in mine] == [True, True, True]
    assert [await spool.record(record) for record in lost] == [False, False, False]
    assert (await other.counts())["letters"] == 0


async def test_the_last_word_is_said_once(spool):
    (claim,) = await put(spool)
    answers = await asyncio.gather(spool.record(finished(claim)), spool.record(finished(claim)))
    assert answers == [True, False]
    assert len(await spool.trail(claim.letter)) == 1


# Claims ------------------------------------------------------------------------------------------


async def test_claims_come_by_priority_then_age_and_no_more_than_asked(house, spool):
    now = house.clock.now()
    letters = {}
    for name, priority, due in (("old", 0, 1), ("new", 0, 3), ("middle", 0, 2), ("urgent", 9, 4), ("early", 0, 9)):
        (claim,) = await put(spool, leg(priority=priority))
        letters[claim.letter] = name
        assert await spool.record(delayed(claim, now + due))
    assert await spool.next_due() == now + 1
    first = await spool.claim(now + 5, 2)
    rest = await spool.claim(now + 5, 10)
    assert [letters[claim.letter] for claim in first + rest] == ["urgent", "old", "middle", "new"]
    assert await spool.next_due() == now + 9


async def test_no_leg_is_ever_claimed_twice(house, spool, other):
    third = house.open()
    for _ in range(40):
        await put(spool, leg("a@x.test"), leg("b@x.test"), leg("c@x.test"), claim=False)
    rounds = [view.claim(house.clock.now(), 7) for _ in range(8) for view in (spool, other, third)]
    claims = [name for claims in await asyncio.gather(*rounds) for name in names(claims)]
    assert len(claims) == len(set(claims)) == 120


async def test_release_gives_claims_back_unattempted(house, spool, other):
    claims = await put(spool, leg("a@x.test"), leg("b@x.test"))
    later = house.clock.now() + 60
    await spool.release(claims, later)
    assert await other.next_due() == later
    again = await other.claim(later, 10)
    assert names(again) == names(claims)
    assert [claim.leg.attempts for claim in again] == [0, 0]
    await spool.release(claims, later)  # they are not its own any more
    assert await spool.record(finished(claims[0])) is False
    assert (await spool.counts())["claimed"] == 2


async def test_claims_of_the_living_are_left_alone(house, spool, other):
    (claim,) = await put(spool)
    assert await other.free_claims(spool.incarnation) == 0
    assert await other.claim(house.clock.now(), 10) == []
    house.kill(spool)
    assert await other.free_claims(spool.incarnation) == 1
    assert names(await other.claim(house.clock.now(), 10)) == names([claim])


async def test_close_frees(house, spool, other):
    claims = await put(spool, leg("a@x.test"), leg("b@x.test"))
    recording = spool.record(finished(claims[0]))
    await spool.close()
    assert await recording is True
    assert names(await other.claim(house.clock.now(), 10)) == names(claims[1:])
    await spool.close()


async def test_removal_takes_what_no_living_worker_is_trying(house, spool, other):
    third = house.open()
    mine, _ = await put(spool, leg("a@x.test"), leg("b@x.test"))
    await spool.release([mine], house.clock.now() + 9_999)
    dead = await put(third)
    house.kill(third)
    assert names(await other.claim_for_removal(mine.letter)) == [(mine.letter, 0)]
    assert names(await other.claim_for_removal(mine.letter)) == []
    assert names(await other.claim_for_removal(dead[0].letter)) == names(dead)
    removed = await other.claim_for_removal(dead[0].letter + 1)
    assert removed == []


@pytest.mark.parametrize("how", ["release", "record", "close", "kill"])
async def test_what_is_held_stays_held_when_its_removal_fails(house, spool, other, how):
    letter = await put(spool, claim=False)
    now = house.clock.now()
    await spool.apply(Selection(), Steer.HOLD, now=now)
    (claim,) = await spool.claim_for_removal(letter)
    if how == "release":
        await spool.release([claim], now)
    elif how == "record":
        assert await spool.record(delayed(claim, now))
    elif how == "close":
        await spool.close()
    else:
        house.kill(spool)
        assert await other.free_claims(spool.incarnation) == 1
    assert (await other.counts())["held"] == 1
    assert await other.next_due() is None
    assert await other.apply(Selection(), Steer.RELEASE, now=now) == 1
    (claim,) = await other.claim(now, 1)
    assert claim.leg.hold_reason == ""
    await other.release([claim], now)
    assert await other.next_due() == now


async def test_removal_of_a_held_letter(house, spool):
    letter = await put(spool, claim=False)
    assert await spool.apply(Selection(letter=letter), Steer.HOLD, now=house.clock.now(), reason="odd") == 1
    (claim,) = await spool.claim_for_removal(letter)
    assert (claim.leg.state, claim.leg.hold_reason) == (LegState.CLAIMED, "odd")
    assert await spool.record(finished(claim, OutcomeKind.REMOVED))
    assert (await spool.counts())["letters"] == 0


# History ------------------------------------------------------------------------------------------


async def test_the_trail_tells_each_attempt(house, spool, other):
    (claim,) = await put(spool, message_id="<7@example.test>")
    assert await other.trail(claim.letter) == []
    later = house.clock.now() + 300
    assert await spool.record(delayed(claim, later))
    house.clock.advance(300)
    (again,) = await spool.claim(later, 1)
    report = Report(envelope(""), b"sorry", [leg("alice@example.test")])
    assert await spool.record(finished(again, OutcomeKind.FAILED, reports=[report]))
    first, second = await other.trail(claim.letter)
    assert (first.attempt, first.next_attempt, first.next_hop) == (1, later, "mx:example.org")
    assert first.outcomes == ended(claim, OutcomeKind.DELAYED)
    assert (second.attempt, second.next_attempt, second.time) == (2, None, later)
    assert second.outcomes == ended(claim, OutcomeKind.FAILED)
    assert second.reports == [report.letter]
    assert second.envelope == claim.envelope


@pytest.mark.parametrize(
    ("given", "kept"),
    [(["login", "login"], ["login"]), (["login", "own-domain-any"], ["login", "own-domain-any"]), (["", ""], [])],
)
async def test_the_trail_keeps_the_rules_that_took_the_recipients(house, spool, other, given, kept):
    to = NewLeg("mx:example.org", [Recipient(f"{n}@example.org", rule=rule) for n, rule in enumerate(given)])
    (claim,) = await put(spool, to)
    assert await spool.record(finished(claim))
    (entry,) = await other.trail(claim.letter)
    assert entry.rules == kept
    assert [entry.rule(index) for index in range(2)] == given


async def test_letters_are_found_by_message_id_queued_or_gone(house, spool, other):
    (gone,) = await put(spool, message_id="<7@example.test>")
    await spool.record(finished(gone))
    queued = await put(spool, claim=False, message_id="<7@example.test>")
    await put(spool, claim=False, message_id="<77@example.test>")
    for spelling in ("<7@example.test>", "7@example.test", " <7@example.test> "):
        assert await other.letters_with_message_id(spelling) == [gone.letter, queued]
    assert await other.letters_with_message_id("<8@example.test>") == []
    assert await other.letters_with_message_id("") == []


# Order, and neighbours ------------------------------------------------------------------------------------------


async def test_verbs_of_one_process_keep_their_order(house, spool):
    (claim,) = await put(spool)
    later = house.clock.now() + 5
    recording = spool.record(delayed(claim, later))
    claiming = asyncio.ensure_future(spool.claim(later, 10))
    assert names(await claiming) == names([claim])
    assert await recording is True


async def test_many_at_once(house, spool):
    drafts = []
    for number in range(700):
        draft = spool.begin()
        draft.write(b"%d" % number)
        drafts.append(draft)
    accepted = await asyncio.gather(*(spool.accept(d, envelope(), [leg()], claim=True) for d in drafts))
    assert [claims[0].content.octets for claims in accepted] == [b"%d" % number for number in range(700)]
    assert len(await spool.find(Selection(limit=1000))) == 700
    records = [finished(claims[0]) if number % 3 else delayed(claims[0], 5.0) for number, claims in enumerate(accepted)]
    assert await asyncio.gather(*map(spool.record, records)) == [True] * 700
    assert await spool.counts() == {"waiting": 234, "claimed": 0, "held": 0, "letters": 234}


async def test_after_close_nothing_is_taken(spool):
    (claim,) = await put(spool)
    draft = spool.begin()
    await spool.close()
    with pytest.raises(SpoolFailed):
        spool.begin()
    with pytest.raises(SpoolFailed):
        await spool.accept(draft, envelope(), [leg()], claim=True)
    with pytest.raises(SpoolFailed):
        await spool.record(finished(claim))


async def test_a_reader_sees_what_the_others_do(house, spool):
    if house.engine == "memory":
        reader = house.open()
    else:
        reader = ReadOnlySpool.open(house.folder / "spool")
    (claim,) = await put(spool, message_id="<1@a>")
    assert await reader.counts() == await spool.counts()
    assert (await reader.find(Selection()))[0].letter == claim.letter
    assert await reader.letters_with_message_id("1@a") == [claim.letter]
    await spool.record(delayed(claim, 77.0))
    assert await reader.next_due() == 77.0
    assert len(await reader.trail(claim.letter)) == 1
    assert await gathered(await reader.content(claim.letter)) == HEADER + b"hello\r\n"
    await reader.close()
