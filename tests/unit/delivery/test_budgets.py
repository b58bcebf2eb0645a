"""Budgets over several workers: slots, rates, and letters that change hands. And ten thousand domains at one worker."""

from __future__ import annotations

from ekiden.config.model import Site
from ekiden.model.events import SiteState
from ekiden.ports.wire import ConnectFailed
from tests.fakes.smtp_server import STALL, FakeSmtpServer
from tests.unit.delivery.post_office import PostOffice, config

SITE = "mx0.far.test"


async def test_two_workers_never_exceed_a_budget_and_pass_letters_on() -> None:
    for budget in (1, 2, 5):
        settings = config(connections_per_site=budget)
        async with PostOffice(settings, workers=2) as one, PostOffice(settings, beside=one, workers=2) as two:
            far = FakeSmtpServer(extensions=())
            one.server("far.test", far)
            for number in range(60):
                await (one, two)[number % 2].send(f"{number}@far.test", claim=number % 3 > 0)
            for _ in range(40):
                await one.pass_time(0.5)
                await two.pass_time(0.0001)
            assert sorted(far.paths) == sorted(f"{n}@far.test" for n in range(60))
            assert one.slots.most[SITE] <= budget
            assert await one.queued() == []


async def test_who_gets_no_slot_keeps_no_letters_and_does_not_hammer() -> None:
    settings = config(connections_per_site=1)
    async with PostOffice(settings, workers=2) as one, PostOffice(settings, beside=one, workers=2) as two:
        far = FakeSmtpServer({".": STALL}, extensions=())
        one.server("far.test", far)
        await one.send("a@far.test")
        await one.settle()
        letter = await two.send("b@far.test")
        await two.settle()
        assert two.window.used_legs == 0
        assert two.delivery._ways.avoid() == {"mx:far.test"}
        assert one.window.used_legs == 2  # it heard the ring
        assert [event.what for event in two.events.of(SiteState)] == ["slots"]
        assert two.bell.rings == 1
        before = (one.bell.rings, two.bell.rings)
        for _ in range(20):
            await two.pass_time(1)
        assert (one.bell.rings, two.bell.rings) == before
        (leg,) = (await one.queued(letter))[0].legs
        assert leg.attempts == 0


async def test_when_a_worker_dies_the_other_takes_over() -> None:
    settings = config(connections_per_site=1)
    async with PostOffice(settings, workers=2) as one, PostOffice(settings, beside=one, workers=2) as two:
        far = FakeSmtpServer({".": [STALL]}, extensions=())
        one.server("far.test", far)
        await one.send("a@far.test")
        await one.settle()
        await two.send("b@far.test")
        await two.settle()
        one.slots.die()  # SIGKILL: no tick, no record, no ring
        one.window.close()
        one.delivery._scheduler.stop()
        two.spool._store.alive.discard(1)
        assert await two.spool.free_claims(1) == 2
        await two.pass_time(3)
        assert sorted(far.paths) == ["a@far.test", "b@far.test"]


async def test_each_worker_takes_an_equal_part_of_the_budget_rounded_up() -> None:
    settings = config(connections_per_site=5)
    async with PostOffice(settings, workers=2) as one, PostOffice(settings, beside=one, workers=2) as two:
        far = FakeSmtpServer({".": STALL}, extensions=())
        one.server("far.test", far)
        for number in range(10):
            await one.send(f"{number}@far.test")
        await one.settle()
        assert one.slots.in_use(SITE) == 3
        for number in range(10):
            await two.send(f"{number}@far.test")
        await two.settle()
        assert one.slots.in_use(SITE) == 5
        assert two.window.used_legs == 10


async def test_a_slot_given_back_is_taken_again_at_once() -> None:
    """Its connections reach their last letter at the same time, and others have all the other slots."""
    settings = config(sites=[Site(match=SITE, letters_per_connection=1)], connections_per_site=5)
    async with PostOffice(settings, workers=2) as one, PostOffice(settings, beside=one, workers=2) as two:
        far = FakeSmtpServer({".": [STALL, STALL, STALL]}, extensions=())
        one.server("far.test", far)
        for number in range(3):
            await one.send(f"{number}@far.test")
        await one.settle()
        assert one.slots.in_use(SITE) == 3
        for number in range(5):
            await two.send(f"two{number}@far.test")
        await two.settle()
        assert sorted(far.paths) == [f"two{number}@far.test" for number in range(5)]


async def test_what_one_worker_has_no_room_for_another_takes_at_once() -> None:
    settings = config(window_letters=4, connections_per_site=1)
    async with PostOffice(settings, workers=2) as one, PostOffice(settings, beside=one, workers=2) as two:
        one.server("stuck.test", FakeSmtpServer({"CONNECT": STALL}))
        one.server("far.test", far := FakeSmtpServer())
        for number in range(4):
            await one.send(f"{number}@stuck.test")
            await one.settle()
        await one.pass_time(1)  # the other worker has looked, and would look again in two seconds
        assert not one.window.has_room(1)
        before = two.bell.rings
        await one.send("a@far.test")
        await one.settle()
        assert far.paths == ["a@far.test"]
        assert (one.bell.rings, two.bell.rings) == (1, before)
        for number in range(3):
            await one.send(f"{number}@far.test")
        assert one.bell.rings == 1  # not for each of thousands


async def test_slots_that_cannot_be_asked_for_delay_and_are_told() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        office.slots.failing = True
        await office.send("a@far.test")
        await office.pass_time(3)
        assert far.sessions == []
        office.slots.failing = False
        await office.pass_time(3)
        assert far.paths == ["a@far.test"]


async def test_letters_a_minute_are_never_exceeded() -> None:
    async with PostOffice(config(sites=[Site(match="far.test", letters_per_minute=30)])) as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        for number in range(90):
            await office.send(f"{number}@far.test")
        taken = []
        for _ in range(240):
            await office.pass_time(1)
            taken.append(len(far.letters))
        windows = [later - earlier for earlier, later in zip(taken, taken[60:], strict=False)]
        assert max(windows) <= 30
        assert taken[-1] > 70


async def test_connections_a_minute_are_never_exceeded() -> None:
    sites = [Site(match="far.test", connections_per_minute=6, letters_per_connection=1)]
    async with PostOffice(config(sites=sites)) as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        for number in range(30):
            await office.send(f"{number}@far.test")
        opened = []
        for _ in range(200):
            await office.pass_time(1)
            opened.append(len(far.sessions))
        windows = [later - earlier for earlier, later in zip(opened, opened[60:], strict=False)]
        assert max(windows) <= 6
        assert opened[-1] > 10


async def test_each_host_that_is_tried_counts_in_connections_a_minute() -> None:
    sites = [Site(match=SITE, connections_per_minute=6, letters_per_connection=1)]
    async with PostOffice(config(sites=sites)) as office:
        far = FakeSmtpServer()
        office.server("far.test", ConnectFailed("refused", "no"), ConnectFailed("refused", "no"), far)
        for number in range(8):
            await office.send(f"{number}@far.test")
        tried = [0]
        for second in range(300):
            await office.pass_time(1)
            tried.append(len(office.connector.calls))
            if second % 70 == 0:
                office.delivery._memory.clear()  # the first two are tried again
        assert max(later - earlier for earlier, later in zip(tried, tried[60:], strict=False)) <= 6
        assert len(far.letters) == 8
        assert all(set(event.outcomes) == {"relayed"} for event in office.attempts)


async def test_a_rate_does_not_keep_the_verdict_on_hosts_that_all_fail() -> None:
    """One attempt a minute, two hosts: after the second the letter is delayed, and not before."""
    async with PostOffice(config(sites=[Site(match=SITE, connections_per_minute=1)])) as office:
        office.server("far.test", ConnectFailed("refused", "no"), ConnectFailed("timeout", "no"))
        letter = await office.send("a@far.test")
        await office.pass_time(30)
        assert len(office.connector.calls) == 1
        assert await office.kinds(letter) == []
        await office.pass_time(120)
        assert len(office.connector.calls) >= 2
        assert await office.kinds(letter) == ["delayed"]


async def test_hosts_that_never_answer_do_not_keep_out_those_that_do() -> None:
    async def worked_off(dead: int) -> float:
        """Seconds until every letter to a domain that answers is there."""
        async with PostOffice(config(window_letters=200)) as office:
            office.delivery._budget._limit = 50
            good: list[FakeSmtpServer] = []
            for number in range(400):
                silent = number % 5 < dead
                server = FakeSmtpServer({"CONNECT": STALL} if silent else None)
                office.server(f"d{number}.test", server)
                if not silent:
                    good.append(server)
            seconds = 0.0
            for number in range(400):
                await office.send(f"a@d{number}.test", claim=False)
            while sum(len(server.letters) for server in good) < len(good):
                await office.pass_time(0.5)
                seconds += 0.5
                assert seconds < 300
            return seconds / len(good)

    alone, beside_dead = await worked_off(dead=0), await worked_off(dead=1)
    assert beside_dead <= alone + 7.5 / 320  # a few seconds at the start, until the dead are known; never 30 s each


async def test_a_million_letters_of_one_sender_let_another_pass() -> None:
    async with PostOffice(config(window_letters=100, connections_per_site=1)) as office:
        slow, far = FakeSmtpServer({".": STALL}, extensions=()), FakeSmtpServer()
        office.server("slow.test", slow)
        office.server("far.test", far)
        for number in range(1000):
            await office.send(f"{number}@slow.test", claim=False, flow="flood")
        await office.pass_time(2)
        await office.send("b@far.test", claim=False, flow="bob")
        await office.pass_time(1)
        assert far.paths == ["b@far.test"]
