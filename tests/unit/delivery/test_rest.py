"""Sites that fail as a whole: rest, probes, and what becomes of their letters meanwhile."""

from __future__ import annotations

from ekiden.model.events import SiteState
from ekiden.policy.rest import FIRST
from ekiden.ports.spool import BY_HAND, Selection, Steer
from ekiden.ports.wire import ConnectFailed, Endpoint
from tests.fakes.smtp_server import STALL, FakeSmtpServer
from tests.unit.delivery.post_office import PostOffice, config

REFUSED = ConnectFailed("refused", "connection refused")
WHERE = Endpoint("20.0.0.1", 25)


async def resting(office: PostOffice) -> None:
    """far.test is down, and known to be."""
    office.server("far.test", REFUSED)
    await office.send("first@far.test")
    await office.settle()


async def test_what_comes_while_a_site_rests_goes_back_uncounted_and_is_not_claimed() -> None:
    async with PostOffice() as office:
        await resting(office)
        born = await office.send("born@far.test")
        for number in range(50):
            await office.send(f"{number}@far.test", claim=False)
        await office.pass_time(FIRST - 2)
        assert len(office.connector.calls) == 1
        assert office.window.used_legs == 0
        assert office.delivery._ways.avoid() == {"mx:far.test"}
        assert {leg.attempts for queued in await office.queued() for leg in queued.legs} == {0, 1}
        (leg,) = (await office.queued(born))[0].legs
        assert leg.attempts == 0
        assert await office.kinds(born) == []


async def test_a_probe_is_one_connection_and_one_letter() -> None:
    async with PostOffice() as office:
        await resting(office)
        for number in range(50):
            await office.send(f"{number}@far.test", claim=False)
        slow = FakeSmtpServer({"CONNECT": STALL})
        office.connector.targets[WHERE] = slow
        await office.pass_time(FIRST + 4)
        assert len(slow.sessions) == 1
        assert office.window.used_legs == 1


async def test_a_probe_that_fails_counts_for_its_letter_and_makes_the_rest_longer() -> None:
    async with PostOffice() as office:
        await resting(office)
        for number in range(50):
            await office.send(f"{number}@far.test", claim=False)
        await office.pass_time(FIRST * 2 + 5)  # the second rest is twice as long
        assert len(office.connector.calls) == 2
        attempts = sorted(leg.attempts for queued in await office.queued() for leg in queued.legs)
        assert attempts == [0] * 49 + [1, 1]
        await office.pass_time(FIRST * 2)
        assert len(office.connector.calls) == 3


async def test_retry_by_hand_tries_a_site_that_rests_at_once() -> None:
    async with PostOffice() as office:
        await resting(office)
        for number in range(30):
            await office.send(f"{number}@far.test", claim=False)
        letter = await office.send("b@far.test", claim=False)
        await office.pass_time(1)
        far = FakeSmtpServer({".": "450 4.2.0 not this one"})
        office.connector.targets[WHERE] = far
        await office.spool.apply(Selection(letter=letter), Steer.RETRY, now=BY_HAND)
        await office.pass_time(2)
        assert await office.kinds(letter) == ["delayed"]
        assert len(far.sessions) == 1


async def test_one_success_ends_the_rest() -> None:
    async with PostOffice() as office:
        await resting(office)
        for number in range(50):
            await office.send(f"{number}@far.test", claim=False)
        await office.pass_time(FIRST - 1)
        far = FakeSmtpServer()
        office.connector.targets[WHERE] = far
        await office.pass_time(FIRST)
        assert len(far.letters) == 50
        assert [event.what for event in office.events.of(SiteState)] == ["resting", "open"]
        assert "connection refused" in office.events.of(SiteState)[0].reason


async def test_letters_of_a_site_that_rests_expire_and_are_reported_in_time() -> None:
    async with PostOffice(config(delay_report_after=100.0, expire_after=1000.0)) as office:
        await resting(office)
        letter = await office.send("late@far.test")
        await office.pass_time(2600, step=5)
        assert ("delayed", "alice@example.test") in office.reports
        assert (await office.kinds(letter))[-1] == "failed"
        assert await office.queued(letter) == []


async def test_concurrency_grows_with_success_and_shrinks_with_421() -> None:
    async with PostOffice(config(connections_per_site=20)) as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        for number in range(100):
            await office.send(f"{number}@far.test")
        await office.settle()
        (site,) = office.delivery._ways.sites()
        assert site.concurrency.allowed == 20
        far.script["MAIL"] = ["421 4.7.0 too many connections from you"]
        await office.send("a@far.test")
        await office.pass_time(1)
        assert site.concurrency.allowed < 20
