"""Call-ahead: what the next hop says of a recipient, what is remembered, and that no trouble ever becomes a refusal."""

from __future__ import annotations

import asyncio

import pytest

from ekiden.config.model import Config, Domain, Route
from ekiden.delivery import callahead
from ekiden.delivery.callahead import CallAhead
from ekiden.delivery.routing import Routing
from ekiden.model.mailbox import Mailbox
from ekiden.policy.next_hop import NextHops
from ekiden.ports.wire import Endpoint
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.resolver import FakeResolver
from tests.fakes.smtp_server import CUT, STALL, FakeSmtpServer
from tests.fakes.wire import FakeConnector

FIRST, SECOND = Endpoint("10.0.0.1", 25), Endpoint("10.0.0.2", 25)
BOB = Mailbox("bob", "inner.test")


class Scene:
    """A routed domain with two hosts; `servers`: what stands there (nothing: connections are refused)."""

    def __init__(self, **servers: FakeSmtpServer) -> None:
        self.clock = FakeClock()
        self.connector = FakeConnector()
        for name, server in servers.items():
            self.connector.targets[{"first": FIRST, "second": SECOND}[name]] = server
        config = Config(
            hostname="mail.example.test",
            data_dir="/nowhere",
            domain=(Domain(name="inner.test", recipients="callahead"),),
            route=(Route(match="inner.test", to=("smtp://10.0.0.1:25", "smtp://10.0.0.2:25")),),
        )
        routing = Routing(config, {}, FakeResolver(), FakeRandom())
        self.probe = CallAhead(NextHops(config), routing, self.connector, self.clock, config.hostname)

    async def ask(self, mailbox: Mailbox = BOB) -> str:
        return str(await asyncio.wait_for(self.probe.ask(mailbox), 5))


async def test_a_recipient_that_exists_and_one_that_does_not() -> None:
    server = FakeSmtpServer({"RCPT TO:<no@inner.test>": "550 5.1.1 nobody"})
    scene = Scene(first=server)
    assert (await scene.ask()).startswith("250")
    assert await scene.ask(Mailbox("no", "inner.test")) == "550 5.1.1 nobody"
    assert server.letters == []  # a question carries no content
    assert not any(line.upper().startswith(("DATA", "BDAT")) for line in server.lines)
    assert "MAIL FROM:<>" in " ".join(server.lines)


async def test_answers_are_remembered_negatives_too_each_for_its_time() -> None:
    server = FakeSmtpServer({"RCPT TO:<no@inner.test>": "550 5.1.1 nobody"})
    scene = Scene(first=server)
    no = Mailbox("no", "inner.test")
    await scene.ask()
    await scene.ask(no)
    asked = len(scene.connector.calls)
    await scene.ask(Mailbox("BOB", "Inner.Test"))  # the same mailbox in another spelling
    assert scene.probe.peek(no) is not None
    assert len(scene.connector.calls) == asked
    scene.clock.advance(callahead.UNKNOWN_SECONDS - 1)
    assert scene.probe.peek(no) is not None
    scene.clock.advance(2)
    assert scene.probe.peek(no) is None
    assert scene.probe.peek(BOB) is not None
    scene.clock.advance(callahead.KNOWN_SECONDS)
    assert scene.probe.peek(BOB) is None


@pytest.mark.parametrize(
    "script",
    [
        {"CONNECT": "554 5.7.1 go away"},
        {"CONNECT": CUT},
        {"MAIL": "550 5.7.1 no null senders"},
        {"MAIL": "451 4.3.0 later"},
        {"RCPT": "450 4.2.0 greylisted"},
        {"RCPT": CUT},
        {"RCPT": "421 4.3.2 closing"},
    ],
    ids=str,
)
async def test_trouble_is_never_a_refusal(script: dict[str, str]) -> None:
    scene = Scene(first=FakeSmtpServer(script))
    assert (await scene.ask()).startswith("450")


async def test_a_next_hop_that_is_down_is_450_and_not_asked_again_at_once() -> None:
    scene = Scene()
    assert (await scene.ask()).startswith("450 4.4.1")
    calls = len(scene.connector.calls)
    await scene.ask()
    assert len(scene.connector.calls) == calls
    scene.clock.advance(callahead.DOWN_SECONDS + 1)
    await scene.ask()
    assert len(scene.connector.calls) > calls


async def test_another_host_is_asked_when_the_first_cannot_say() -> None:
    scene = Scene(second=FakeSmtpServer())
    assert (await scene.ask()).startswith("250")
    assert [where for where, _ in scene.connector.calls] == [FIRST, SECOND]


async def test_a_host_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callahead, "WITHIN", 0.01)
    scene = Scene(first=FakeSmtpServer({"RCPT": STALL}))
    assert "took too long" in await scene.ask()


async def test_equal_questions_at_once_are_one() -> None:
    server = FakeSmtpServer()
    scene = Scene(first=server)
    answers = await asyncio.gather(*(scene.probe.ask(BOB) for _ in range(50)))
    assert {answer.code for answer in answers} == {250}
    assert len(server.sessions) == 1


async def test_one_who_gives_up_waiting_does_not_spoil_it_for_the_others() -> None:
    scene = Scene(first=FakeSmtpServer())
    first = asyncio.ensure_future(scene.probe.ask(BOB))
    second = asyncio.ensure_future(scene.probe.ask(BOB))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).code == 250
