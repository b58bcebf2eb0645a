"""What keeps letters from their sites: several voices, one answer."""

from __future__ import annotations

from ekiden.admin.hindrances import Hindrances, all_hindered
from ekiden.ports.spool import SiteStatus, Suspension

NOW = 1_767_225_600.0


def status(state, site="mx.far.test", until=None, hops=("mx:far.test",), told_by=1):
    return SiteStatus(site, state, "why", NOW - 60, until, list(hops), 20, told_by)


def test_of_two_workers_words_the_worse_counts_then_what_lasts_longer():
    limits, short, long = status("limits"), status("resting", until=NOW + 5), status("resting", until=NOW + 9)
    for said in ([limits, short, long], [long, limits, short], [short, long, limits]):
        known = Hindrances((), said)
        assert known.site_of("mx:far.test") == long
        assert known.sites == [long]
    assert Hindrances((), [long, status("suspended")]).sites[0].state == "suspended"
    assert Hindrances((), [status("new kind"), limits]).sites == [limits]
    assert known.site_of("mx:other.test") is None


def test_what_leads_to_a_site_is_what_all_workers_know():
    one, two = status("resting", until=NOW + 5, hops=["mx:a.test"]), status("limits", hops=["mx:b.test", "mx:a.test"])
    known = Hindrances((), [one, two])
    (site,) = known.sites
    assert (site.state, site.next_hops) == ("resting", ["mx:a.test", "mx:b.test"])
    assert known.site_of("mx:b.test") is site


def test_all_that_keeps_anything_is_listed_once():
    both = status("suspended", site="a.mx.test b.mx.test")
    suspensions = [
        Suspension("a.mx.test", None, "asked", "root", NOW),
        Suspension("far.test", NOW + 50, "", "root", NOW),
        Suspension("past.test", NOW - 1, "", "root", NOW),
    ]
    found = all_hindered(Hindrances(suspensions, [both]), NOW)
    assert [(one.site, one.state, one.until, one.next_hops) for one in found] == [
        ("a.mx.test b.mx.test", "suspended", None, ["mx:far.test"]),
        ("far.test", "suspended", NOW + 50, ["mx:far.test"]),
    ]
