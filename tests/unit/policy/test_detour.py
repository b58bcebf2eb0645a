"""What a provider's refusal is about: our sender, or the letter and its recipient."""

from __future__ import annotations

import pytest

from ekiden.model.reply import Reply
from ekiden.policy.detour import is_about_sender


@pytest.mark.parametrize(
    ("code", "status", "text"),
    [
        (553, "5.7.1", "<a@x.test>: Sender address rejected: not owned by user u"),
        (550, "5.7.60", "SMTP; Client does not have permissions to send as this sender"),
        (554, "5.2.252", "SendAsDenied; u@provider.test not allowed to send as a@x.test"),
        (550, "5.1.8", "bad sender"),
        (550, "5.7.23", "SPF"),
        (550, "", "From address is not one of yours"),
    ],
)
def test_about_the_sender_wherever_it_is_said(code: int, status: str, text: str) -> None:
    assert is_about_sender(Reply(code, status, text), to_mail=False)
    assert is_about_sender(Reply(code, status, text), to_mail=True)


@pytest.mark.parametrize(
    ("code", "status", "text"),
    [
        (550, "5.1.1", "no such user"),
        (554, "5.7.1", "spam"),
        (550, "5.7.1", "Relay access denied"),
        (552, "5.3.4", "too large"),
        (552, "", "too large"),
        (450, "4.7.1", "Sender address rejected: not owned by user u"),
    ],
)
def test_about_the_letter_or_its_recipient(code: int, status: str, text: str) -> None:
    assert not is_about_sender(Reply(code, status, text), to_mail=False)


@pytest.mark.parametrize(("code", "status"), [(552, ""), (552, "5.3.4"), (554, "5.6.7"), (451, "4.7.1")])
def test_to_mail_but_about_the_letter(code: int, status: str) -> None:
    assert not is_about_sender(Reply(code, status, "no"), to_mail=True)


@pytest.mark.parametrize(("code", "status"), [(550, ""), (550, "5.7.1"), (530, "5.7.0")])
def test_what_is_said_to_mail_is_about_the_sender(code: int, status: str) -> None:
    assert is_about_sender(Reply(code, status, "no"), to_mail=True)
