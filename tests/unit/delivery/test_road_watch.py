"""A blocked port 25: noticed, judged, told, driven around, and open again."""

from __future__ import annotations

from typing import Any

import pytest

from ekiden.config.model import Config, Detour, Probe, Route
from ekiden.config.model import Delivery as DeliverySection
from ekiden.delivery.road import Credentials
from ekiden.delivery.road_watch import DUTY, QUIET
from ekiden.model.envelope import LegState
from ekiden.model.events import DetourRefused, RoadBlocked, RoadExamined, RoadOpen, SiteState
from ekiden.model.road_block import Trouble
from ekiden.policy.detour import DETOUR
from ekiden.policy.road_block import QUIET_BEFORE
from ekiden.ports.spool import SiteStatus
from ekiden.ports.wire import ConnectFailed, Endpoint
from tests.fakes.smtp_server import EXTENSIONS, FakeSmtpServer
from tests.unit.delivery import post_office
from tests.unit.delivery.post_office import PostOffice

SILENT = ConnectFailed("timeout", "no connection within 30 s")
HOSTS = ("mx.one.test", "mx.two.test", "mx.three.test")
CONTROL = Endpoint("1.1.1.1", 443)
PROVIDER = Endpoint("9.9.9.9", 465)
#: Letters go to sites in networks of their own, as they do in the world.
FAR = ("a.test", "b.test", "c.test")


def config(*routes: Route, detour: Detour | None = None, hosts: tuple[str, ...] | None = None, **more: Any) -> Config:
    probe = Probe(
        hosts=tuple(f"{host}:25" for host in HOSTS) if hosts is None else hosts, control=("control.test:443",)
    )
    settings = post_office.config(*routes)
    delivery = DeliverySection(probe=probe, detour=detour or Detour(), **more)
    return Config(hostname=settings.hostname, data_dir="/d", domain=settings.domain, route=routes, delivery=delivery)


class Town(PostOffice):
    """`well_known`: the servers that probes ask, by name. `far`: those of FAR."""

    def __init__(self, settings: Config | None = None, **more: Any) -> None:
        super().__init__(settings or config(), {DETOUR: Credentials("us", "secret")}, **more)
        self.provider = FakeSmtpServer({"AUTH": "235 2.7.0 welcome"}, extensions=(*EXTENSIONS, "AUTH PLAIN"))
        self.far = {name: FakeSmtpServer() for name in FAR}

    def build(self, *, control: bool = True) -> None:
        for number, name in enumerate(HOSTS):
            self.resolver.address_records[name] = [f"30.0.{number}.1"]
        self.resolver.address_records |= {"control.test": [CONTROL.address], "smtp.provider.test": [PROVIDER.address]}
        for number, name in enumerate(FAR):
            self.resolver.mx_records[name] = [(1, f"mx.{name}")]
            self.resolver.address_records[f"mx.{name}"] = [f"40.0.{number}.1"]
        if control:
            self.connector.targets[CONTROL] = lambda wire: None
        self.connector.targets[PROVIDER] = self.provider
        self.open()

    @property
    def _well_known(self) -> list[Endpoint]:
        return [Endpoint(f"30.0.{number}.1", 25) for number in range(len(HOSTS))]

    @property
    def _far(self) -> list[Endpoint]:
        return [Endpoint(f"40.0.{number}.1", 25) for number in range(len(FAR))]

    def block(self, how: ConnectFailed = SILENT) -> None:
        for where in (*self._well_known, *self._far):
            self.connector.targets[where] = how

    def open(self) -> None:
        for where, name in zip(self._well_known, HOSTS, strict=True):
            script = {"EHLO": f"250-{name}\n250 STARTTLS", "CONNECT": f"220 {name} ESMTP"}
            self.connector.targets[where] = FakeSmtpServer(script)
        for where, name in zip(self._far, FAR, strict=True):
            self.connector.targets[where] = self.far[name]

    async def write_to_all(self) -> None:
        for name in FAR:
            await self.send(f"bob@{name}")
        await self.settle()
        await self.pass_time(2)

    @property
    def probes(self) -> int:
        """Connections to well-known hosts so far."""
        return sum(where in self._well_known for where, _ in self.connector.calls)

    @property
    def direct(self) -> int:
        return sum(where in self._far for where, _ in self.connector.calls)

    async def attempts_counted(self) -> list[int]:
        return sorted(leg.attempts for queued in await self.queued() for leg in queued.legs)


def detour(to: str = "smtps://smtp.provider.test:465", username: str = "us") -> Detour:
    return Detour(to=(to,), username=username, password_env="P" if username else "")


async def blocked_town(office: Town) -> None:
    office.build()
    office.block()
    await office.write_to_all()


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


# -- what the provider says of our senders


@pytest.mark.parametrize(
    "script",
    [
        {"MAIL": "550 5.7.1 not one of your addresses"},
        {"RCPT": "553 5.7.1 <alice@example.test>: Sender address rejected: not owned by user us"},
        {".": "554 5.2.252 SendAsDenied"},
    ],
)
async def test_a_refused_sender_is_held_and_told_never_bounced(script: dict[str, Any]) -> None:
    async with Town(config(detour=detour())) as office:
        await blocked_town(office)
        await office.pass_time(5)
        office.provider.script |= script
        letter = await office.send("x@a.test", "y@a.test")
        await office.settle()
        (queued,) = await office.queued(letter)
        (leg,) = queued.legs
        assert (leg.state, leg.next_attempt) == (LegState.HELD, None)
        assert leg.hold_reason.startswith("detour: smtp.provider.test does not take <alice@example.test>")
        assert office.reports == []
        (event,) = office.events.of(DetourRefused)
        assert event.reverse_path == "alice@example.test"
        await office.pass_time(5)
        told = [text for text in office.mailbox("alice@example.test") if b"Held:" in text]
        assert len(told) == 1
        await office.send("z@a.test")
        await office.pass_time(5)
        assert len([text for text in office.mailbox("alice@example.test") if b"Held:" in text]) == 1


async def test_other_refusals_of_the_provider_fail_as_ever() -> None:
    async with Town(config(detour=detour())) as office:
        await blocked_town(office)
        office.provider.script |= {"RCPT": "550 5.1.1 no such user"}
        letter = await office.send("x@a.test")
        await office.settle()
        assert await office.queued(letter) == []
        assert office.reports == [("failed", "alice@example.test")]


async def test_one_recipient_may_fail_while_another_is_held() -> None:
    async with Town(config(detour=detour())) as office:
        await blocked_town(office)
        office.provider.script |= {
            "RCPT TO:<X": "550 5.1.1 no such user",
            "RCPT TO:<Y": "553 5.7.1 Sender address rejected: not owned by user us",
        }
        letter = await office.send("x@a.test", "y@a.test")
        await office.settle()
        (queued,) = await office.queued(letter)
        assert [recipient.forward_path for recipient in queued.legs[0].recipients] == ["y@a.test"]
        assert office.reports == [("failed", "alice@example.test")]


async def test_a_held_letter_does_not_expire_by_the_refusal() -> None:
    async with Town(config(detour=detour(), expire_after=3000.0)) as office:
        office.provider.script |= {"MAIL": "550 5.7.1 not yours"}
        await blocked_town(office)
        await office.pass_time(2900, step=10)
        assert all(leg.state is LegState.HELD for queued in await office.queued() for leg in queued.legs)
        assert len(await office.queued()) == 3


async def test_direct_hosts_may_refuse_our_sender_as_ever() -> None:
    async with Town() as office:
        office.build()
        office.far["a.test"].script = {"MAIL": "550 5.7.1 not here"}
        letter = await office.send("x@a.test")
        await office.settle()
        assert await office.queued(letter) == []
        assert office.reports == [("failed", "alice@example.test")]
