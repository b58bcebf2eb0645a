"""What the postmaster reads about a blocked port 25."""

from __future__ import annotations

from ekiden.message.road_notice import Detour, blocked_notice, sender_refused_notice
from ekiden.model.road_block import Family, RoadBlock, Trouble

BLOCK = RoadBlock(family=Family.IPV4, kind=Trouble.RESET, since=0.0, looked=0.0, evidence=("mx.one.test: refused",))


def test_without_a_detour_it_says_how_to_make_one() -> None:
    notice = blocked_notice(BLOCK, "mail.example.test", Detour())
    assert "port 25" in notice.subject
    assert "OP25B" in notice.text
    assert "  mx.one.test: refused" in notice.text
    assert '  to            = "smtps://smtp.provider.example:465"' in notice.text
    assert "wait, without an attempt being counted" in notice.text
    assert notice.about == "IPv4"
    assert "{" not in notice.text


def test_with_a_detour_it_says_where_letters_go() -> None:
    notice = blocked_notice(BLOCK, "mail.example.test", Detour(("smtps://smtp.provider.test:465",)))
    assert "now go through smtps://smtp.provider.test:465" in notice.text
    assert "[delivery.detour]\n" not in notice.text
    assert "SPF" not in notice.text


def test_it_warns_of_spf() -> None:
    notice = blocked_notice(BLOCK, "mail.example.test", Detour(("smtps://smtp.provider.test:465",), ["example.test"]))
    assert "Warning: the SPF record of example.test" in notice.text


def test_a_refused_sender() -> None:
    notice = sender_refused_notice("2k3", "alice@example.test", "smtp.provider.test", "553 5.7.1 not owned")
    assert "alice@example.test" in notice.subject
    assert "ekiden queue release 2k3" in notice.text
    assert notice.about == "alice@example.test"
    assert "the null sender" in sender_refused_notice("2k3", "", "x", "y").subject
