"""What bars a site, and what it comes to when that ends."""

from __future__ import annotations

from ekiden.delivery.barrier import PROBE_SECONDS, Bar, Barrier
from ekiden.policy.rest import FIRST, LONGEST


def failed(now: float = 0.0) -> Barrier:
    barrier = Barrier()
    barrier.fail("451 no answer", now, 0.0)
    return barrier


def test_a_site_that_failed_rests_and_is_probed_until_a_session_comes_about() -> None:
    barrier = failed()
    assert (barrier.bar, barrier.seconds_left(4.0)) == (Bar.RESTING, FIRST - 4)
    assert not barrier.rest_is_over(FIRST - 1)
    assert barrier.rest_is_over(FIRST)
    barrier.probe(FIRST)
    assert (barrier.bar, barrier.seconds_left(FIRST)) == (Bar.PROBED, PROBE_SECONDS)
    assert "451 no answer" in barrier.reason
    assert barrier.works()
    assert (barrier.bar, barrier.failures, barrier.reason) == (Bar.NONE, 0, "")
    assert not barrier.works()


def test_a_slot_that_was_lacking_leads_back_to_the_probe_of_a_site_that_failed() -> None:
    for barrier, after in ((Barrier(), Bar.NONE), (failed(), Bar.PROBED)):
        barrier.lacks_slot()
        assert (barrier.bar, barrier.seconds_left(0.0)) == (Bar.SLOTS, 0.0)
        barrier.found_slot()
        assert barrier.bar is after


def test_what_a_person_suspended_stays_so_whatever_happens() -> None:
    barrier = Barrier()
    barrier.suspend("suspended by eve")
    barrier.fail("451 no answer", 0.0, 0.0)
    barrier.lacks_slot()
    assert (barrier.bar, barrier.reason) == (Bar.SUSPENDED, "suspended by eve")
    assert barrier.works()  # the failure is forgotten
    assert barrier.bar is Bar.SUSPENDED
    barrier.resume(1.0)
    assert barrier.bar is Bar.NONE


def test_a_failure_is_remembered_as_long_as_the_longest_rest() -> None:
    barrier = failed()
    assert not barrier.is_forgotten(FIRST + LONGEST)  # it still rests
    barrier.probe(FIRST)
    assert not barrier.is_forgotten(FIRST + LONGEST - 1)
    assert barrier.is_forgotten(FIRST + LONGEST)
