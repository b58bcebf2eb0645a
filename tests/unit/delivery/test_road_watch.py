"""A blocked port 25: noticed, judged, told, driven around, and open again."""

from __future__ import annotations

import pytest

from ekiden.config.model import Route
from ekiden.delivery.road import Credentials
from ekiden.delivery.road_watch import DUTY, LONGEST_QUIET, QUIET
from ekiden.model.events import RoadBlocked, RoadExamined, RoadOpen, SiteState
from ekiden.model.road_block import Trouble
from ekiden.policy.detour import DETOUR
from ekiden.policy.road_block import QUIET_BEFORE
from ekiden.ports.spool import SiteStatus
from ekiden.ports.wire import ConnectFailed, Endpoint
from tests.fakes.smtp_server import FakeSmtpServer
from tests.unit.delivery.blocked_town import (
    FAR,
    HOSTS,
    SILENT,
    Town,
    blocked_town,
    config,
    detour,
)


async def test_three_sites_that_fail_alike_bring_a_judgement_one_event_and_one_notice() -> None:
    async with Town() as office:
        await blocked_town(office)
        (event,) = office.events.of(RoadBlocked)
        assert (event.family, event.kind, event.level) == ("IPv4", "dropped", "error")
        assert len(event.evidence) == 4
        assert event.evidence[-1] == "control.test (1.1.1.1): connected (control)"
        (block,) = office.road.read().blocks
        assert (block.kind, block.told) == (Trouble.DROPPED, True)
        await office.pass_time(5)
        (letter,) = office.mailbox("alice@example.test")
        assert b"blocks port 25" in letter
        assert b"[delivery.detour]" in letter
        assert len(office.events.of(RoadBlocked)) == 1


async def test_two_sites_bring_no_probe() -> None:
    async with Town() as office:
        office.build()
        office.block()
        await office.send("bob@a.test")
        await office.send("bob@b.test")
        await office.pass_time(5)
        assert office.probes == 0


async def test_while_it_is_blocked_letters_wait_and_no_attempt_is_counted() -> None:
    async with Town() as office:
        await blocked_town(office)
        before, direct = await office.attempts_counted(), office.direct
        assert before == [1, 1, 1]
        letter = await office.send("new@a.test")
        await office.pass_time(7200, step=60)
        assert office.direct == direct
        (queued,) = await office.queued(letter)
        assert queued.legs[0].attempts == 0
        (status, *_) = await office.spool.site_statuses()
        assert isinstance(status, SiteStatus)
        assert status.state == "blocked"
        assert "this network blocks port 25" in status.reason
        assert not [event for event in office.events.of(SiteState) if event.what == "blocked"]


async def test_letters_that_wait_are_reported_and_expire_in_their_time() -> None:
    settings = config(delay_report_after=600.0, expire_after=3000.0)
    async with Town(settings) as office:
        await blocked_town(office)
        letter = await office.send("new@a.test")
        await office.pass_time(1200, step=30)
        assert ("delayed", "alice@example.test") in office.reports
        await office.pass_time(3000, step=30)
        assert await office.queued(letter) == []
        assert ("failed", "alice@example.test") in office.reports


async def test_one_host_is_asked_now_and_then_and_the_first_answer_opens_the_road() -> None:
    async with Town() as office:
        await blocked_town(office)
        asked = office.probes
        assert asked == 3
        await office.pass_time(185)
        assert office.probes == asked + 1
        await office.pass_time(185)
        assert office.probes == asked + 2
        office.open()
        await office.pass_time(185)
        (event,) = office.events.of(RoadOpen)
        assert event.family == "IPv4"
        assert office.road.read().blocks == ()
        await office.pass_time(1200, step=5)
        assert [server.paths for server in office.far.values()] == [[f"bob@{name}"] for name in FAR]
        assert await office.queued() == []


async def test_letters_go_as_soon_as_the_road_is_open() -> None:
    async with Town(config(every=1.0)) as office:
        await blocked_town(office)
        await office.send("new@a.test")
        await office.settle()
        office.open()
        await office.pass_time(4)
        assert office.far["a.test"].paths == ["new@a.test"]


async def test_a_person_who_retries_has_a_host_asked_at_once() -> None:
    async with Town() as office:
        await blocked_town(office)
        office.open()
        asked = office.probes
        office.delivery._watch.hurry()
        await office.pass_time(2)
        assert office.probes == asked + 1
        assert office.events.of(RoadOpen)


async def test_letters_go_by_the_detour_and_directly_again_when_it_is_open() -> None:
    async with Town(config(detour=detour())) as office:
        await blocked_town(office)
        letter = await office.send("new@a.test")
        await office.settle()
        assert office.provider.paths == ["new@a.test"]
        assert any(line.startswith("AUTH PLAIN") for line in office.provider.lines)
        (outcome, *_) = await office.outcomes(letter)
        assert outcome.remote == "smtp.provider.test"
        await office.pass_time(400, step=5)
        assert sorted(office.provider.paths) == ["bob@a.test", "bob@b.test", "bob@c.test", "new@a.test"]
        office.open()
        await office.pass_time(185)
        await office.send("last@b.test")
        await office.settle()
        assert office.far["b.test"].paths == ["last@b.test"]
        assert (await office.queued()) == []


async def test_what_waits_at_resting_sites_goes_by_the_detour_too() -> None:
    async with Town(config(detour=detour())) as office:
        office.build()
        office.block()
        for name in FAR:
            await office.send(f"bob@{name}")
        await office.settle()
        await office.send("later@a.test")  # its site rests by now
        await office.settle()
        await office.pass_time(20)
        assert office.provider.paths == ["later@a.test"]


async def test_a_host_that_is_reached_over_the_other_family_needs_no_detour() -> None:
    async with Town(config(detour=detour())) as office:
        await blocked_town(office)
        six = FakeSmtpServer()
        office.resolver.mx_records["d.test"] = [(1, "mx.d.test")]
        office.resolver.address_records["mx.d.test"] = ["40.0.9.1", "2a00::d"]
        office.connector.targets[Endpoint("2a00::d", 25)] = six
        await office.send("bob@d.test")
        await office.settle()
        assert (six.paths, office.provider.paths) == (["bob@d.test"], [])


async def test_what_is_looked_up_when_the_road_is_blocked_is_looked_up_again() -> None:
    async with Town(config(detour=detour())) as office:
        office.build()
        office.block()
        office.resolver.mx_records["d.test"] = [(1, "mx.d.test")]
        office.resolver.address_records["mx.d.test"] = ["40.0.9.1"]
        office.resolver.secure |= {"d.test", "mx.d.test"}
        office.resolver.hold("_25._tcp.mx.d.test")
        await office.send("bob@d.test")
        await office.write_to_all()
        assert office.events.of(RoadBlocked)
        office.resolver.let_go("_25._tcp.mx.d.test")
        await office.settle()
        await office.pass_time(2)
        assert "bob@d.test" in office.provider.paths


async def test_a_route_is_never_affected() -> None:
    route = Route(match="a.test", to=("smtp://40.0.0.1:25",))
    async with Town(config(route)) as office:
        office.build()
        office.block()
        for number, name in enumerate(("b.test", "c.test", "d.test")):
            office.resolver.mx_records[name] = [(1, f"mx.{name}")]
            office.resolver.address_records[f"mx.{name}"] = [f"50.0.{number}.1"]
            office.connector.targets[Endpoint(f"50.0.{number}.1", 25)] = SILENT
            await office.send(f"bob@{name}")
        await office.pass_time(3)
        assert office.events.of(RoadBlocked)
        office.connector.targets[Endpoint("40.0.0.1", 25)] = office.far["a.test"]
        await office.send("bob@a.test")
        await office.settle()
        assert office.far["a.test"].paths == ["bob@a.test"]


async def test_failures_of_routes_are_no_suspicion() -> None:
    routes = [Route(match=name, to=(f"smtp://40.0.{number}.1:25",)) for number, name in enumerate(FAR)]
    async with Town(config(*routes)) as office:
        await blocked_town(office)
        assert office.probes == 0


async def test_the_other_family_stays_open() -> None:
    async with Town() as office:
        office.build()
        office.block()
        six = FakeSmtpServer()
        office.resolver.address_records["mx.b.test"] = ["40.0.1.1", "2a00::b"]
        office.connector.targets[Endpoint("2a00::b", 25)] = six
        for name in ("a.test", "c.test", "d.test"):
            office.resolver.mx_records.setdefault(name, [(1, f"mx.{name}")])
            await office.send(f"bob@{name}")
        office.resolver.address_records["mx.d.test"] = ["40.0.9.1"]
        office.connector.targets[Endpoint("40.0.9.1", 25)] = SILENT
        await office.settle()
        await office.pass_time(20)
        await office.send("again@d.test")
        await office.pass_time(20)
        assert [event.family for event in office.events.of(RoadBlocked)] == ["IPv4"]
        direct = office.direct
        await office.send("bob@b.test")
        await office.settle()
        assert six.paths == ["bob@b.test"]
        assert office.direct == direct


async def test_hosts_that_answer_refute_the_suspicion_for_a_while() -> None:
    async with Town() as office:
        office.build()
        for where in office._far:
            office.connector.targets[where] = SILENT
        await office.write_to_all()
        (event,) = office.events.of(RoadExamined)
        assert (event.family, event.level) == ("IPv4", "info")
        assert "3 of 3 hosts answer" in event.finding
        assert not office.events.of(RoadBlocked)
        assert office.probes == 3
        await office.pass_time(QUIET - 60, step=5)
        assert office.probes == 3
        await office.pass_time(1500, step=5)
        assert office.probes >= 6


async def test_false_alarms_ask_less_and_less_often_and_are_told_once() -> None:
    async with Town() as office:
        office.build()
        for where in office._far:
            office.connector.targets[where] = SILENT
        await office.write_to_all()
        for _ in range(40):  # sites that rest: each tick of 300 s tries them all anew
            for name in FAR:
                await office.send(f"bob@{name}")
            await office.pass_time(300, step=10)
        hours = 40 * 300 / LONGEST_QUIET
        assert 3 * 3 <= office.probes <= 3 * (3 + hours)
        assert len(office.events.of(RoadExamined)) == 1


async def test_looking_again_and_again_moves_no_letter() -> None:
    async with Town() as office:
        await blocked_town(office)
        await office.send("new@a.test")
        await office.pass_time(400, step=5)  # the first three are due again, and looked up once
        asked = [one for one in office.resolver.asked if one[0] == "mx"]
        await office.pass_time(900, step=5)
        assert office.probes == 3 + 7
        assert [one for one in office.resolver.asked if one[0] == "mx"] == asked


async def test_a_network_that_is_down_is_no_blocked_port() -> None:
    async with Town() as office:
        office.build(control=False)
        office.block()
        await office.write_to_all()
        (event,) = office.events.of(RoadExamined)
        assert "the network is down" in event.finding
        assert office.road.read().blocks == ()


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        (ConnectFailed("refused", "Connection refused"), "reset"),
        (ConnectFailed("unreachable", "No route to host"), "prohibited"),
        (ConnectFailed("prohibited", "Permission denied"), "prohibited"),
    ],
)
async def test_kinds(how: ConnectFailed, kind: str) -> None:
    async with Town() as office:
        office.build()
        office.block(how)
        await office.write_to_all()
        assert [event.kind for event in office.events.of(RoadBlocked)] == [kind]


async def test_another_server_that_answers_for_all() -> None:
    async with Town() as office:
        office.build()
        proxy = {"CONNECT": "220 proxy.isp.test ESMTP", "EHLO": "250 proxy.isp.test"}
        for where in (*office._well_known, *office._far):
            office.connector.targets[where] = FakeSmtpServer(proxy)
        await office.write_to_all()
        (event,) = office.events.of(RoadBlocked)
        assert event.kind == "foreign-banner"
        asked = office.probes
        await office.pass_time(200)
        assert office.probes == asked + 1  # the proxy answers still: that opens nothing
        assert not office.events.of(RoadOpen)
        office.open()
        await office.pass_time(200)
        assert office.events.of(RoadOpen)


async def test_what_speaks_no_smtp_and_what_hangs_up() -> None:
    async with Town() as office:
        office.build()
        for where in (*office._well_known, *office._far):
            office.connector.targets[where] = FakeSmtpServer({"CONNECT": "HTTP/1.1 403 Forbidden"})
        await office.write_to_all()
        assert [event.kind for event in office.events.of(RoadBlocked)] == ["not-smtp"]
    async with Town() as office:
        office.build()
        for where in (*office._well_known, *office._far):
            office.connector.targets[where] = FakeSmtpServer({"CONNECT": "CUT"})
        await office.write_to_all()
        assert [event.kind for event in office.events.of(RoadBlocked)] == ["reset"]


async def test_refusals_in_smtp_are_answers() -> None:
    async with Town() as office:
        office.build()
        for where in (*office._well_known, *office._far):
            office.connector.targets[where] = FakeSmtpServer({"CONNECT": "554 5.7.1 go away"})
        await office.write_to_all()
        assert office.probes == 0


async def test_a_stripped_starttls_is_told_and_blocks_nothing() -> None:
    async with Town() as office:
        office.build()
        for where, name in zip(office._well_known, HOSTS, strict=True):
            office.connector.targets[where] = FakeSmtpServer({"EHLO": f"250 {name}"})
        for where in office._far:
            office.connector.targets[where] = SILENT
        await office.write_to_all()
        (event,) = office.events.of(RoadExamined)
        assert event.level == "warning"
        assert "STARTTLS" in event.finding
        assert office.road.read().blocks == ()


async def test_a_success_within_the_hour_keeps_suspicion_away() -> None:
    async with Town() as office:
        office.build()
        await office.send("first@a.test")
        await office.settle()
        office.block()
        await office.pass_time(20)
        await office.write_to_all()
        assert office.probes == 0
        await office.pass_time(QUIET_BEFORE - 60, step=5)
        assert office.probes == 0
        await office.pass_time(2 * QUIET_BEFORE, step=5)
        assert office.events.of(RoadBlocked)


# -- workers, restarts, configuration


async def test_all_workers_know_and_one_asks() -> None:
    async with Town(workers=2) as first, Town(beside=first, workers=2) as second:
        first.build()
        first.block()
        await first.write_to_all()
        await second.pass_time(2)
        direct = first.direct
        await second.send("bob@a.test")
        await second.settle()
        assert second.direct == direct
        asked = first.probes
        for _ in range(20):
            await first.pass_time(10, step=5)
            await second.pass_time(1)
        assert first.probes == asked + 1
        assert not second.events.of(RoadBlocked)


async def test_a_worker_off_duty_asks_nobody() -> None:
    async with Town() as office:
        office.build()
        slot = await office.slots.take(DUTY, 1)
        assert slot is not None
        office.block()
        await office.write_to_all()
        assert office.probes == 0
        office.slots.give(slot)
        await office.pass_time(2)
        assert office.events.of(RoadBlocked)


async def test_a_server_that_starts_again_knows_it() -> None:
    async with Town() as first:
        await blocked_town(first)
        async with Town(beside=first) as second:
            direct = second.direct
            await second.send("bob@a.test")
            await second.settle()
            assert second.direct == direct


async def test_without_hosts_to_ask_nothing_is_judged_and_nothing_stays_blocked() -> None:
    async with Town() as office:
        await blocked_town(office)
        office.open()
        office.delivery.reconfigure(config(hosts=()), {})
        await office.send("bob@a.test")
        await office.settle()
        assert "bob@a.test" in office.far["a.test"].paths


async def test_hosts_at_another_port_say_nothing() -> None:
    async with Town(config(hosts=tuple(f"{host}:2525" for host in HOSTS))) as office:
        await blocked_town(office)
        assert not [where for where, _ in office.connector.calls if isinstance(where, Endpoint) and where.port == 2525]
        assert not office.events.of(RoadExamined)


async def test_a_detour_that_is_configured_later_takes_what_waits() -> None:
    async with Town() as office:
        await blocked_town(office)
        await office.send("new@a.test")
        await office.settle()
        office.delivery.reconfigure(config(detour=detour()), {DETOUR: Credentials("us", "secret")})
        await office.pass_time(5)
        assert office.provider.paths == ["new@a.test"]


async def test_slots_that_fail_are_told_and_tried_again() -> None:
    async with Town() as office:
        office.build()
        office.block()
        await office.send("bob@a.test")
        await office.send("bob@b.test")
        await office.settle()
        await office.send("bob@c.test")
        await office.settle()
        office.slots.failing = True
        await office.pass_time(2)
        assert office.probes == 0
        office.slots.failing = False
        await office.pass_time(2)
        assert office.events.of(RoadBlocked)
