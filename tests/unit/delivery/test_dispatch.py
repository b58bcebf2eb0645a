"""The post office as a whole: backlog, window, fairness between sites, configuration, draining."""

from __future__ import annotations

import pytest

from ekiden.config.model import Route, Site
from ekiden.delivery import schedule
from ekiden.model.events import InternalFault
from ekiden.ports.spool import Selection, SpoolFailed, Steer
from ekiden.ports.wire import ConnectFailed, Endpoint
from tests.fakes.smtp_server import STALL, FakeSmtpServer
from tests.unit.delivery.post_office import PostOffice, config

REFUSED = ConnectFailed("refused", "connection refused")


async def test_a_backlog_is_worked_off_through_a_small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    async with PostOffice(config(window_letters=10, connections_per_site=2)) as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        seen: list[int] = []
        take = office.window.take

        def watched(claims: list[object]) -> None:
            take(claims)  # type: ignore[arg-type]
            seen.append(office.window.used_legs)

        monkeypatch.setattr(type(office.window), "take", lambda _, claims: watched(claims))
        for number in range(200):
            await office.send(f"{number}@far.test", claim=False)
        await office.settle()
        await office.pass_time(10)
        assert len(far.letters) == 200
        assert max(seen) <= 10
        assert await office.queued() == []


async def test_a_backlog_does_not_wait_longer_than_the_lookup_of_its_domain() -> None:
    """More of it is claimed at once than may wait for the road; the rest goes back, and is due when that is known."""
    async with PostOffice() as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        for number in range(150):
            await office.send(f"{number}@far.test", claim=False)
        await office.settle()
        await office.pass_time(2)
        assert len(far.letters) == 150


async def test_no_room_means_accepted_unclaimed_and_found_at_once() -> None:
    async with PostOffice(config(window_letters=1)) as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        for number in range(5):
            await office.send(f"{number}@far.test")
        await office.settle()
        await office.pass_time(3)
        assert sorted(far.paths) == [f"{n}@far.test" for n in range(5)]


async def test_what_another_process_made_due_is_seen_by_polling() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        await office.settle()
        office.window.attach(office.delivery._take_born, lambda: None)
        await office.send("b@far.test", claim=False)
        await office.settle()
        assert far.letters == []
        await office.pass_time(schedule.POLL + 1)
        assert len(far.letters) == 1


async def test_retry_by_hand_is_seen() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer({"RCPT": ["450 4.2.1 later"]})
        office.server("far.test", far)
        letter = await office.send("b@far.test")
        await office.settle()
        await office.spool.apply(Selection(letter=letter), Steer.RETRY, now=office.clock.now())
        office.delivery.nudge()
        await office.settle()
        assert await office.kinds(letter) == ["delayed", "relayed"]


@pytest.mark.parametrize("verb", ["claim", "next_due"])
async def test_a_store_that_cannot_be_claimed_from_is_asked_again(verb: str) -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        await office.settle()
        office.spool.fail_next(verb, SpoolFailed("locked"))
        await office.send("b@far.test", claim=False)
        await office.settle()
        assert far.letters == []
        await office.pass_time(schedule.POLL + 1)
        assert len(far.letters) == 1
        assert office.events.one(InternalFault).where == "delivery.claim"


async def test_a_schedule_that_a_bug_ended_begins_anew() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        await office.settle()
        office.spool.fail_next("next_due", ZeroDivisionError())
        await office.send("b@far.test", claim=False)
        await office.settle()
        assert office.events.one(InternalFault).incident
        await office.pass_time(schedule.POLL + 2)
        assert len(far.letters) == 1


async def test_one_slow_site_does_not_fill_the_window() -> None:
    async with PostOffice(config(window_letters=20, connections_per_site=1)) as office:
        slow = FakeSmtpServer({"CONNECT": STALL})
        far = FakeSmtpServer()
        office.server("slow.test", slow)
        office.server("far.test", far)
        for number in range(200):
            await office.send(f"{number}@slow.test", claim=False)
        await office.settle()
        await office.send("fresh@far.test")
        await office.settle()
        assert far.paths == ["fresh@far.test"]  # the reserve
        for number in range(20):
            await office.send(f"{number}@far.test", claim=False)
        await office.pass_time(60)
        assert len(far.letters) == 21
        assert slow.letters == []
        assert office.window.used_legs <= 10


async def test_fresh_letters_for_a_clogged_site_go_back_at_once() -> None:
    async with PostOffice(config(window_letters=20, connections_per_site=1)) as office:
        office.server("slow.test", FakeSmtpServer({"CONNECT": STALL}))
        for number in range(20):
            await office.send(f"{number}@slow.test")
        await office.pass_time(6)
        assert office.window.used_legs == 10
        await office.send("fresh@slow.test")
        await office.settle()
        assert office.window.used_legs == 10


async def test_letters_put_off_come_back_when_the_site_is_quick_again() -> None:
    async with PostOffice(config(window_letters=20, connections_per_site=1)) as office:
        slow = FakeSmtpServer({"CONNECT": [STALL]})
        office.server("slow.test", slow)
        for number in range(60):
            await office.send(f"{number}@slow.test", claim=False)
        await office.pass_time(20)
        slow.sessions[0].wire.hang_up()
        await office.pass_time(1200, step=5)
        assert len(slow.letters) == 60
        assert await office.queued() == []


async def test_a_new_route_takes_letters_that_were_queued_by_mx() -> None:
    async with PostOffice() as office:
        office.server("far.test", REFUSED)
        letter = await office.send("b@far.test", "bob@example.test")
        await office.settle()
        smarthost = FakeSmtpServer()
        office.connector.targets[Endpoint("20.9.9.9", 25)] = smarthost
        office.delivery.reconfigure(config(Route(match="*", to=("smtp://20.9.9.9",))), {})
        await office.pass_time(310, step=10)
        assert (await office.kinds(letter))[-1] == "relayed"
        assert smarthost.paths == ["b@far.test"]


async def test_recipients_whose_ways_part_become_legs_of_their_own() -> None:
    both = Route(match="*", to=("smtp://20.9.9.9",))
    async with PostOffice(config(both)) as office:
        letter = await office.send("a@one.test", "b@two.test")  # one leg, route:*
        await office.settle()
        assert await office.kinds(letter) == ["delayed", "delayed"]
        one, two = FakeSmtpServer(), FakeSmtpServer()
        office.server("one.test", one)
        office.server("two.test", two)
        office.delivery.reconfigure(config(), {})
        await office.pass_time(310, step=10)
        assert (one.paths, two.paths) == (["a@one.test"], ["b@two.test"])
        assert (await office.kinds(letter))[-2:] == ["relayed", "relayed"]
        assert await office.queued() == []


async def test_a_new_configuration_closes_connections_when_they_are_free() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        await office.send("a@far.test")
        await office.settle()
        office.delivery.reconfigure(config(), {})
        await office.settle()
        assert far.sessions[0].quit
        await office.send("b@far.test")
        await office.settle()
        assert [letter.session for letter in far.letters] == [0, 1]


async def test_a_busy_connection_is_not_used_again_under_a_new_configuration() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer({".": [STALL]}, extensions=())
        office.server("far.test", far)
        await office.send("a@far.test")
        await office.settle()
        office.delivery.reconfigure(config(), {})
        await office.settle()
        assert not far.sessions[0].quit
        far.sessions[0].wire.feed(b"250 2.0.0 taken\r\n")
        await office.settle()
        assert far.sessions[0].quit


async def test_a_new_configuration_forgets_which_hosts_failed() -> None:
    async with PostOffice() as office:
        office.server("far.test", REFUSED, FakeSmtpServer())
        for _ in range(2):
            await office.send("a@far.test")
            await office.settle()
            office.delivery.reconfigure(config(), {})
            await office.settle()
        assert [str(where) for where, _ in office.connector.calls] == ["20.0.0.1:25", "20.0.0.2:25"] * 2


async def test_connections_over_all_sites_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    async with PostOffice() as office:
        monkeypatch.setattr(office.delivery._budget, "_limit", 3)
        servers = {f"d{n}.test": FakeSmtpServer() for n in range(10)}
        for domain, server in servers.items():
            office.server(domain, server)
            await office.send(f"a@{domain}")
        await office.settle()
        assert sum(len(server.sessions) for server in servers.values()) == 3
        await office.pass_time(10)
        assert all(len(server.letters) == 1 for server in servers.values())
        assert office.delivery._budget._used == 0 or not office.delivery._budget.is_contended


async def test_draining_lets_attempts_finish_and_gives_the_rest_back() -> None:
    async with PostOffice(config(connections_per_site=1)) as office:
        far = FakeSmtpServer({".": [STALL]}, extensions=())
        office.server("far.test", far)
        under_way, waiting = await office.send("a@far.test"), await office.send("b@far.test")
        await office.settle()
        draining = office.delivery._tasks.spawn(office.delivery.drain(30))
        await office.settle()
        assert not office.window.has_room(1)
        assert not draining.done()
        (leg,) = (await office.queued(waiting))[0].legs
        assert (leg.state, leg.attempts) == ("waiting", 0)
        far.sessions[0].wire.feed(b"250 2.0.0 taken\r\n")
        await office.settle()
        assert draining.done()
        assert await office.kinds(under_way) == ["relayed"]
        assert far.sessions[0].quit


async def test_what_does_not_finish_is_cut_and_unknown() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer({".": STALL}, extensions=())
        stuck = FakeSmtpServer({"MAIL": STALL}, extensions=())
        office.server("far.test", far)
        office.server("stuck.test", stuck)
        unknown, unsent = await office.send("a@far.test"), await office.send("b@stuck.test")
        await office.settle()
        draining = office.delivery._tasks.spawn(office.delivery.drain(5))
        await office.pass_time(6)
        assert draining.done()
        assert await office.kinds(unknown) == ["delayed"]
        assert await office.kinds(unsent) == []
        (leg,) = (await office.queued(unsent))[0].legs
        assert (leg.state, leg.attempts) == ("waiting", 0)


async def test_a_smarthost_of_last_resort() -> None:
    """What two attempts did not bring away goes there, also when its leg parts for that."""
    last = Route(match="*", after_attempts=2, to=("smtp://10.0.0.9",))
    usual = Route(match="*.slow.test", to=("smtp://10.0.0.8",), name="slow")
    part = Route(match="b.slow.test", after_attempts=2, to=("smtp://10.0.0.9",), name="part")
    async with PostOffice(config(part, usual, last)) as office:
        resort, stubborn = FakeSmtpServer(), FakeSmtpServer({"RCPT": "450 4.2.1 later"})
        office.connector.targets[Endpoint("10.0.0.9", 25)] = resort
        office.connector.targets[Endpoint("10.0.0.8", 25)] = stubborn
        office.server("far.test", FakeSmtpServer({"RCPT": "450 4.2.1 later"}))
        letter = await office.send("x@far.test")
        both = await office.send("a@a.slow.test", "b@b.slow.test")
        await office.settle()
        assert await office.kinds(letter) == ["delayed"]
        await office.pass_time(1500, step=10)
        assert (await office.kinds(letter))[:3] == ["delayed", "delayed", "relayed"]
        assert sorted(path for taken in resort.letters for path in taken.forward_paths) == [
            "b@b.slow.test",
            "x@far.test",
        ]
        assert "relayed" in await office.kinds(both)


async def test_a_site_that_rests_does_not_keep_letters_from_the_last_resort() -> None:
    """Most of them count no attempts meanwhile; that it failed so long counts for them."""
    async with PostOffice(config(Route(match="*", after_attempts=3, to=("smtp://10.0.0.9",)))) as office:
        resort = FakeSmtpServer()
        office.connector.targets[Endpoint("10.0.0.9", 25)] = resort
        office.server("far.test", ConnectFailed("refused", "nobody there"))
        for number in range(30):
            await office.send(f"x{number}@far.test")
        await office.settle()
        await office.pass_time(700, step=10)
        assert resort.letters == []  # three attempts take longer
        await office.pass_time(1800, step=10)
        assert len(resort.letters) == 30


async def test_the_last_resort_comes_by_the_schedule_of_the_site() -> None:
    last = Route(match="*", after_attempts=3, to=("smtp://10.0.0.9",))
    sites = [Site(match="far.test", retry_first=10.0, retry_factor=1.0)]
    async with PostOffice(config(last, sites=sites)) as office:
        resort = FakeSmtpServer()
        office.connector.targets[Endpoint("10.0.0.9", 25)] = resort
        office.server("far.test", ConnectFailed("refused", "nobody there"))
        for number in range(30):
            await office.send(f"x{number}@far.test")
        await office.settle()
        await office.pass_time(300, step=10)
        assert len(resort.letters) == 30


async def test_the_store_knows_which_way_a_letter_goes_next() -> None:
    async with PostOffice(config(Route(match="*", after_attempts=1, to=("smtp://10.0.0.9",)))) as office:
        office.server("far.test", FakeSmtpServer({"RCPT": "450 4.2.1 later"}))
        await office.send("x@far.test")
        await office.settle()
        (queued,) = await office.queued()
        assert queued.legs[0].next_hop == "route:*,after=1"


async def test_letters_accepted_during_the_drain_go_back() -> None:
    async with PostOffice() as office:
        office.server("far.test", FakeSmtpServer())
        office.spool.pause()
        sending = office.delivery._tasks.spawn(_ignore(office.send("a@far.test")))
        await office.settle()
        await office.delivery.drain(1)
        office.spool.resume()
        await office.settle()
        assert sending.done()
        (queued,) = await office.queued()
        assert queued.legs[0].state == "waiting"
        assert office.window.used_legs == 0


async def test_a_drain_with_nothing_to_do_ends_at_once() -> None:
    async with PostOffice() as office:
        await office.settle()
        await office.delivery.drain(30)
        await office.delivery.aclose()
        await office.delivery.aclose()


async def _ignore(awaitable: object) -> None:
    await awaitable  # type: ignore[misc]
