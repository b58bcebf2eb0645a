"""Turns over the indexes: what they read is bounded, nothing is left for ever, and old spools get the indexes."""

from __future__ import annotations

import apsw
import pytest

from ekiden.model.ids import Incarnation
from ekiden.storage.sqlite import turns, verbs
from ekiden.storage.sqlite.connection import open_database
from ekiden.storage.sqlite.migrations import migrate
from ekiden.storage.sqlite.queries import Queries
from ekiden.storage.sqlite.schema import APPLICATION_ID, STEPS
from ekiden.storage.sqlite.turns import Turns

NOBODY = b"\x90"


def opened(path, steps=STEPS) -> apsw.Connection:
    connection = open_database(path, synchronous="FULL")
    migrate(connection, application_id=APPLICATION_ID, steps=steps)
    return connection


def put(connection, legs):
    """`legs`: next hop, flow, next attempt."""
    start = connection.execute("SELECT coalesce(max(letter), 0) FROM leg").get
    for number, (next_hop, flow, due) in enumerate(legs, start + 1):
        connection.execute("INSERT INTO leg VALUES (?,0,?,?,0,0,?,NULL,'',?)", (number, next_hop, flow, due, NOBODY))


def claim(connection, rings, limit, avoid=()):
    return [letter for letter, _ in verbs.claim_due(connection, Incarnation(1), 10.0, limit, avoid, rings)]


def test_a_spool_of_the_first_schema_gets_the_indexes(tmp_path):
    old = opened(tmp_path / "spool.db", STEPS[:1])
    put(old, [("mx:a", "bulk", 1.0), ("mx:a", "bulk", 2.0), ("mx:b", "alice", 3.0)])
    old.close()
    connection = opened(tmp_path / "spool.db")
    assert claim(connection, Turns(), 2) == [1, 3]
    assert connection.execute("SELECT count(*) FROM suspension").get == 0
    assert connection.execute("PRAGMA integrity_check").get == "ok"


@pytest.mark.parametrize("small", ["NAMES", "PAGE"])
def test_what_a_claim_does_not_come_to_a_later_one_finds(tmp_path, monkeypatch, small):
    monkeypatch.setattr(turns, small, 3)
    monkeypatch.setattr(turns, "LOOKED_AT", 5)
    connection = opened(tmp_path / "spool.db")
    put(connection, [(f"mx:{number:02}", f"s{number:02}", 1.0) for number in range(30)])
    rings, avoid = Turns(), {f"mx:{number:02}" for number in range(30)} - {"mx:20"}
    tries = 1
    while not (found := claim(connection, rings, 2, avoid)):
        tries += 1
    assert found == [21]
    assert (tries > 3) == (small == "NAMES")


def test_legs_that_are_avoided_are_read_past_up_to_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr(turns, "LOOKED_AT", 5)
    connection = opened(tmp_path / "spool.db")
    put(connection, [("mx:slow", "alice", 1.0)] * 20 + [("mx:free", "alice", 2.0)] * 9)
    assert claim(connection, Turns(), 8, {"mx:slow"}) == [21, 22, 23, 24, 25, 26, 27, 28]
    monkeypatch.setattr(turns, "LEGS_READ", 10)
    assert claim(connection, Turns(), 8, {"mx:slow"}) == [29]


def test_no_statement_sorts_or_scans(tmp_path):
    """A million legs that are due at the same moment (`queue retry --all`) must not be sorted for one claim."""
    connection = opened(tmp_path / "spool.db")
    put(connection, [(f"mx:{number % 7}", f"s{number % 5}", 1.0) for number in range(60)])
    plans = []

    def note(statement):
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement[0]}", statement[1])]
        plans.append((statement[0], plan))

    asked = []
    connection.exec_trace = lambda _, statement, values: asked.append((statement, values)) or True
    claim(connection, Turns(), 8, {"mx:3"})
    connection.exec_trace = None
    for statement in asked:
        if statement[0].lstrip().startswith(("SELECT", "WITH", "UPDATE")):
            note(statement)
    assert len(plans) > 5
    for statement, plan in plans:
        assert not [step for step in plan if "TEMP B-TREE" in step or step.startswith("SCAN leg")], (statement, plan)


def test_what_is_due_next_may_be_too_early_but_never_too_late(tmp_path, monkeypatch):
    connection = opened(tmp_path / "spool.db")
    put(connection, [("mx:slow", "alice", float(number)) for number in range(1, 2001)] + [("mx:free", "bob", 1500.5)])
    queries = Queries(tmp_path / "spool.db", None)
    assert queries.next_due({"mx:slow"}) == 1000.0
    assert queries.next_due({"mx:free"}) == 1.0
    connection.execute("UPDATE leg SET next_attempt = NULL WHERE next_attempt < 1500")
    assert queries.next_due({"mx:slow"}) == 1500.5
    queries.close()
