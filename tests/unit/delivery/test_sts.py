"""Which MTA-STS policy holds now: nobody who stops the DNS or the web server weakens one in force (RFC 8461 §5.1)."""

from __future__ import annotations

from ekiden.delivery.sts import PAUSE, REFRESH, StsPolicies
from ekiden.ports.sts import FetchFailed
from ekiden.storage.memory.sts import MemoryStsMemory
from tests.fakes.clock import FakeClock
from tests.fakes.resolver import FakeResolver

DAY = 86_400


def text(mode: str = "enforce", age: int = 10 * DAY) -> bytes:
    return f"version: STSv1\nmode: {mode}\nmx: mx.far.test\nmax_age: {age}\n".encode()


class World:
    """far.test with a record, a web server and a clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.resolver = FakeResolver(txt={"_mta-sts.far.test": [b"v=STSv1; id=1"]})
        self.memory = MemoryStsMemory()
        self.web: bytes | None = text()
        self.fetches = 0
        self.failures: list[str] = []
        self.policies = self.again()

    def again(self) -> StsPolicies:
        """As after a restart."""
        return StsPolicies(self.resolver, self, self.memory, self.clock, lambda domain, _: self.failures.append(domain))

    async def fetch(self, domain: str) -> bytes:
        assert domain == "far.test"
        self.fetches += 1
        if self.web is None:
            raise FetchFailed("404")
        return self.web

    async def mode(self) -> str:
        policy = await self.policies.policy("far.test")
        return policy.mode if policy is not None else ""


async def test_it_is_fetched_once_and_kept_over_a_restart() -> None:
    world = World()
    assert [await world.mode() for _ in range(3)] == ["enforce"] * 3
    world.policies = world.again()
    assert await world.mode() == "enforce"
    assert world.fetches == 1


async def test_without_a_record_nobody_is_asked() -> None:
    world = World()
    world.resolver.txt_records.clear()
    assert await world.mode() == ""
    assert world.fetches == 0


async def test_a_first_fetch_that_fails_is_no_policy_and_is_not_repeated_at_once() -> None:
    world = World()
    world.web = None
    assert [await world.mode() for _ in range(3)] == [""] * 3
    assert (world.fetches, world.failures) == (1, ["far.test"])
    world.clock.advance(PAUSE)
    world.web = text()
    assert await world.mode() == "enforce"


async def test_a_policy_in_force_outlives_its_record_and_its_web_server() -> None:
    world = World()
    await world.mode()
    world.resolver.fail("_mta-sts.far.test")
    world.web = None
    world.clock.advance(9 * DAY)
    assert await world.mode() == "enforce"
    world.resolver.recover("_mta-sts.far.test")
    world.resolver.txt_records["_mta-sts.far.test"] = [b"v=STSv1; id=2"]  # a forger says: look again
    assert await world.mode() == "enforce"
    assert world.fetches == 2


async def test_it_ends_with_its_time() -> None:
    world = World()
    await world.mode()
    world.web = None
    world.clock.advance(10 * DAY)
    assert await world.mode() == ""
    assert not world.memory.entries


async def test_a_broken_new_policy_weakens_nothing() -> None:
    world = World()
    await world.mode()
    world.resolver.txt_records["_mta-sts.far.test"] = [b"v=STSv1; id=2"]
    world.web = b"<html>"
    assert await world.mode() == "enforce"


async def test_a_new_id_brings_the_new_policy() -> None:
    world = World()
    await world.mode()
    world.web = text("testing")
    assert await world.mode() == "enforce"
    world.resolver.txt_records["_mta-sts.far.test"] = [b"v=STSv1; id=2"]
    assert await world.mode() == "testing"


async def test_mode_none_takes_the_policy_back() -> None:
    world = World()
    await world.mode()
    world.resolver.txt_records["_mta-sts.far.test"] = [b"v=STSv1; id=2"]
    world.web = text("none")
    assert await world.mode() == ""


async def test_it_is_looked_at_again_each_day_so_that_its_time_never_runs_out() -> None:
    world = World()
    await world.mode()
    world.clock.advance(REFRESH)
    await world.mode()
    await world.mode()
    assert world.fetches == 2


async def test_an_entry_of_another_version_is_fetched_anew() -> None:
    world = World()
    await world.mode()
    entry = world.memory.entries["far.test"]
    world.memory.entries["far.test"] = entry._replace(policy=b"?")
    assert await world.mode() == "enforce"
    assert world.fetches == 2
