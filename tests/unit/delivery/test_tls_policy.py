"""How hosts are protected: the postmaster's word and DANE (RFC 7672 §2)."""

from __future__ import annotations

import pytest

from ekiden.delivery.road import Host, NoRoad
from ekiden.delivery.tls_policy import protect
from ekiden.model.tlsa import Tlsa
from ekiden.policy.mta_sts import StsPolicy
from ekiden.ports.wire import Endpoint, TlsMode
from tests.fakes.resolver import FakeResolver

RECORD = Tlsa(3, 1, 1, bytes(32))
NAME = "_25._tcp.mx.far.test"


def host(name: str = "mx.far.test", *, secure: bool = True) -> Host:
    return Host(Endpoint("192.0.2.1", 25), name, TlsMode(name=name), opportunistic=True, is_secure=secure)


async def protected(resolver: FakeResolver, tls: str = "opportunistic", *, secure: bool = True) -> Host:
    road = await protect([host(secure=secure)], tls, resolver)
    assert not isinstance(road, NoRoad)
    return road[0]


async def test_usable_secure_records_make_tls_and_proof_mandatory() -> None:
    for tls in ("opportunistic", "require", "verify"):
        found = await protected(FakeResolver(tlsa={NAME: [RECORD]}, secure=[NAME]), tls)
        assert found.tls == TlsMode(required=True, verify=True, name="mx.far.test", tlsa=(RECORD,))
        assert (found.opportunistic, found.policy) == (False, "DANE")


async def test_records_that_are_not_secure_say_nothing() -> None:
    assert await protected(FakeResolver(tlsa={NAME: [RECORD]})) == host()


async def test_hosts_that_are_not_secure_are_not_asked_about() -> None:
    resolver = FakeResolver(tlsa={NAME: [RECORD]}, secure=[NAME])
    assert await protected(resolver, secure=False) == host(secure=False)
    assert not resolver.asked


async def test_records_of_which_none_is_usable_ask_for_tls_without_proof() -> None:
    found = await protected(FakeResolver(tlsa={NAME: [Tlsa(0, 1, 1, bytes(32))]}, secure=[NAME]))
    assert (found.tls.required, found.tls.verify, found.tls.tlsa, found.opportunistic) == (True, False, (), False)


async def test_unusable_records_do_not_weaken_verify() -> None:
    found = await protected(FakeResolver(tlsa={NAME: [Tlsa(0, 1, 1, bytes(32))]}, secure=[NAME]), "verify")
    assert found.tls.verify


async def test_a_question_that_fails_leaves_the_host_out() -> None:
    other = host("mx2.far.test")
    road = await protect([host(), other], "opportunistic", FakeResolver(failing=[NAME]))
    assert road == [other]


async def test_when_every_question_fails_the_letters_wait() -> None:
    road = await protect([host()], "opportunistic", FakeResolver(failing=[NAME]))
    assert isinstance(road, NoRoad)
    assert (road.code, road.status) == (451, "4.4.3")
    assert NAME in road.text


@pytest.mark.parametrize(("tls", "verify"), [("require", False), ("verify", True)])
async def test_the_postmasters_word(tls: str, verify: bool) -> None:
    found = await protected(FakeResolver(), tls)
    assert (found.tls.required, found.tls.verify, found.opportunistic, found.policy) == (True, verify, False, tls)


STS = StsPolicy("enforce", 86_400, ("mx.far.test",))


async def test_an_enforced_policy_wants_the_name_proven() -> None:
    (found,) = await road(STS)
    assert (found.tls.required, found.tls.verify, found.opportunistic, found.policy) == (True, True, False, "MTA-STS")


async def test_hosts_that_the_policy_does_not_name_get_nothing() -> None:
    found = await protect([host("evil.test", secure=False)], "opportunistic", FakeResolver(), STS)
    assert isinstance(found, NoRoad)
    assert (found.code, found.status) == (451, "4.7.5")
    assert "evil.test" in found.text
    assert [h.name for h in await road(STS, "evil.test", "mx.far.test")] == ["mx.far.test"]


async def test_a_policy_in_testing_changes_nothing() -> None:
    assert await road(STS._replace(mode="testing")) == [host(secure=False)]


async def test_dane_wins_over_the_policy() -> None:
    """RFC 8461 §2: also for a host that the policy does not name."""
    resolver = FakeResolver(tlsa={NAME: [RECORD]}, secure=[NAME])
    found = await protect([host()], "opportunistic", resolver, STS._replace(mx=("other.test",)))
    assert not isinstance(found, NoRoad)
    assert [h.policy for h in found] == ["DANE"]


async def road(policy: StsPolicy, *names: str) -> list[Host]:
    hosts = [host(name, secure=False) for name in names or ("mx.far.test",)]
    found = await protect(hosts, "opportunistic", FakeResolver(), policy)
    assert not isinstance(found, NoRoad)
    return list(found)


async def test_none_asks_nobody() -> None:
    resolver = FakeResolver(tlsa={NAME: [RECORD]}, secure=[NAME])
    found = await protected(resolver, "none")
    assert (found.tls.allowed, found.opportunistic) == (False, False)
    assert not resolver.asked


async def test_an_address_literal_is_verified_by_its_address_and_has_no_tlsa() -> None:
    resolver = FakeResolver()
    literal = Host(Endpoint("192.0.2.1", 25), "[192.0.2.1]", TlsMode(), opportunistic=True, is_secure=True)
    road = await protect([literal], "verify", resolver)
    assert not isinstance(road, NoRoad)
    assert road[0].tls.name == "192.0.2.1"
    assert not resolver.asked
