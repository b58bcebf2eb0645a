"""When a blocked port 25 is suspected, and when it is judged."""

from __future__ import annotations

import pytest

from ekiden.model.road_block import Family, RoadBlock, RoadState, Trouble, family_of
from ekiden.policy.road_block import (
    QUIET_BEFORE,
    Contact,
    Finding,
    Probe,
    Suspicion,
    domain_of,
    judge,
    shows_open,
    trouble_of,
)

GMAIL, OUTLOOK, YAHOO = "mx.gmail.test", "mx.outlook.test", "mx.yahoo.test"
CONTROL = [Probe("one.test", "1.1.1.1")]
NO_CONTROL = [Probe("one.test", "1.1.1.1", "timeout")]


def contact(number: int, kind: str = "timeout", *, banner: str = "") -> Contact:
    host = f"mx.site{number}.test"
    return Contact(f"site{number}", host, f"20.0.{number}.1", kind, banner)


def notes(*contacts: Contact, now: float = 0.0) -> list[bool]:
    suspicion = Suspicion()
    return [suspicion.note(one, now) for one in contacts]


def test_three_unrelated_sites_that_fail_alike_are_a_suspicion() -> None:
    assert notes(contact(1), contact(2), contact(3)) == [False, False, True]


def test_one_site_that_fails_often_is_none() -> None:
    assert not any(notes(*[contact(1)] * 10))


@pytest.mark.parametrize(
    "third",
    [
        contact(3)._replace(site="site1"),
        contact(3)._replace(address="20.0.1.77"),
        contact(3)._replace(host="other.site1.test"),
    ],
)
def test_related_sites_count_once(third: Contact) -> None:
    assert notes(contact(1), contact(2), third, contact(4)) == [False, False, False, True]


def test_networks_of_ipv6_are_48_bits() -> None:
    ours = [contact(n)._replace(address=f"2001:db8:{n}::1") for n in (1, 2)]
    near = contact(3)._replace(address="2001:db8:1:ffff::1")
    assert notes(*ours, near) == [False, False, False]
    assert notes(*ours, near._replace(address="2001:db8:3::1"))[-1]


def test_another_kind_of_failure_begins_anew() -> None:
    assert not any(notes(contact(1), contact(2), contact(3, "refused"), contact(4), contact(5)))


def test_refused_and_reset_are_alike_and_so_are_unreachable_and_prohibited() -> None:
    assert notes(contact(1, "refused"), contact(2, "reset"), contact(3, "refused"))[-1]
    assert notes(contact(1, "unreachable"), contact(2, "prohibited"), contact(3, "unreachable"))[-1]


def test_what_says_nothing_of_the_road_changes_nothing() -> None:
    assert notes(contact(1), contact(2, "source"), contact(2, "tls"), contact(3), contact(4))[-1]


def test_a_success_within_the_hour_means_that_the_road_is_open() -> None:
    suspicion = Suspicion()
    assert not suspicion.note(contact(9, ""), 0.0)
    assert not any(suspicion.note(contact(n), 100.0) for n in (1, 2, 3, 4))
    assert not suspicion.note(contact(5), QUIET_BEFORE - 1)
    assert suspicion.note(contact(6), QUIET_BEFORE)


def test_a_success_ends_the_row() -> None:
    suspicion = Suspicion()
    later = 2 * QUIET_BEFORE
    assert not any(suspicion.note(one, 0.0) for one in (contact(1), contact(2), contact(3, "")))
    assert not any(suspicion.note(one, later) for one in (contact(4), contact(5)))
    assert suspicion.note(contact(6), later)


def test_what_was_looked_at_begins_anew() -> None:
    suspicion = Suspicion()
    for number in (1, 2, 3):
        suspicion.note(contact(number), 0.0)
    suspicion.clear()
    assert not suspicion.note(contact(4), 0.0)


def test_one_name_from_unrelated_sites_is_a_suspicion() -> None:
    same = [contact(n, "", banner="proxy.isp.test") for n in (1, 2, 3)]
    assert notes(*same)[-1]
    hosted = [contact(n, "", banner=f"mx{n}.hoster{n}.test") for n in (1, 2, 3)]
    assert not any(notes(*hosted))


def test_a_server_that_names_itself_rightly_ends_that() -> None:
    suspicion = Suspicion()
    own = contact(9, "", banner="a.site9.test")
    assert not suspicion.note(own, 0.0)
    assert not any(suspicion.note(contact(n, "", banner="proxy.isp.test"), 10.0) for n in (1, 2, 3, 4))


def test_odd_names_are_answers_all_the_same() -> None:
    suspicion = Suspicion()
    suspicion.note(contact(9, "", banner="mx.hoster.test"), 0.0)
    assert not any(suspicion.note(contact(n), 10.0) for n in (1, 2, 3))


# -- judgement


def probes(*kinds: str, banners: tuple[str, ...] = (GMAIL, OUTLOOK, YAHOO), starttls: bool = True) -> list[Probe]:
    hosts = (GMAIL, OUTLOOK, YAHOO)
    return [
        Probe(host, f"20.0.{n}.1", kind, "" if kind else banner, starttls and not kind, kind or "220")
        for n, (host, kind, banner) in enumerate(zip(hosts, kinds, banners, strict=True))
    ]


@pytest.mark.parametrize(
    ("kinds", "trouble"),
    [
        (("timeout", "timeout", "timeout"), Trouble.DROPPED),
        (("refused", "refused", "reset"), Trouble.RESET),
        (("unreachable", "prohibited", "unreachable"), Trouble.PROHIBITED),
        (("not-smtp", "not-smtp", "not-smtp"), Trouble.NOT_SMTP),
        (("timeout", "refused", "timeout"), Trouble.DROPPED),
    ],
)
def test_blocked_only_if_all_fail_and_the_control_port_works(kinds: tuple[str, ...], trouble: Trouble) -> None:
    assert judge(probes(*kinds), CONTROL).trouble is trouble
    down = judge(probes(*kinds), NO_CONTROL)
    assert (down.trouble, down.known) == (None, False)
    assert (judge(probes(*kinds[:2], ""), CONTROL).trouble) is None


def test_one_control_of_several_is_enough() -> None:
    assert judge(probes(*["timeout"] * 3), NO_CONTROL + CONTROL).trouble is Trouble.DROPPED


def test_too_few_hosts_prove_nothing() -> None:
    found = judge(probes(*["timeout"] * 3)[:2], CONTROL)
    assert (found.trouble, found.known) == (None, False)
    twice = judge([*probes(*["timeout"] * 3)[:2]] * 2, CONTROL)
    assert not twice.known


def test_another_hosts_banner() -> None:
    found = judge(probes("", "", "", banners=("Proxy.isp.test", "proxy.isp.test", "proxy.isp.test")), CONTROL)
    assert (found.trouble, found.banner) == (Trouble.FOREIGN, "proxy.isp.test")
    assert judge(probes("", "", ""), CONTROL) == Finding(None, "3 of 3 hosts answer")


def test_servers_without_a_name_are_not_another_host() -> None:
    assert judge(probes("", "", "", banners=("", "", "")), CONTROL).trouble is None


def test_hosts_of_one_provider_may_share_a_name() -> None:
    same = [Probe(f"alt{n}.gmail.test", f"20.0.{n}.1", "", "mx.gmail.test", starttls=True) for n in range(3)]
    assert judge(same, CONTROL).trouble is None


def test_a_stripped_starttls_is_told_and_blocks_nothing() -> None:
    found = judge(probes("", "", "", starttls=False), CONTROL)
    assert (found.trouble, found.stripped, found.known) == (None, True, True)
    assert not judge(probes("", "", "timeout", starttls=False), CONTROL).stripped


def test_open_again() -> None:
    assert shows_open(Probe(GMAIL, "20.0.0.1", "", GMAIL), "")
    assert not shows_open(Probe(GMAIL, "20.0.0.1", "timeout"), "")
    assert not shows_open(Probe(GMAIL, "20.0.0.1", "", "PROXY.isp.test"), "proxy.isp.test")
    assert shows_open(Probe(GMAIL, "20.0.0.1", "", GMAIL), "proxy.isp.test")


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("gmail-smtp-in.l.google.com", "google.com"),
        ("mx.provider.co.jp.", "provider.co.jp"),
        ("MX.Example.de", "example.de"),
        ("co.jp", "co.jp"),
        ("localhost", "localhost"),
    ],
)
def test_domains(name: str, domain: str) -> None:
    assert domain_of(name) == domain


def test_kinds_that_mean_nothing() -> None:
    assert trouble_of("source") is None


def test_families() -> None:
    assert family_of("2001:db8::1") is Family.IPV6
    assert family_of("20.0.0.1") is Family.IPV4


def test_state() -> None:
    block = RoadBlock(family=Family.IPV4, kind=Trouble.DROPPED, since=1.0, looked=1.0)
    six = RoadBlock(family=Family.IPV6, kind=Trouble.RESET, since=2.0, looked=2.0)
    state = RoadState().blocked(block).blocked(six)
    assert state.block_of(Family.IPV4) == block
    opened = state.opened(Family.IPV4, 9.0)
    assert (opened.blocks, opened.looked) == ((six,), {Family.IPV4: 9.0, Family.IPV6: 2.0})
    assert "silently dropped" in block.reason
