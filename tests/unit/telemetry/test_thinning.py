"""What repeats is kept a few times and counted; what does not is kept."""

from __future__ import annotations

from ekiden.model.events import Event, EventRepeated, LoginFailed, LoginSucceeded, SiteState
from ekiden.telemetry import thinning
from ekiden.telemetry.thinning import CLIENTS, LOGINS, OTHERS, Thinning


def failed(client: str = "192.0.2.7", account: str = "a") -> Event:
    return LoginFailed(
        session="s", door="submission", client=client, account=account, mechanism="PLAIN", reason="x", level="warning"
    )


def succeeded(account: str = "a", client: str = "192.0.2.7", door: str = "pop3s") -> Event:
    return LoginSucceeded(session="s", door=door, client=client, account=account, mechanism="PLAIN")


def passed(thin: Thinning, event: Event, times: int, now: float = 0.0) -> int:
    return sum(thin.passes(event, now) for _ in range(times))


def test_a_flood_from_one_network_is_cut_and_counted() -> None:
    thin = Thinning()
    assert passed(thin, failed(), 5000) + passed(thin, failed("192.0.2.99", "b"), 5000) == CLIENTS.most
    assert passed(thin, failed("192.0.3.1"), 5) == 5
    assert list(thin.over(CLIENTS.seconds - 1)) == []
    (told,) = thin.over(CLIENTS.seconds)
    assert told == EventRepeated(name="login.failed", times=9900, seconds=60.0, client="192.0.2.0/24", level="warning")
    assert len(thin) == 0
    assert thin.passes(failed(), CLIENTS.seconds)


def test_ipv6_clients_are_counted_by_64() -> None:
    thin = Thinning()
    clients = [f"2001:db8:0:1::{n:x}" for n in range(200)]
    assert sum(thin.passes(failed(client), 0.0) for client in clients) == CLIENTS.most
    assert thin.passes(failed("2001:db8:0:2::1"), 0.0)
    (told,) = thin.over(1.0, all_of_them=True)
    assert told.client == "2001:db8:0:1::/64"


def test_a_login_that_repeats_is_told_with_its_account() -> None:
    thin = Thinning()
    assert passed(thin, succeeded(), 12) == LOGINS.most
    assert passed(thin, succeeded(client="192.0.2.8"), 1) == 1
    assert passed(thin, succeeded(door="submission"), 1) == 1
    assert passed(thin, succeeded("b"), 1) == 1
    (told,) = thin.over(LOGINS.seconds)
    assert (told.account, told.client, told.door, told.times) == ("a", "192.0.2.7", "pop3s", 7)


def test_what_has_no_client_may_come_more_often() -> None:
    assert passed(Thinning(), SiteState(site="far.test", what="open"), 5000) == OTHERS.most


def test_a_clock_that_jumps_back_ends_windows() -> None:
    thin = Thinning()
    passed(thin, failed(), 200, now=1000.0)
    (told,) = thin.over(10.0)
    assert (told.times, told.seconds) == (100, 0.0)


def test_windows_are_bounded(monkeypatch) -> None:
    monkeypatch.setattr(thinning, "MOST_KEYS", 50)
    thin = Thinning()
    for n in range(60):
        thin.passes(failed(f"10.{n}.0.1"), 0.0)
    passed(thin, failed("192.0.2.7"), 101)
    assert [told.client for told in thin.over(1.0)] == ["192.0.2.0/24"]
    assert len(thin) == 0


def test_a_client_that_is_no_address_does_no_harm() -> None:
    thin = Thinning()
    assert passed(thin, failed("/run/socket:x"), 101) == CLIENTS.most
    (told,) = thin.over(60.0)
    assert told.client == "/run/socket:x"
