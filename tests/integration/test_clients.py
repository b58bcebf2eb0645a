"""Clients that nobody here wrote: the standard library's, swaks, curl, msmtp, mpop, fetchmail."""

from __future__ import annotations

import poplib
import smtplib
import subprocess
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.integration.conftest import Town
from tests.integration.rawsmtp import RawSmtp

ALICE, BOB, CAROL = "alice@example.test", "bob@example.test", "carol@far.test"


def run(*command: str, stdin: str = "", env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False, env=env)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def letter(token: str, recipient: str = BOB) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ALICE, recipient, token
    message.set_content(f"{token}\n.\n.. dots at the start of lines\n")
    return message


# --- sending --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("door", ["submission", "submissions"])
@pytest.mark.peer("swaks")
def test_swaks(town: Town, door: str, mechanism: str) -> None:
    token = f"swaks-{door}-{mechanism}"
    tls = "--tls" if door == "submission" else "--tls-on-connect"
    out = run(
        *("swaks", "--server", f"127.0.0.1:{town.home.ports[door]}", tls, "--auth", mechanism),
        *("--auth-user", ALICE, "--auth-password", town.passwords[ALICE]),
        *("--from", ALICE, "--to", BOB, "--header", f"Subject: {token}", "--body", "hello"),
    )
    assert "250 2.0.0 Queued as" in out
    assert b"hello" in town.wait_for(BOB, token)


@pytest.mark.peer("swaks")
def test_swaks_pipelining(town: Town) -> None:
    out = run(
        *("swaks", "--server", f"127.0.0.1:{town.home.ports['submission']}", "--tls", "--auth", "PLAIN", "--pipeline"),
        *("--auth-user", ALICE, "--auth-password", town.passwords[ALICE]),
        *("--from", ALICE, "--to", f"{BOB},{CAROL}", "--header", "Subject: piped-letter"),
    )
    assert "250 2.0.0 Queued as" in out
    for login in (BOB, CAROL):
        town.wait_for(login, "piped-letter")


@pytest.mark.peer("swaks")
def test_swaks_with_a_wrong_password_learns_nothing(town: Town) -> None:
    done = subprocess.run(
        [
            *("swaks", "--server", f"127.0.0.1:{town.home.ports['submission']}", "--tls", "--auth", "PLAIN"),
            *("--auth-user", "nobody@example.test", "--auth-password", "wrong", "--from", ALICE, "--to", BOB),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "535 5.7.8" in done.stdout


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.peer("curl")
def test_curl_sends(town: Town, scheme: str, tmp_path: Path) -> None:
    token = f"curl-{scheme}-letter"
    file = tmp_path / "letter.eml"
    file.write_bytes(letter(token).as_bytes())
    door = "submission" if scheme == "smtp" else "submissions"
    run(
        *("curl", "-sS", "--ssl-reqd", "--cacert", str(town.home.certificate)),
        *("--user", f"{ALICE}:{town.passwords[ALICE]}", "--mail-from", ALICE, "--mail-rcpt", BOB),
        *("--upload-file", str(file), f"{scheme}://localhost:{town.home.ports[door]}"),
    )
    assert b".. dots at the start" in town.wait_for(BOB, token)


@pytest.mark.peer("msmtp")
def test_msmtp(town: Town, tmp_path: Path) -> None:
    config = tmp_path / "msmtprc"
    config.write_text(
        f"account default\nhost localhost\nport {town.home.ports['submission']}\nfrom {ALICE}\nauth on\nuser {ALICE}\n"
        f"password {town.passwords[ALICE]}\ntls on\ntls_starttls on\ntls_trust_file {town.home.certificate}\n"
    )
    config.chmod(0o600)
    run("msmtp", "-C", str(config), CAROL, stdin=letter("msmtp-letter", CAROL).as_string())
    town.wait_for(CAROL, "msmtp-letter")


def test_smtplib(town: Town) -> None:
    with smtplib.SMTP_SSL(
        "localhost", town.home.ports["submissions"], context=town.context(town.home), timeout=30
    ) as client:
        client.login(ALICE, town.passwords[ALICE])
        client.send_message(letter("smtplib-letter"), to_addrs=[BOB, CAROL])
    for login in (BOB, CAROL):
        assert b".. dots at the start" in town.wait_for(login, "smtplib-letter")


def test_a_script_that_hangs_up_behind_the_dot_hears_the_250(town: Town) -> None:
    client = RawSmtp(town.home.ports["relay"])
    client.talk("MAIL FROM:<a@elsewhere.test>")
    client.talk(f"RCPT TO:<{BOB}>")
    client.talk("DATA")
    client.send(b"Subject: hung-up\r\n\r\nx\r\n.\r\n")
    client.hang_up_our_side()
    assert client.reply().startswith("250 2.0.0 Queued as")
    client.close()
    town.wait_for(BOB, "hung-up")


def test_an_alias_and_a_tag(town: Town) -> None:
    town.home.command("alias", "add", "team@example.test", BOB, CAROL)
    with smtplib.SMTP_SSL(
        "localhost", town.home.ports["submissions"], context=town.context(town.home), timeout=30
    ) as client:
        client.login(ALICE, town.passwords[ALICE])
        client.send_message(letter("alias-letter"), to_addrs=["Team@Example.Test"])
        client.send_message(letter("tag-letter"), to_addrs=["bob+news@example.test"])
    for login in (BOB, CAROL):
        town.wait_for(login, "alias-letter")
    town.wait_for(BOB, "tag-letter")


def test_a_letter_that_cannot_be_delivered_comes_back_as_a_report(town: Town) -> None:
    with smtplib.SMTP_SSL(
        "localhost", town.home.ports["submissions"], context=town.context(town.home), timeout=30
    ) as client:
        client.login(ALICE, town.passwords[ALICE])
        client.send_message(letter("bounce-letter"), to_addrs=["nobody@far.test"])
    report = town.wait_for(ALICE, "bounce-letter")
    assert b"Content-Type: multipart/report" in report
    assert b"Return-Path: <>" in report
    assert b"Final-Recipient: rfc822; nobody@far.test" in report or b"Final-Recipient: rfc822;nobody@far.test" in report
    assert b"Action: failed" in report
    assert b"Status: 5.1.1" in report


def test_a_removed_account_gives_a_report_not_oblivion(town: Town) -> None:
    password = town.home.add_account("dave")
    assert password
    town.home.command("alias", "add", "old@example.test", "dave@example.test")
    town.home.command("account", "remove", "dave@example.test")
    with smtplib.SMTP_SSL(
        "localhost", town.home.ports["submissions"], context=town.context(town.home), timeout=30
    ) as client:
        client.login(ALICE, town.passwords[ALICE])
        client.send_message(letter("orphan-letter"), to_addrs=["old@example.test"])
    assert b"Action: failed" in town.wait_for(ALICE, "orphan-letter")


# --- fetching -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(town: Town) -> Town:
    with smtplib.SMTP_SSL(
        "localhost", town.home.ports["submissions"], context=town.context(town.home), timeout=30
    ) as client:
        client.login(ALICE, town.passwords[ALICE])
        client.send_message(letter("fetch-me"), to_addrs=[BOB])
    town.wait_for(BOB, "fetch-me")
    return town


def number_of(town: Town, token: str) -> int:
    return next(n for n, octets in enumerate(town.read(BOB), 1) if token.encode() in octets)


@pytest.mark.parametrize("scheme", ["pop3", "pop3s"])
@pytest.mark.peer("curl")
def test_curl_fetches(filled: Town, scheme: str) -> None:
    number = number_of(filled, "fetch-me")
    out = run(
        *("curl", "-sS", "--ssl-reqd", "--cacert", str(filled.home.certificate)),
        *("--user", f"{BOB}:{filled.passwords[BOB]}", f"{scheme}://localhost:{filled.home.ports[scheme]}/{number}"),
    )
    assert "Subject: fetch-me" in out
    assert ".. dots at the start" in out


def test_poplib_with_stls(filled: Town) -> None:
    client = poplib.POP3("localhost", filled.home.ports["pop3"], timeout=30)
    assert "STLS" in client.capa()
    with pytest.raises(poplib.error_proto):
        client.user(BOB)
    client.stls(context=filled.context(filled.home))
    client.user(BOB)
    client.pass_(filled.passwords[BOB])
    count, octets = client.stat()
    listing = client.list()[1]
    assert len(listing) == count
    assert sum(int(line.split()[1]) for line in listing) == octets
    first = client.retr(1)
    assert sum(len(line) + 2 for line in first[1]) == int(listing[0].split()[1])
    unique = client.uidl()[1]
    client.quit()
    again = poplib.POP3_SSL("localhost", filled.home.ports["pop3s"], context=filled.context(filled.home), timeout=30)
    again.user(BOB)
    again.pass_(filled.passwords[BOB])
    assert again.uidl()[1][: len(unique)] == unique
    again.quit()


@pytest.mark.peer("mpop")
def test_mpop(filled: Town, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    config = tmp_path / "mpoprc"
    config.write_text(
        f"account default\nhost localhost\nport {filled.home.ports['pop3s']}\nuser {BOB}\n"
        f"password {filled.passwords[BOB]}\ntls on\ntls_starttls off\ntls_trust_file {filled.home.certificate}\n"
        f"keep on\ndelivery mbox {inbox}\nuidls_file {tmp_path / 'uidls'}\n"
    )
    config.chmod(0o600)
    run("mpop", "-C", str(config), env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
    assert b"Subject: fetch-me" in inbox.read_bytes()


@pytest.mark.peer("fetchmail")
def test_fetchmail_fetches_and_deletes(filled: Town, tmp_path: Path) -> None:
    password = filled.home.add_account("erin")
    with smtplib.SMTP_SSL(
        "localhost", filled.home.ports["submissions"], context=filled.context(filled.home), timeout=30
    ) as client:
        client.login(ALICE, filled.passwords[ALICE])
        client.send_message(letter("for-erin"), to_addrs=["erin@example.test"])
    filled.passwords["erin@example.test"] = password
    filled.wait_for("erin@example.test", "for-erin")
    inbox = tmp_path / "inbox"
    config = tmp_path / "fetchmailrc"
    config.write_text(
        f'poll localhost protocol pop3 service {filled.home.ports["pop3s"]} username "erin@example.test" '
        f'password "{password}" ssl sslcertck sslcertfile {filled.home.certificate} fetchall '
        f'mda "tee -a {inbox}"\n'
    )
    config.chmod(0o600)
    run(
        "fetchmail",
        "-f",
        str(config),
        "--pidfile",
        str(tmp_path / "pid"),
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert b"Subject: for-erin" in inbox.read_bytes()
    assert filled.read("erin@example.test") == []
