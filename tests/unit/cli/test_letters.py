"""How letters are told: every fact of the spool has its place, for people and for programs."""

from __future__ import annotations

import json

import msgspec
import pytest

from ekiden.admin.hindrances import Hindrances
from ekiden.admin.queue import Shape, Story
from ekiden.cli import letters
from ekiden.model.envelope import Envelope, Leg, LegState, Origin, Recipient
from ekiden.model.ids import LetterId
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.ports.spool import BY_HAND, QueuedLetter, SiteStatus, Suspension, TrailEntry

NOW = 1_767_225_600.0
NOBODY = Hindrances()
ID = LetterId(1 << 40)
ORIGIN = Origin(
    door="submission", session=7, client="192.0.2.1", helo="pc", account="you@example.test", tls="TLSv1.3 X"
)
ENVELOPE = Envelope("you@example.test", NOW - 600, ORIGIN, size_octets=4300, message_id="<m@example.test>")
LEG = Leg(
    ID, 0, "mx:far.test", [Recipient("a@far.test", last_error="450 4.2.0 busy"), Recipient("b@far.test")],
    attempts=2, next_attempt=NOW + 720,
)  # fmt: skip
TRAIL = TrailEntry(
    ID, NOW - 300, ENVELOPE, 0, "mx:far.test", 2,
    [Outcome("a@far.test", OutcomeKind.DELAYED, 450, "4.2.0", "busy", "mx.far.test", "TLSv1.3")],
    next_attempt=NOW + 720, reports=[9],
)  # fmt: skip


def story(**changes):
    return Story(ID, QueuedLetter(ID, ENVELOPE, [LEG]), [TRAIL])._replace(**changes)


def test_a_queued_letter_for_people():
    text = "\n".join(letters.story_lines(story(), NOW))
    for words in (
        "from        you@example.test",
        "10m ago, by submission from 192.0.2.1 (pc)",
        "login       you@example.test",
        "TLS         TLSv1.3 X",
        "size        4.2 KiB",
        "Message-ID  <m@example.test>",
        "Leg 0 to MX of far.test: next in 12m, 2 attempts so far",
        "  a@far.test\n    450 4.2.0 busy",
        "leg 0, attempt 2, MX of far.test",
        "delayed a@far.test: 450 4.2.0 busy (said mx.far.test, TLSv1.3)",
        "reported to the sender: 0000000000009",
    ):
        assert words in text


def test_a_possible_duplicate_is_told():
    recipient = Recipient("a@far.test", last_error="451 4.4.2 lost", possible_duplicates=2)
    outcome = Outcome("a@far.test", OutcomeKind.DELAYED, 451, "4.4.2", "lost", possible_duplicate=True)
    leg = msgspec.structs.replace(LEG, recipients=[recipient])
    told = story(queued=QueuedLetter(ID, ENVELOPE, [leg]), trail=[msgspec.structs.replace(TRAIL, outcomes=[outcome])])
    text = "\n".join(letters.story_lines(told, NOW))
    assert "may arrive more than once: 2 attempts ended without an answer to the content" in text
    assert "delayed a@far.test: 451 4.4.2 lost (possible duplicate: it may have been taken)" in text
    data = letters.story_json(told, NOW)
    assert data["legs"][0]["recipients"][0]["possible_duplicates"] == 2
    assert data["trail"][0]["outcomes"][0]["possible_duplicate"] is True


def test_a_priority_is_told_if_it_is_not_the_usual_one():
    urgent = QueuedLetter(ID, msgspec.structs.replace(ENVELOPE, priority=-3), [LEG])
    assert "  priority    -3" in letters.story_lines(story(queued=urgent), NOW)
    assert letters.letter_json(urgent, NOBODY, NOW)["priority"] == -3
    assert "  priority" not in "\n".join(letters.story_lines(story(), NOW))


def test_a_letter_that_has_gone_is_told_from_its_trail():
    removed = TrailEntry(
        ID, NOW, ENVELOPE, 0, "local", 0, [Outcome("a@x", OutcomeKind.REMOVED, text="removed by root")]
    )
    text = "\n".join(letters.story_lines(story(queued=None, trail=[removed]), NOW))
    assert "no longer queued" in text
    assert "removed a@x: removed by root" in text


def test_the_rule_that_took_a_recipient_is_told():
    taken = [Recipient("a@far.test", rule="login"), Recipient("b@far.test")]
    leg = msgspec.structs.replace(LEG, recipients=taken)
    both = [Outcome("a@far.test", OutcomeKind.RELAYED), Outcome("b@far.test", OutcomeKind.RELAYED)]
    trail = msgspec.structs.replace(TRAIL, outcomes=both, rules=["login", "own-domain-any"])
    told = story(queued=QueuedLetter(ID, ENVELOPE, [leg]), trail=[trail])
    text = "\n".join(letters.story_lines(told, NOW))
    for words in (
        "\n  a@far.test (rule login)\n  b@far.test\n",
        "relayed a@far.test (rule login): 250",
        "relayed b@far.test (rule own-domain-any): 250",
    ):
        assert words in text
    value = letters.story_json(told, NOW)
    assert [r["rule"] for r in value["legs"][0]["recipients"]] == ["login", ""]
    assert [o["rule"] for o in value["trail"][0]["outcomes"]] == ["login", "own-domain-any"]
    same = msgspec.structs.replace(trail, rules=["login"])
    assert [same.rule(0), same.rule(1), TRAIL.rule(0)] == ["login", "login", ""]


def test_what_strangers_wrote_is_harmless():
    envelope = Envelope("x\x1b[2J@far.test", NOW, Origin(helo="\x07"))
    text = "\n".join(letters.story_lines(story(queued=QueuedLetter(ID, envelope, []), trail=[]), NOW))
    assert "\x1b" not in text
    assert "\x07" not in text


@pytest.mark.parametrize(
    ("state", "due", "text"),
    [
        (LegState.WAITING, NOW + 720, "in 12m"),
        (LegState.WAITING, NOW - 1, "now"),
        (LegState.CLAIMED, None, "being tried"),
        (LegState.HELD, None, "held"),
    ],
)
def test_when_a_leg_is_due(state, due, text):
    assert letters.due_text(Leg(ID, 0, "local", [], state=state, next_attempt=due), NOBODY, NOW) == text


def test_a_row_of_the_list():
    many = [Recipient(f"{n}@far.test") for n in "abcd"]
    letter = QueuedLetter(ID, Envelope("", NOW - 60, Origin(), size_octets=10), [Leg(ID, 0, "local", many)])
    row = letters.list_row(letter, NOBODY, NOW)
    assert row == ("0000100000000", "1m", "10 B", "being tried", "<>", "a@far.test, b@far.test and 2 more")
    assert letters.reason_line(letter, NOBODY, NOW) == ""
    assert letters.reason_line(QueuedLetter(ID, ENVELOPE, [LEG]), NOBODY, NOW) == "450 4.2.0 busy"


def test_next_hops_in_words():
    assert letters.hop_text("local") == "our own mailboxes"
    assert letters.hop_text("route:*.partner.test") == 'route "*.partner.test"'
    assert letters.hop_text("mx:far.test") == "MX of far.test"


def test_json_is_complete_and_plain():
    value = json.loads(json.dumps(letters.story_json(story(), NOW)))
    assert (value["letter"], value["queued"], value["door"]) == ("0000100000000", True, "submission")
    assert value["legs"][0]["next_attempt"] == "2026-01-01T00:12:00Z"
    assert value["legs"][0]["recipients"][0] == {
        "forward_path": "a@far.test",
        "rule": "",
        "last_error": "450 4.2.0 busy",
        "possible_duplicates": 0,
    }
    assert value["trail"][0]["outcomes"][0]["remote"] == "mx.far.test"
    assert letters.story_json(story(queued=None), NOW)["queued"] is False
    assert letters.letter_json(QueuedLetter(ID, ENVELOPE, [LEG]), NOBODY, NOW)["legs"][0]["state"] == "waiting"


RESTS = SiteStatus("mx.far.test", "resting", "451 4.4.1 refused", NOW - 60, NOW + 800, ["mx:far.test"], 20)


def test_a_cause_is_named_with_its_next_step():
    text = "\n".join(letters.story_lines(story(), NOW))
    assert "  why: the next hop refuses it for now; the next attempt is due at" in text
    assert "  do:  read its answer: greylisting passes by itself" in text
    (leg,) = letters.story_json(story(), NOW)["legs"]
    assert (leg["why"], leg["cause"]) == ("waiting", "refused")
    assert leg["next_step"].startswith("read its answer")
    fresh = msgspec.structs.replace(LEG, recipients=[Recipient("a@far.test")], attempts=0)
    queued = QueuedLetter(ID, ENVELOPE, [fresh])
    assert "  do: " not in "\n".join(letters.story_lines(story(queued=queued), NOW))
    assert letters.letter_json(queued, NOBODY, NOW)["legs"][0]["cause"] is None
    assert letters.letter_json(queued, Hindrances((), [RESTS]), NOW)["legs"][0]["cause"] == "resting"


def test_a_leg_that_is_retried_by_hand_is_due_now():
    by_hand = QueuedLetter(ID, ENVELOPE, [msgspec.structs.replace(LEG, next_attempt=BY_HAND)])
    assert letters.letter_json(by_hand, NOBODY, NOW)["legs"][0]["next_attempt"] == "2026-01-01T00:00:00Z"


def test_a_list_tells_what_keeps_a_letter_that_was_never_tried():
    fresh = QueuedLetter(ID, ENVELOPE, [msgspec.structs.replace(LEG, recipients=[Recipient("a@far.test")], attempts=0)])
    assert letters.reason_line(fresh, NOBODY, NOW) == ""
    assert "its site rests" in letters.reason_line(fresh, Hindrances((), [RESTS]), NOW)
    assert letters.reason_line(QueuedLetter(ID, ENVELOPE, [LEG]), Hindrances((), [RESTS]), NOW) == "450 4.2.0 busy"


def test_a_shape_tells_the_state_of_sites():
    shape = Shape((300.0,), [("mx:far.test", [2, 1]), ("mx:b.test", [1, 0]), ("local", [1, 0])])
    known = Hindrances([Suspension("b.test", None, "asked", "root", NOW)], [RESTS])
    rows = letters.shape_rows(shape, known, NOW, 2)
    assert [row[-1] for row in rows] == ["STATE", "rests, 13m", "suspended", "", ""]
    states = [row["state"] for row in letters.shape_json(shape, known, NOW)["next_hops"]]
    assert states == ["resting", "suspended", None]
