"""Suspending sites: named as people know them, refused when they are none, told with who did it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ekiden.admin.queue import QueueView
from ekiden.admin.sites import NoSuchSite, SiteDesk, next_hop_of, site_of, suspension_of, target_of
from ekiden.config.model import Config, Route
from ekiden.model.envelope import Envelope, NewLeg, Origin, Recipient
from ekiden.model.events import SiteChanged
from ekiden.ports.spool import Suspension
from ekiden.storage.memory.spool import MemorySpool
from tests.fakes.clock import FakeClock
from tests.fakes.events import CollectingSink

CONFIG = Config(
    hostname="mail.example.test",
    data_dir=Path("data"),
    route=(
        Route(match="*.partner.test", to=("smtp://10.1.2.3",)),
        Route(match="*", to=("smtp://10.1.2.4",), name="out"),
    ),
)


@pytest.mark.parametrize(
    ("text", "site", "next_hop"),
    [
        ("far.test", "far.test", "mx:far.test"),
        (" MX1.Far.Test. ", "mx1.far.test", "mx:mx1.far.test"),
        ("bücher.test", "xn--bcher-kva.test", "mx:xn--bcher-kva.test"),
        ("[192.0.2.1]", "[192.0.2.1]", "mx:[192.0.2.1]"),
        ("mx:Far.test", "mx:far.test", "mx:far.test"),
        ("local", "local", "local"),
        ("out", "route:out", "route:out"),
        ("*.partner.test", "route:*.partner.test", "route:*.partner.test"),
        ("route:out", "route:out", "route:out"),
        ("via:SMTP://Relay.test", "via:smtp://relay.test:25", "via:smtp://relay.test:25"),
        ("smtps://relay.test/", "via:smtps://relay.test:465", "via:smtps://relay.test:465"),
        ("lmtp+unix:///run/lmtp", "via:lmtp+unix:///run/lmtp", "via:lmtp+unix:///run/lmtp"),
        ("lmtp://[2001:db8::1]", "via:lmtp://[2001:db8::1]:24", "via:lmtp://[2001:db8::1]:24"),
    ],
)
def test_a_site_has_one_spelling(text, site, next_hop):
    assert site_of(text, CONFIG) == site
    assert next_hop_of(site) == next_hop


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no site"),
        ("a b", "no site"),
        ("far..test", "no site"),
        ("x@far.test", "no site"),
        ("mx:", "no site"),
        ("[192.0.2.999]", "no site"),
        ("far.test> junk", "no site"),
        ("route:none", "there are: route:*.partner.test, route:out"),
        ("http://far.test", "must begin with smtp://"),
        ("via:far.test", "must begin with smtp://"),
        ("smtp://me:secret@far.test", "no login"),
        ("smtp://far.test:99999", "port from 1"),
    ],
)
def test_what_is_no_site_is_refused_with_what_would_be(text, says):
    with pytest.raises(NoSuchSite, match=says.replace("*", r"\*")):
        site_of(text, CONFIG)


def test_a_refused_target_does_not_repeat_its_password():
    with pytest.raises(NoSuchSite) as refused:
        target_of("smtp://me:secret@far.test")
    assert "secret" not in str(refused.value)


def test_a_suspension_is_found_by_next_hop_while_it_lasts():
    far, out = Suspension("far.test", 100.0), Suspension("route:out")
    assert suspension_of("mx:far.test", [far, out], 99.0) is far
    assert suspension_of("mx:far.test", [far, out], 100.0) is None
    assert suspension_of("route:out", [far, out], 1e12) is out
    assert suspension_of("mx:out", [far, out], 0.0) is None


async def test_suspending_and_resuming_says_who_did_it_and_how_much_waits():
    clock, sink = FakeClock(), CollectingSink()
    spool = MemorySpool(clock)
    desk = SiteDesk(spool, sink, clock, CONFIG, by="root")
    draft = spool.begin()
    legs = [NewLeg("mx:far.test", [Recipient("a@far.test")]), NewLeg("local", [Recipient("b@example.test")])]
    await spool.accept(draft, Envelope("", clock.now(), Origin()), legs, claim=False)
    now = clock.now()
    done = await desk.suspend("Far.test", 3600.0, "they asked")
    assert (done.suspension, done.waiting) == (Suspension("far.test", now + 3600, "they asked", "root", now), 1)
    assert (await desk.suspend("out")).waiting == 0
    view = QueueView(spool)
    assert [one.site for one in await view.suspensions(now)] == ["far.test", "route:out"]
    assert [one.site for one in await view.suspensions(now + 3600)] == ["route:out"]
    assert (await desk.resume("FAR.test")).waiting == 1
    assert await desk.resume("far.test") is None
    with pytest.raises(NoSuchSite):
        await desk.suspend("no site", 60.0)
    told = [(e.action, e.site, e.by, e.until, e.reason) for e in sink.of(SiteChanged)]
    assert told == [
        ("suspend", "far.test", "root", now + 3600, "they asked"),
        ("suspend", "route:out", "root", 0.0, ""),
        ("resume", "far.test", "root", 0.0, ""),
    ]
