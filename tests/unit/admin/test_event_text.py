"""Every event has a sentence, and what lies in the store is told whichever version wrote it."""

from __future__ import annotations

import inspect

import msgspec
import pytest

from ekiden.accounts.login import LoginReason
from ekiden.admin.event_text import LOGIN_REASONS, WRONG_DOORS, door_text, sentence, sentence_of_line
from ekiden.model import events
from ekiden.model.door import Door
from ekiden.model.events import Event
from ekiden.model.wrong_door import WrongDoor, advise

TLS = WrongDoor.TLS
CLASSES = [kind for _, kind in inspect.getmembers(events, inspect.isclass) if issubclass(kind, Event)]
BLANKS = {"str": "x", "int": 2, "float": 1.0, "bool": True, "list[str]": ["x"], "dict[str, int]": {"x": 1}}


def sample(kind: type[Event]) -> Event:
    """With something in every field."""
    fields = msgspec.structs.fields(kind)
    return kind(**{f.name: BLANKS[f.type if isinstance(f.type, str) else _name(f.type)] for f in fields})


def _name(hint: object) -> str:
    return hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint)


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind is not Event], ids=lambda kind: kind.__name__)
def test_every_event_has_a_sentence(kind: type[Event]) -> None:
    """Red for a new event? Give it a function and a line in `admin.event_text._SENTENCES`, and a docstring that says
    when it happens; then run tools/event_table.py."""
    event = sample(kind)
    text = sentence(event)
    assert text
    assert "\n" not in text
    assert not text.endswith(".")
    assert sentence_of_line(msgspec.json.encode(event)) == text
    assert (kind.__doc__ or "").endswith("."), "its docstring says when it happens"


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind is not Event], ids=lambda kind: kind.__name__)
def test_a_graver_level_stands_in_the_line(kind: type[Event]) -> None:
    """Red for a new event? `level: str = _graver("warning")`: a plain default is left out of the line."""
    fields = msgspec.structs.asdict(sample(kind))
    del fields["level"]
    event = kind(**fields)
    line = msgspec.json.decode(msgspec.json.encode(event))
    assert line.get("level", "info") == event.level


def test_the_owner_sees_which_app_password_it_was() -> None:
    event = events.LoginFailed(
        session="s", door="pop3s", client="192.0.2.7", account="you@example.test", mechanism="PLAIN",
        reason="expired", app_password="k7fq",
    )  # fmt: skip
    assert sentence(event) == (
        "you@example.test could not log in at pop3s (995) from 192.0.2.7 with the app password k7fq: "
        "the app password has expired"
    )


def test_a_failed_login_says_who_where_and_why() -> None:
    event = events.LoginFailed(
        session="s", door="submission", client="192.0.2.7", account="you@example.test", mechanism="PLAIN",
        reason="wrong-password",
    )  # fmt: skip
    text = "you@example.test could not log in at submission (587) from 192.0.2.7: the password is wrong"
    assert sentence(event) == text


def test_a_wrong_door_says_which_is_right() -> None:
    event = events.DoorWrong(door="submission", client="192.0.2.7", what="tls", advice=advise(Door.SUBMISSION, TLS))
    text = (
        "a client at submission (587) from 192.0.2.7 began with TLS, and the door begins in the clear: the mail "
        "program is set to SSL/TLS; choose STARTTLS for port 587, or port 465 with SSL/TLS"
    )
    assert sentence(event) == text
    again = msgspec.structs.replace(event, count=10, network="192.0.2.0/24")
    assert sentence(again) == text + " (10 times from 192.0.2.0/24 in this hour)"
    assert set(WRONG_DOORS) == {str(what) for what in WrongDoor}


def test_a_refusal_says_what_the_client_was_told() -> None:
    event = events.RecipientRefused(
        session="s", door="relay", client="192.0.2.7", reverse_path="", forward_path="x@far.test", rule="not-ours",
        reply="550 5.7.1 No relaying",
    )  # fmt: skip
    text = "refused <> to x@far.test at relay (25) from 192.0.2.7: 550 5.7.1 No relaying (rule not-ours)"
    assert sentence(event) == text


def test_what_another_version_wrote_is_told_field_by_field() -> None:
    line = b'{"time":"2026-01-01T00:00:00.000Z","pid":1,"event":"pigeon.seen","roof":"north","birds":2}'
    assert sentence_of_line(line) == "roof north, birds 2"
    assert sentence_of_line(b'{"event":"account.changed","action":"add"}') == "action add"


def test_no_reason_of_a_failed_login_is_told_by_its_code_alone() -> None:
    assert {reason.value for reason in LoginReason if reason is not LoginReason.OK} <= set(LOGIN_REASONS)


def test_a_door_has_its_port() -> None:
    assert door_text("pop3s") == "pop3s (995)"
    assert door_text("imap") == "imap"


def test_a_certificate_that_runs_out() -> None:
    def text(days: int) -> str:
        return sentence(
            events.CertificateExpiring(
                key="extra_certificate[1]", names=["mail.example.test"], until=1.0, days=days, fingerprint="f"
            )
        )

    who = "the certificate for mail.example.test ([extra_certificate])"
    assert text(7) == f"{who} expires in less than 7 days: renew it"
    assert text(1) == f"{who} expires in less than 1 day: renew it"
    assert text(0) == f"{who} has expired: renew it"
