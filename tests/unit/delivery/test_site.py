"""Sites: connections, hosts, TLS, and what becomes of letters when they break."""

from __future__ import annotations

import pytest

from ekiden.config.model import Route, Site
from ekiden.delivery import memory
from ekiden.delivery import site as site_module
from ekiden.delivery.line import limits
from ekiden.delivery.road import Credentials
from ekiden.model.envelope import Recipient
from ekiden.model.events import InternalFault, PossibleDuplicate
from ekiden.policy.site_rules import rules_for
from ekiden.ports.wire import ConnectFailed, Endpoint
from tests.fakes.smtp_server import CUT, EXTENSIONS, STALL, FakeSmtpServer
from tests.unit.delivery.letters import CONTENT
from tests.unit.delivery.post_office import PostOffice, config

REFUSED = ConnectFailed("refused", "connection refused")


async def test_a_letter_is_relayed_and_gone() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        letter = await office.send("bob@far.test", "carol@far.test")
        await office.settle()
        assert far.letters == [("alice@example.test", ["bob@far.test", "carol@far.test"], CONTENT, 0)]
        assert await office.queued() == []
        assert office.window.used_legs == 0
        (event,) = office.attempts
        assert (event.outcomes, event.next_hop, event.attempt) == ({"relayed": 2}, "mx:far.test", 1)
        assert event.remote == "mx0.far.test (20.0.0.1:25)"
        (outcome, _) = await office.outcomes(letter)
        assert (outcome.remote, outcome.summary) == ("mx0.far.test", "250 2.0.0 taken")


async def test_a_connection_is_kept_and_reused_then_closed_when_idle() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        for number in range(5):
            await office.send(f"{number}@far.test")
            await office.settle()
        assert [letter.session for letter in far.letters] == [0] * 5
        await office.pass_time(site_module.IDLE - 1)
        assert not far.sessions[0].quit
        await office.pass_time(2)
        assert far.sessions[0].quit
        await office.pass_time(1)
        assert list(office.delivery._ways.sites()) == []


async def test_connections_are_bounded_and_shared_by_what_waits() -> None:
    async with PostOffice(config(connections_per_site=3)) as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        for number in range(50):
            await office.send(f"{number}@far.test")
        await office.settle()
        assert len(far.letters) == 50
        assert len(far.sessions) == 3
        assert {letter.session for letter in far.letters} == {0, 1, 2}


async def test_an_idle_connection_comes_before_the_place_behind_another_letter() -> None:
    async with PostOffice(config(connections_per_site=2)) as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        for name in "xy":
            await office.send(f"{name}@far.test")
        await office.settle()
        assert len(far.sessions) == 2
        far.script["."] = [STALL]
        for name in "abc":
            await office.send(f"{name}@far.test")
            await office.settle()
        assert far.paths[2:] == ["b@far.test", "c@far.test"]
        assert far.letters[-2].session == far.letters[-1].session
        assert sum(line.startswith("MAIL") for line in far.lines) == 5  # c was never behind a


async def test_a_connection_more_than_is_needed_closes_although_letters_go_on() -> None:
    async with PostOffice(config(connections_per_site=2)) as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        for name in "xy":
            await office.send(f"{name}@far.test")
        await office.settle()
        assert len(far.sessions) == 2
        for _ in range(4):
            await office.send("z@far.test")
            await office.pass_time(2)
        assert len({letter.session for letter in far.letters[2:]}) == 1
        assert sorted(session.quit for session in far.sessions) == [False, True]


async def test_letters_without_pipelining() -> None:
    async with PostOffice(config(connections_per_site=1)) as office:
        far = FakeSmtpServer(extensions=())
        office.server("far.test", far)
        for number in range(10):
            await office.send(f"{number}@far.test")
        await office.settle()
        assert len(far.letters) == 10


async def test_a_connection_carries_only_so_many_letters() -> None:
    settings = config(sites=[Site(match="mx0.far.test", letters_per_connection=4)], connections_per_site=1)
    async with PostOffice(settings) as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        for number in range(10):
            await office.send(f"{number}@far.test")
        await office.settle()
        assert [letter.session for letter in far.letters] == [0] * 4 + [1] * 4 + [2] * 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", (1000, 100)),
        ("MAILMAX=20 RCPTMAX=50", (20, 50)),
        ("rcptmax=5000", (1000, 1000)),
        ("MAILMAX=0 RCPTMAX=x RCPTDOMAINMAX=1 MAILMAX", (1000, 100)),
        ("MAILMAX=99999999999999999999", (1000, 100)),
    ],
)
def test_limits_of_the_peer(words: str, expected: tuple[int, int]) -> None:
    rules = rules_for(config(), next_hop="mx:far.test", hosts=[])
    assert limits({"LIMITS": words} if words else {}, rules) == expected


def test_a_site_of_the_configuration_has_the_word_unless_the_peer_says_less() -> None:
    settings = config(sites=[Site(match="far.test", letters_per_connection=10, recipients_per_transaction=30)])
    rules = rules_for(settings, next_hop="mx:far.test", hosts=[])
    assert limits({}, rules) == (10, 30)
    assert limits({"LIMITS": "MAILMAX=50 RCPTMAX=500"}, rules) == (10, 30)
    assert limits({"LIMITS": "MAILMAX=5 RCPTMAX=20"}, rules) == (5, 20)


async def test_recipients_are_split_at_the_peers_limit() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer(extensions=(*EXTENSIONS, "LIMITS RCPTMAX=2"))
        office.server("far.test", far)
        letter = await office.send(*(f"{n}@far.test" for n in range(5)))
        await office.settle()
        assert [len(taken.forward_paths) for taken in far.letters] == [2, 2, 1]
        assert await office.kinds(letter) == ["relayed"] * 5
        assert len(office.attempts) == 1


async def test_too_many_recipients_go_again_at_once() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer({"RCPT": ["250 ok", "452 4.5.3 too many", "452 4.5.3 too many"]})
        office.server("far.test", far)
        letter = await office.send("a@far.test", "b@far.test", "c@far.test")
        await office.settle()
        assert [taken.forward_paths for taken in far.letters] == [["a@far.test"], ["b@far.test", "c@far.test"]]
        assert await office.kinds(letter) == ["relayed"] * 3


async def test_each_recipient_has_its_own_outcome() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer({"RCPT TO:<NO@": "550 5.1.1 nobody", "RCPT TO:<LATER@": "450 4.2.1 later"})
        office.server("far.test", far)
        letter = await office.send("yes@far.test", "no@far.test", "later@far.test")
        await office.settle()
        assert await office.kinds(letter) == ["relayed", "failed", "delayed"]
        (queued,) = await office.queued(letter)
        (leg,) = queued.legs
        assert [r.forward_path for r in leg.recipients] == ["later@far.test"]
        assert leg.recipients[0].last_error == "450 4.2.1 later"
        assert leg.attempts == 1
        assert leg.next_attempt == office.clock.now() + 300
        assert office.reports == [("failed", "alice@example.test")]


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ({"MAIL": "550 5.7.1 not you"}, "failed"),
        ({"MAIL": "451 4.3.0 later"}, "delayed"),
        ({"DATA": "554 5.7.1 no"}, "failed"),
        ({".": "552 5.3.4 too large"}, "failed"),
        ({".": "451 4.3.0 later"}, "delayed"),
        ({"RCPT": "what?"}, "delayed"),
    ],
)
async def test_replies_for_the_whole_letter(script: dict[str, str | list[str]], kind: str) -> None:
    async with PostOffice() as office:
        office.server("far.test", FakeSmtpServer(script))
        letter = await office.send("a@far.test", "b@far.test")
        await office.settle()
        await office.pass_time(40)
        assert await office.kinds(letter) == [kind] * 2


# -- hosts


@pytest.mark.parametrize(
    "first",
    [
        REFUSED,
        ConnectFailed("timeout", "timed out"),
        FakeSmtpServer({"CONNECT": "421 4.3.2 busy"}),
        FakeSmtpServer({"CONNECT": "450 4.7.1 greylisted"}),
        FakeSmtpServer({"CONNECT": "554 5.7.1 no service"}),
        FakeSmtpServer({"EHLO": "550 no", "HELO": "550 no"}),
        FakeSmtpServer({"CONNECT": CUT}),
        FakeSmtpServer({"CONNECT": "garbage"}),
    ],
)
async def test_the_next_host_is_tried(first: FakeSmtpServer | ConnectFailed) -> None:
    async with PostOffice() as office:
        second = FakeSmtpServer()
        office.server("far.test", first, second)
        letter = await office.send("b@far.test")
        await office.settle()
        assert await office.kinds(letter) == ["relayed"]
        assert len(second.letters) == 1


async def test_a_host_that_failed_comes_last_for_a_while() -> None:
    async with PostOffice() as office:
        office.server("far.test", REFUSED, FakeSmtpServer())
        for _ in range(2):
            await office.send("b@far.test")
            await office.settle()
            await office.pass_time(10)  # the connection is closed meanwhile
        assert [str(where) for where, _ in office.connector.calls] == ["20.0.0.1:25", "20.0.0.2:25", "20.0.0.2:25"]
        await office.pass_time(memory.SECONDS, step=60)
        await office.send("b@far.test")
        await office.settle()
        assert str(office.connector.calls[3][0]) == "20.0.0.1:25"


@pytest.mark.parametrize("answer", [CUT, "421 4.3.2 not now"])
async def test_a_host_that_greets_and_hangs_up_on_every_letter_gives_way_to_the_next(answer: str) -> None:
    async with PostOffice() as office:
        moody, good = FakeSmtpServer({"MAIL": answer}), FakeSmtpServer()
        office.server("far.test", moody, good)
        await office.send("bob@far.test")
        await office.settle()
        await office.pass_time(site_module.PAUSE + 1)
        assert good.paths == ["bob@far.test"]
        assert len(moody.sessions) == 1


@pytest.mark.parametrize("code", ["421 4.3.2 busy", "554 5.7.1 go away"])
async def test_no_host_left_delays_with_the_last_reason(code: str) -> None:
    async with PostOffice() as office:
        office.server("far.test", REFUSED, FakeSmtpServer({"CONNECT": code}))
        letter = await office.send("b@far.test", "c@far.test")
        await office.settle()
        outcomes = await office.outcomes(letter)
        assert [o.kind for o in outcomes] == ["delayed"] * 2
        assert "mx1.far.test" in outcomes[0].text
        assert code[4:] in outcomes[0].text
        assert outcomes[0].status.startswith("4.")
        assert office.window.used_legs == 0


async def test_a_host_whose_system_is_in_trouble_comes_last_at_the_next_attempt() -> None:
    """RFC 5321 §5.1: each host is tried in order until a delivery succeeds. 4.3.x is about the host, 4.2.x is not."""
    async with PostOffice() as office:
        full, good = FakeSmtpServer({"MAIL": "452 4.3.1 insufficient storage"}), FakeSmtpServer()
        office.server("far.test", full, good)
        letter = await office.send("bob@far.test")
        await office.settle()
        assert await office.kinds(letter) == ["delayed"]
        await office.pass_time(400, step=5)
        assert good.paths == ["bob@far.test"]
        busy, spare = FakeSmtpServer({"RCPT": "450 4.2.1 mailbox busy"}), FakeSmtpServer()
        office.server("farther.test", busy, spare)
        await office.send("bob@farther.test")
        await office.pass_time(400, step=5)
        assert len(busy.sessions) == 2
        assert not spare.sessions


async def test_what_a_host_said_is_told_rather_than_that_another_was_down() -> None:
    async with PostOffice() as office:
        tls = ConnectFailed("tls", "20.0.0.2:25: TLS handshake failed: certificate has expired")
        office.server("far.test", FakeSmtpServer({"CONNECT": "554 5.7.1 go away"}), tls, REFUSED)
        await office.send("b@far.test")
        await office.settle()
        assert "certificate has expired" in office.attempts[0].reply
        office.server("farther.test", FakeSmtpServer({"CONNECT": "554 5.7.1 go away"}), REFUSED)
        await office.send("b@farther.test")
        await office.settle()
        assert "554 5.7.1 go away" in office.attempts[1].reply


async def test_no_road_fails_or_delays() -> None:
    async with PostOffice() as office:
        office.resolver.mx_records["null.test"] = [(0, "")]
        office.resolver.fail("servfail.test")
        null, gone = await office.send("b@null.test"), await office.send("b@gone.test")
        servfail = await office.send("b@servfail.test")
        await office.settle()
        assert [(o.kind, o.status) for o in await office.outcomes(null)] == [("failed", "5.1.10")]
        assert [(o.kind, o.status) for o in await office.outcomes(gone)] == [("failed", "5.1.2")]
        assert [(o.kind, o.status) for o in await office.outcomes(servfail)] == [("delayed", "4.4.3")]


async def test_a_site_that_is_down_is_tried_anew_only_after_a_pause() -> None:
    async with PostOffice() as office:
        office.server("far.test", REFUSED)
        first = await office.send("b@far.test")
        await office.settle()
        assert await office.kinds(first) == ["delayed"]
        second = await office.send("c@far.test")
        await office.settle()
        assert len(office.connector.calls) == 1
        assert await office.kinds(second) == []
        office.connector.targets[Endpoint("20.0.0.1", 25)] = FakeSmtpServer()
        await office.pass_time(site_module.PAUSE + 1)
        assert await office.kinds(second) == ["relayed"]


async def test_one_connection_that_cannot_be_opened_delays_nothing_while_another_works() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer({"CONNECT": ["220 far.test", *["421 4.7.0 too many connections"] * 30]})
        office.server("far.test", far)
        letters = [await office.send(f"{n}@far.test") for n in range(20)]
        await office.settle()
        for letter in letters:
            assert await office.kinds(letter) == ["relayed"]


async def test_one_site_that_stalls_does_not_hold_up_others() -> None:
    async with PostOffice() as office:
        office.server("slow.test", FakeSmtpServer({"CONNECT": STALL}))
        office.server("far.test", FakeSmtpServer())
        slow, fast = await office.send("a@slow.test"), await office.send("b@far.test")
        await office.settle()
        assert await office.kinds(fast) == ["relayed"]
        assert await office.kinds(slow) == []
        await office.pass_time(310, step=10)  # RFC 5321 §4.5.3.2.1: five minutes for the greeting
        assert await office.kinds(slow) == ["delayed"]


# -- connections that break


async def test_lost_before_the_final_reply_is_unknown_and_so_delayed() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer({".": CUT})
        office.server("far.test", far)
        letter = await office.send("a@far.test")
        await office.settle()
        (outcome,) = await office.outcomes(letter)
        assert (outcome.kind, outcome.status) == ("delayed", "4.4.2")
        assert len(far.sessions) == 1  # the peer may have it: never again at once
        assert outcome.possible_duplicate
        event = office.events.one(PossibleDuplicate)
        assert (event.next_hop, event.remote, event.recipients) == ("mx:far.test", "mx0.far.test (20.0.0.1:25)", 1)
        assert event.reason == "mx0.far.test: the server closed the connection"
        far.script["."] = [CUT, "250 2.0.0 taken"]
        await office.pass_time(3000, step=5)
        (leg,) = (entry for entry in await office.spool.trail(letter) if entry.attempt == 3)
        assert [outcome.kind for outcome in leg.outcomes] == ["relayed"]
        assert len(office.events.of(PossibleDuplicate)) == 2


async def test_what_waits_says_how_often_it_may_have_arrived() -> None:
    async with PostOffice() as office:
        office.server("far.test", FakeSmtpServer({".": CUT, "RCPT TO:<LATER@": "450 4.2.0 later"}))
        letter = await office.send("a@far.test", "later@far.test")
        await office.pass_time(400, step=5)
        (queued,) = [queued for queued in await office.queued() if queued.letter == letter]
        counts = {r.forward_path: r.possible_duplicates for r in queued.legs[0].recipients}
        assert counts == {"a@far.test": 2, "later@far.test": 0}


@pytest.mark.parametrize("command", ["EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("pipelining", [True, False])
async def test_lost_at_any_command_before_the_content_is_no_duplicate_and_no_failure(
    command: str, pipelining: bool
) -> None:
    async with PostOffice() as office:
        office.server("far.test", FakeSmtpServer({command: CUT}, extensions=["PIPELINING"] if pipelining else []))
        letter = await office.send("a@far.test")
        await office.pass_time(60)
        (outcome,) = await office.outcomes(letter)
        assert (outcome.kind, outcome.possible_duplicate) == ("delayed", False)
        assert office.events.of(PossibleDuplicate) == []


async def test_lost_before_the_content_goes_again_at_once_but_not_for_ever() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer({"MAIL": [CUT]}, extensions=())
        office.server("far.test", far)
        letter = await office.send("a@far.test")
        await office.pass_time(15)
        assert await office.kinds(letter) == ["relayed"]
        office.server("never.test", never := FakeSmtpServer({"MAIL": CUT}, extensions=()))
        letter = await office.send("a@never.test")
        await office.settle()
        assert len(never.sessions) == 1  # as good as down: not hammered
        await office.pass_time(60)
        assert await office.kinds(letter) == ["delayed"]
        assert len(never.sessions) == 3


async def test_a_kept_connection_that_the_peer_closed_costs_nothing() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer({"MAIL": ["250 ok", CUT]}, extensions=())
        office.server("far.test", far)
        await office.send("a@far.test")
        await office.settle()
        letter = await office.send("b@far.test")
        await office.settle()
        assert await office.kinds(letter) == ["relayed"]
        assert [taken.session for taken in far.letters] == [0, 1]


async def test_what_is_known_of_a_lost_transaction_holds() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer({"RCPT TO:<NO@": "550 5.1.1 nobody", "DATA": [CUT]}, extensions=())
        office.server("far.test", far)
        letter = await office.send("no@far.test", "yes@far.test")
        await office.pass_time(15)
        assert await office.kinds(letter) == ["failed", "relayed"]
        assert sum("no@far.test" in line for line in far.lines) == 1


async def test_421_in_the_midst_is_their_word() -> None:
    async with PostOffice() as office:
        office.server("far.test", FakeSmtpServer({".": "421 4.3.2 going down"}))
        letter = await office.send("a@far.test")
        await office.settle()
        (outcome,) = await office.outcomes(letter)
        assert (outcome.kind, outcome.possible_duplicate) == ("delayed", False)
        assert "going down" in outcome.text


async def test_a_peer_that_stalls_is_cut_off() -> None:
    async with PostOffice() as office:
        office.server("far.test", FakeSmtpServer({".": STALL}))
        letter = await office.send("a@far.test")
        await office.settle()
        await office.pass_time(620, step=10)
        (outcome,) = await office.outcomes(letter)
        assert outcome.kind == "delayed"
        assert "timed out" in outcome.text


# -- TLS and logins


async def test_opportunistic_tls_is_used_and_shown() -> None:
    async with PostOffice() as office:
        office.server("far.test", FakeSmtpServer(tls="good"))
        await office.send("a@far.test")
        await office.settle()
        assert office.attempts[0].tls.startswith("TLSv1.3")


async def test_opportunistic_tls_that_fails_is_left_away_and_remembered() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer(tls="bad")
        office.server("far.test", far)
        letter = await office.send("a@far.test")
        await office.settle()
        assert await office.kinds(letter) == ["relayed"]
        assert office.attempts[0].tls == "none: its TLS handshake failed"
        assert [tls.allowed for _, tls in office.connector.calls] == [True, False]
        await office.pass_time(10)
        await office.send("b@far.test")
        await office.settle()
        assert [tls.allowed for _, tls in office.connector.calls] == [True, False, False]


@pytest.mark.parametrize("tls", ["require", "verify"])
@pytest.mark.parametrize("offered", ["bad", ""])
async def test_stricter_tls_is_never_left_away(tls: str, offered: str) -> None:
    route = Route(match="far.test", to=("smtp://20.0.0.1:25",), tls=tls)
    async with PostOffice(config(route)) as office:
        far = FakeSmtpServer(tls=offered)
        office.connector.targets[Endpoint("20.0.0.1", 25)] = far
        letter = await office.send("a@far.test")
        await office.settle()
        assert await office.kinds(letter) == ["delayed"]
        assert not any(line.startswith("MAIL") for line in far.lines)
        assert len(far.sessions) == 1


async def test_a_smarthost_gets_its_login() -> None:
    route = Route(match="*", to=("smtp://20.0.0.1:587",), username="me", tls="verify")
    async with PostOffice(config(route), {"*": Credentials("me", "hunter2")}) as office:
        far = FakeSmtpServer({"AUTH": "235 2.7.0 welcome"}, extensions=(*EXTENSIONS, "AUTH PLAIN"), tls="good")
        office.connector.targets[Endpoint("20.0.0.1", 587)] = far
        letter = await office.send("a@far.test")
        await office.settle()
        assert await office.kinds(letter) == ["relayed"]
        assert any(line.startswith("AUTH PLAIN ") for line in far.lines)
        assert "hunter2" not in repr(office.events.events)


async def test_a_refused_login_delays() -> None:
    route = Route(match="*", to=("smtp://20.0.0.1:587",), username="me")
    async with PostOffice(config(route), {"*": Credentials("me", "x")}) as office:
        far = FakeSmtpServer({"AUTH": "535 5.7.8 wrong"}, extensions=(*EXTENSIONS, "AUTH PLAIN LOGIN"), tls="good")
        office.connector.targets[Endpoint("20.0.0.1", 587)] = far
        letter = await office.send("a@far.test")
        await office.settle()
        (outcome,) = await office.outcomes(letter)
        assert outcome.kind == "delayed"
        assert "5.7.8" in outcome.text


async def test_lmtp_over_a_unix_socket_answers_for_each_recipient() -> None:
    route = Route(match="far.test", to=("lmtp+unix:///run/lmtp",))
    async with PostOffice(config(route)) as office:
        far = FakeSmtpServer({".": ["250 2.0.0 stored", "452 4.2.2 full"]}, lmtp=True)
        office.connector.targets["/run/lmtp"] = far
        letter = await office.send("a@far.test", "b@far.test")
        await office.settle()
        assert await office.kinds(letter) == ["relayed", "delayed"]


# -- letters that the peer cannot take, and large ones


async def test_what_the_peer_cannot_take_fails_without_being_sent() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer(extensions=("PIPELINING", "SIZE 10"))
        office.server("far.test", far)
        letters = [await office.send(f"{n}@far.test") for n in range(5)]
        await office.settle()
        for letter in letters:
            (outcome,) = await office.outcomes(letter)
            assert (outcome.kind, outcome.status) == ("failed", "5.3.4")
        assert not any(line.startswith("MAIL") for line in far.lines)


async def test_large_content_is_streamed() -> None:
    async with PostOffice() as office:
        far = FakeSmtpServer()
        office.server("far.test", far)
        content = CONTENT + b".dots and words\r\n" * 20_000
        letter = await office.send("a@far.test", content=content)
        await office.settle()
        assert await office.kinds(letter) == ["relayed"]
        assert far.letters[0].content == content.replace(b"\r\n.", b"\r\n..")


async def test_a_fault_of_ours_delays_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    async with PostOffice() as office:
        monkeypatch.setattr(office.resolver, "mx", broken)
        letter = await office.send("a@far.test")
        await office.settle()
        (outcome,) = await office.outcomes(letter)
        fault = office.events.one(InternalFault)
        assert (outcome.kind, outcome.status) == ("delayed", "4.3.0")
        assert fault.incident in outcome.text
        assert "secret" not in outcome.text
        assert "secret detail" in fault.stack


# -- fairness and budgets


async def test_flows_take_turns_at_a_site() -> None:
    async with PostOffice(config(connections_per_site=1)) as office:
        far = FakeSmtpServer(extensions=())
        office.server("far.test", far)
        for number in range(20):
            await office.send(f"flood{number}@far.test", flow="flood")
        await office.send(Recipient("bob@far.test"), flow="bob")
        await office.settle()
        assert "bob@far.test" in far.paths[:3]
