"""Which addresses a login may send as, against clients that nobody here wrote."""

from __future__ import annotations

import smtplib
import subprocess
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.integration.conftest import Town, eventually

ALICE, BOB = "alice@example.test", "bob@example.test"


@pytest.fixture(scope="module", autouse=True)
def alias(town: Town) -> None:
    town.home.command("alias", "add", "info@example.test", BOB, ALICE)


def swaks(town: Town, *more: str) -> str:
    command = ["swaks", "--server", f"127.0.0.1:{town.home.ports['submission']}", "--tls", "--auth", "PLAIN"]
    command += ["--auth-user", ALICE, "--auth-password", town.passwords[ALICE], "--to", BOB, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout


@pytest.mark.peer("swaks")
def test_swaks_sends_as_an_alias_and_not_as_another(town: Town) -> None:
    assert "250 2.0.0 Queued as" in swaks(town, "--from", "info@example.test", "--header", "Subject: as-info")
    town.wait_for(BOB, "as-info")
    answer = swaks(town, "--from", BOB)
    assert "550-5.7.1 MAIL FROM: this login may not use that address" in answer
    assert "550 5.7.1 It may use alice@example.test, that with a +tag, its aliases" in answer
    answer = swaks(town, "--from", ALICE, "--h-From", f"Bob <{BOB}>")
    assert "550-5.7.1 From: this login may not use that address" in answer
    assert "250 2.0.0 Queued as" in swaks(town, "--from", "<>", "--h-From", ALICE)


@pytest.mark.peer("msmtp")
def test_msmtp_tells_why(town: Town, tmp_path: Path) -> None:
    config = tmp_path / "msmtprc"
    config.write_text(
        f"account default\nhost localhost\nport {town.home.ports['submission']}\nauth on\nuser {ALICE}\n"
        f"password {town.passwords[ALICE]}\ntls on\ntls_starttls on\ntls_trust_file {town.home.certificate}\n"
    )
    config.chmod(0o600)
    letter = f"From: {BOB}\nSubject: forged\n\nhello\n"
    for reverse_path, field in ((BOB, "MAIL FROM"), (ALICE, "From")):
        done = subprocess.run(
            ["msmtp", "-C", str(config), "-f", reverse_path, "carol@far.test"],
            input=letter,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode != 0
        assert f"{field}: this login may not use that address" in done.stderr


def test_a_change_of_aliases_counts_at_once(town: Town) -> None:
    """The session stays open: what it knows is what the directory knows."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "desk@example.test", BOB, "desk-letter"
    message.set_content("hello\n")
    with smtplib.SMTP_SSL(
        "localhost", town.home.ports["submissions"], context=town.context(town.home), timeout=30
    ) as client:
        client.login(ALICE, town.passwords[ALICE])
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.send_message(message, from_addr=ALICE)
        assert refused.value.smtp_code == 550
        town.home.command("alias", "add", "desk@example.test", ALICE)
        eventually(lambda: is_sent(client, message), "the alias, within a second (invariant 4)")
    town.wait_for(BOB, "desk-letter")


def test_what_the_postmaster_granted(town: Town) -> None:
    """A grant counts, within a second, for who logs in; and no longer when it is taken back, in open sessions too."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "noreply@shop.test", BOB, "granted-letter"
    message.set_content("hello\n")
    town.home.command("account", "send-as", "add", ALICE, "@shop.test")
    eventually(lambda: is_sent_by_a_new_login(town, message), "the grant")
    town.wait_for(BOB, "granted-letter")
    with smtplib.SMTP_SSL(
        "localhost", town.home.ports["submissions"], context=town.context(town.home), timeout=30
    ) as client:
        client.login(ALICE, town.passwords[ALICE])
        town.home.command("account", "send-as", "remove", ALICE, "@shop.test")
        eventually(lambda: is_over(client), "the end of the session")
        client.close()


def is_sent_by_a_new_login(town: Town, message: EmailMessage) -> bool:
    with smtplib.SMTP_SSL(
        "localhost", town.home.ports["submissions"], context=town.context(town.home), timeout=30
    ) as client:
        client.login(ALICE, town.passwords[ALICE])
        try:
            client.send_message(message)
        except smtplib.SMTPSenderRefused:
            return False
    return True


def is_over(client: smtplib.SMTP) -> bool:
    """smtplib turns a 421 into a closed connection."""
    try:
        return client.noop()[0] == 421
    except smtplib.SMTPServerDisconnected:
        return True


def is_sent(client: smtplib.SMTP, message: EmailMessage) -> bool:
    try:
        client.send_message(message, from_addr=ALICE)
    except smtplib.SMTPDataError:
        return False
    return True
