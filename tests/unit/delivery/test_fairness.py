"""Priorities, and round-robin over flows within one."""

from __future__ import annotations

from ekiden.delivery.attempt import Attempt
from ekiden.delivery.fairness import SHARE, FlowQueue
from tests.unit.delivery.letters import claim


def put(queue: FlowQueue, flow: str, *letters: int, priority: int = 0) -> None:
    for letter in letters:
        attempt = Attempt(claim(letter=letter, flow=flow))
        attempt.claim.leg.priority = priority
        queue.put(attempt)


def test_a_flood_delays_others_by_one_letter_each() -> None:
    queue = FlowQueue()
    put(queue, "flood", *range(100))
    put(queue, "alice", 1000, 1001)
    put(queue, "bob", 2000)
    order = [attempt.claim.letter for attempt in queue.take_all()]
    assert order[:6] == [0, 1000, 2000, 1, 1001, 2]
    assert len(order) == 103
    assert not queue
    assert queue.pop() is None


def test_put_back_goes_first_in_its_flow() -> None:
    queue = FlowQueue()
    put(queue, "a", 1, 2)
    first = queue.pop()
    assert first
    queue.put_back(first)
    assert [attempt.claim.letter for attempt in queue.take_all()] == [1, 2]
    queue.put_back(first)
    assert queue.pop() is first
    assert len(queue) == 0


def test_shed_keeps_those_whose_turn_comes_first() -> None:
    queue = FlowQueue()
    put(queue, "a", 1, 2, 3)
    put(queue, "b", 10)
    assert [attempt.claim.letter for attempt in queue.shed(2)] == [2, 3]
    assert [attempt.claim.letter for attempt in queue.take_all()] == [1, 10]
    assert queue.shed(0) == []


def test_higher_priority_goes_first_and_flows_take_turns_within_it() -> None:
    queue = FlowQueue()
    put(queue, "a", 1)
    put(queue, "a", 30, priority=-2)
    put(queue, "a", 10, 11, priority=4)
    put(queue, "b", 20, priority=4)
    assert [attempt.claim.letter for attempt in queue.take_all()] == [10, 20, 11, 1, 30]
    put(queue, "a", 2)
    assert [attempt.claim.letter for attempt in queue.take_all()] == [2]


def test_a_flood_of_higher_priority_does_not_starve_the_rest() -> None:
    queue = FlowQueue()
    put(queue, "a", 1)
    put(queue, "flood", *range(100, 200), priority=4)
    first = [attempt.claim.letter for attempt in queue.take_all()][:SHARE]
    assert 1 in first


def test_put_back_keeps_its_priority() -> None:
    queue = FlowQueue()
    put(queue, "a", 1)
    put(queue, "a", 10, 11, priority=4)
    first = queue.pop()
    assert first
    queue.put_back(first)
    assert [attempt.claim.letter for attempt in queue.take_all()] == [10, 11, 1]


def test_those_that_are_taken_out_leave_the_others_their_turns() -> None:
    queue = FlowQueue()
    put(queue, "a", 1, 2)
    put(queue, "b", 10, 11)
    put(queue, "a", 3, priority=2)
    assert queue.take_if(lambda attempt: False) == []
    taken = queue.take_if(lambda attempt: attempt.claim.leg.flow == "a")
    assert [attempt.claim.letter for attempt in taken] == [3, 1, 2]
    assert [attempt.claim.letter for attempt in queue.take_all()] == [10, 11]
    assert len(queue) == 0
