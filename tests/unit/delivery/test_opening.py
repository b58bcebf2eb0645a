"""Which host and family comes first, from which of our addresses, and what follows when TLS fails."""

from __future__ import annotations

import pytest

from ekiden.config.model import Config, Delivery, Domain, Route, Source
from ekiden.delivery.memory import SECONDS, HostMemory
from ekiden.delivery.opening import in_order
from ekiden.delivery.road import Host
from ekiden.model.events import Ipv6Refused
from ekiden.ports.wire import ConnectFailed, Endpoint, TlsMode
from tests.fakes.smtp_server import FakeSmtpServer
from tests.fakes.wire import FakeWire
from tests.unit.delivery.post_office import PostOffice

FOUR, SIX = Endpoint("20.0.0.1", 25), Endpoint("2a00:1450::1", 25)


def host(name: str, address: str) -> Host:
    return Host(Endpoint(address, 25), name, TlsMode())


A6, A4, B6, B4 = host("a", "2a00::a"), host("a", "20.0.0.1"), host("b", "2a00::b"), host("b", "20.0.0.2")


def test_the_family_that_worked_comes_first_within_its_host() -> None:
    memory = HostMemory()
    road = [A6, A4, B6, B4]
    assert in_order(road, memory, 0.0) == road
    memory.note_family("a", 0.0, ipv6=False)
    assert in_order(road, memory, 0.0) == [A4, A6, B6, B4]
    memory.note_failed(A4.where, 0.0)
    assert in_order(road, memory, 0.0) == [A6, B6, B4, A4]
    assert in_order(road, memory, SECONDS + 1) == road


def dual(office: PostOffice, six: FakeSmtpServer | ConnectFailed, four: FakeSmtpServer | ConnectFailed) -> None:
    office.resolver.mx_records["far.test"] = [(1, "mx.far.test")]
    office.resolver.address_records["mx.far.test"] = [SIX.address, FOUR.address]
    office.connector.targets |= {SIX: six, FOUR: four}


async def test_a_family_that_does_not_work_costs_one_attempt_for_a_while() -> None:
    async with PostOffice() as office:
        dual(office, ConnectFailed("timeout", "no answer"), FakeSmtpServer())
        await office.send("a@far.test")
        await office.settle()
        await office.pass_time(30)  # the connection is closed
        office.delivery._memory._failed.clear()  # only the family is remembered
        await office.send("b@far.test")
        await office.settle()
        assert [where for where, _ in office.connector.calls] == [SIX, FOUR, FOUR]
        await office.pass_time(SECONDS, step=30)
        await office.send("c@far.test")
        await office.settle()
        assert [where for where, _ in office.connector.calls][3:] == [SIX, FOUR]


async def test_what_we_saw_is_told_without_a_code_that_nobody_said() -> None:
    async with PostOffice() as office:
        office.resolver.mx_records["far.test"] = [(1, "mx.far.test")]
        office.resolver.address_records["mx.far.test"] = [FOUR.address]
        office.connector.targets[FOUR] = ConnectFailed("refused", f"{FOUR}: Connection refused")
        letter = await office.send("a@far.test")
        await office.settle()
        (entry,) = await office.spool.trail(letter)
        assert str(entry.outcomes[0].text) == "mx.far.test (20.0.0.1:25): Connection refused"


NO_PTR = "550 5.7.25 [2a00:1450::25] has no PTR record"


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "."])
async def test_a_refusal_of_our_ipv6_address_tries_ipv4_before_the_letter_fails(command: str) -> None:
    async with PostOffice() as office:
        six, four = FakeSmtpServer({command: NO_PTR}), FakeSmtpServer()
        dual(office, six, four)
        letter = await office.send("a@far.test")
        await office.settle()
        assert await office.kinds(letter) == ["relayed"]
        assert len(four.letters) == 1
        assert office.reports == []
        event = office.events.one(Ipv6Refused)
        assert (event.host, event.reply, bool(event.letter)) == ("mx.far.test", NO_PTR, True)
        assert event.remote.startswith("mx.far.test ([2a00:")
        await office.pass_time(30)
        await office.send("b@far.test")
        await office.settle()
        assert [where for where, _ in office.connector.calls] == [SIX, FOUR, FOUR]  # it is remembered


@pytest.mark.parametrize("four", [FakeSmtpServer({"RCPT": NO_PTR}), ConnectFailed("timeout", "no answer")])
async def test_it_is_tried_once(four: FakeSmtpServer | ConnectFailed) -> None:
    """Refused over IPv4, too, or over IPv6 again because IPv4 does not work: it fails."""
    async with PostOffice() as office:
        six = FakeSmtpServer({"RCPT": NO_PTR})
        dual(office, six, four)
        letter = await office.send("a@far.test")
        await office.settle()
        assert await office.kinds(letter) == ["failed"]
        refused = six.lines.count("RCPT TO:<a@far.test>")
        assert refused == (1 if isinstance(four, FakeSmtpServer) else 2)


async def test_other_refusals_over_ipv6_fail_at_once() -> None:
    async with PostOffice() as office:
        four = FakeSmtpServer()
        dual(office, FakeSmtpServer({"RCPT TO:<NO@": "550 5.7.1 not for you", "RCPT TO:<SIX@": NO_PTR}), four)
        letter = await office.send("no@far.test", "six@far.test", "yes@far.test")
        await office.settle()
        outcomes = {outcome.forward_path: outcome.kind.value for outcome in await office.outcomes(letter)}
        assert outcomes == {"no@far.test": "failed", "six@far.test": "relayed", "yes@far.test": "relayed"}
        assert [taken.forward_paths for taken in four.letters] == [["six@far.test"]]


async def test_a_4xx_about_our_ipv6_address_goes_over_ipv4_next_time() -> None:
    async with PostOffice() as office:
        six, four = FakeSmtpServer({"RCPT": "450 4.7.25 no reverse hostname"}), FakeSmtpServer()
        dual(office, six, four)
        letter = await office.send("a@far.test")
        await office.settle()
        assert await office.kinds(letter) == ["delayed"]
        await office.pass_time(400, step=10)
        assert await office.kinds(letter) == ["delayed", "relayed"]
        assert len(four.letters) == 1


async def test_a_greeting_that_does_not_want_ipv6_is_remembered() -> None:
    async with PostOffice() as office:
        dual(office, FakeSmtpServer({"CONNECT": "554 5.7.1 no PTR"}), FakeSmtpServer())
        await office.send("a@far.test")
        await office.settle()
        assert office.delivery._memory.family_of("mx.far.test", office.clock.monotonic()) == "ipv4"
        event = office.events.one(Ipv6Refused)
        assert (event.host, event.letter) == ("mx.far.test", "")
        assert "no PTR" in event.reply


async def test_without_an_ipv4_address_it_fails() -> None:
    async with PostOffice() as office:
        six = FakeSmtpServer({"RCPT": NO_PTR})
        dual(office, six, FakeSmtpServer())
        office.resolver.address_records["mx.far.test"] = [SIX.address]
        letter = await office.send("a@far.test")
        await office.settle()
        assert await office.kinds(letter) == ["failed"]
        assert len(office.connector.calls) == 1


def settings(**delivery: tuple[str, ...]) -> Config:
    return Config(
        hostname="mail.example.test",
        data_dir="/d",
        domain=(Domain(name="example.test"),),
        source=(Source(address="192.0.2.1", helo="mx1.example.test"),),
        route=(Route(match="route.test", to=("smtp://20.0.0.1",), source=("192.0.2.2",)),),
        delivery=Delivery(**delivery),
    )


async def test_each_family_has_its_source_and_its_name() -> None:
    async with PostOffice(settings(source=("192.0.2.1",))) as office:
        four = FakeSmtpServer()
        dual(office, ConnectFailed("timeout", "no answer"), four)
        await office.send("a@far.test")
        await office.settle()
        assert office.connector.sources == ["", "192.0.2.1"]
        assert four.lines[0] == "EHLO mx1.example.test"
        await office.send("a@route.test")
        await office.settle()
        assert office.connector.sources[2:] == ["192.0.2.2"]
        assert [line for line in four.lines if line.startswith("EHLO")][1] == "EHLO mail.example.test"


async def test_a_source_that_is_not_ours_delays_and_names_its_key() -> None:
    async with PostOffice(settings()) as office:
        office.connector.targets[FOUR] = ConnectFailed("source", "Cannot assign requested address")
        letter = await office.send("a@route.test")
        await office.settle()
        (outcome,) = await office.outcomes(letter)
        assert (outcome.kind.value, outcome.status) == ("delayed", "4.3.5")
        assert 'source of [[route]] "route.test"' in outcome.text
        assert "192.0.2.2" in outcome.text
        assert not office.delivery._memory.has_failed(FOUR, office.clock.monotonic())


@pytest.mark.parametrize(("handshakes", "plain"), [(["bad", "good"], False), (["bad", "bad"], True)])
async def test_a_resumed_handshake_that_fails_is_tried_once_more_before_plain_text(
    handshakes: list[str], plain: bool
) -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer(tls="good")
        office.server("far.test", far)
        office.connector.resuming.add("mx0.far.test")
        outcomes = [*handshakes, "good"]

        def serve(wire: FakeWire) -> None:
            far.tls = outcomes.pop(0)
            far(wire)

        (where,) = office.connector.targets
        office.connector.targets[where] = serve
        letter = await office.send("a@far.test")
        await office.settle()
        assert await office.kinds(letter) == ["relayed"]
        assert [tls.allowed for _, tls in office.connector.calls] == [True, True, False][: 3 if plain else 2]
        assert office.attempts[0].tls.startswith("none") is plain
