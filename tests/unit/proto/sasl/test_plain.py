"""SASL step machines: what a client may send, and what each of its octets comes to."""

from __future__ import annotations

import pytest

from ekiden.proto.sasl import Challenge, Credentials, SaslFault, mechanism


def exchange(name, *steps):
    machine = mechanism(name)
    assert machine is not None
    return [machine.step(step) for step in steps]


@pytest.mark.parametrize("name", ["PLAIN", "plain", "LOGIN", "Login"])
def test_mechanism_names_ignore_letter_case(name):
    machine = mechanism(name)
    assert machine is not None
    assert machine.name == name.upper()


@pytest.mark.parametrize("name", ["", "CRAM-MD5", "GSSAPI", "PLAIN "])
def test_other_mechanisms_are_not_ours(name):
    assert mechanism(name) is None


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"\0you@example.test\0secret", Credentials("", "you@example.test", "secret")),
        (b"you@example.test\0you@example.test\0s", Credentials("you@example.test", "you@example.test", "s")),
        (b"YOU@Example.test\0you@example.test\0s", Credentials("YOU@Example.test", "you@example.test", "s")),
        ("\0ü@example.test\0pässwörd".encode(), Credentials("", "ü@example.test", "pässwörd")),
        (b"\0a\0 with blanks ", Credentials("", "a", " with blanks ")),
    ],
)
def test_plain_gives_credentials(message, expected):
    assert exchange("PLAIN", message) == [expected]


def test_plain_without_initial_response_is_asked_with_an_empty_challenge():
    assert exchange("PLAIN", None, b"\0a\0b") == [Challenge(b""), Credentials("", "a", "b")]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"a",
        b"\0",
        b"\0a",
        b"\0a\0",
        b"\0\0b",
        b"\0a\0b\0",
        b"\0a\0b\0c",
        b"\0a\0\xff",
        b"\0\xc3\x28\0b",
        b"\0" + b"a" * 321 + b"\0b",
        b"\0a\0" + b"b" * 1025,
    ],
)
def test_plain_refuses_what_is_no_plain_message(message):
    (fault,) = exchange("PLAIN", message)
    assert isinstance(fault, SaslFault)
    assert fault.malformed


def test_plain_takes_logins_and_passwords_up_to_the_limit():
    assert isinstance(exchange("PLAIN", b"\0" + b"a" * 320 + b"\0" + b"b" * 1024)[0], Credentials)


def test_nobody_acts_for_somebody_else():
    (fault,) = exchange("PLAIN", b"boss@example.test\0you@example.test\0secret")
    assert isinstance(fault, SaslFault)
    assert not fault.malformed


def test_login_asks_twice():
    assert exchange("LOGIN", None, b"you", b"secret") == [
        Challenge(b"Username:"),
        Challenge(b"Password:"),
        Credentials("", "you", "secret"),
    ]


def test_login_takes_the_name_as_initial_response():
    assert exchange("LOGIN", b"you", b"secret") == [Challenge(b"Password:"), Credentials("", "you", "secret")]


def test_login_asks_again_after_an_empty_initial_response():
    assert exchange("LOGIN", b"", b"you", b"secret")[-1] == Credentials("", "you", "secret")


@pytest.mark.parametrize(
    "steps",
    [(b"\xff",), (b"a\0b",), (b"you", b"\xff"), (b"you", b"a\0"), (b"you", b""), (None, b"", b"b"), (b"a" * 321, b"b")],
)
def test_login_refuses_what_is_no_login(steps):
    assert isinstance(exchange("LOGIN", *steps)[-1], SaslFault)


def test_no_password_in_any_repr():
    credentials = exchange("PLAIN", b"\0you\0hunter2")[0]
    assert "hunter2" not in repr(credentials)
    assert "hunter2" not in f"{credentials}"
