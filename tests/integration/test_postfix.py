"""A real Postfix on both sides: it sends to us on 25, and receives from us."""

from __future__ import annotations

import smtplib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ekiden.lab.certificate import write_certificate
from ekiden.lab.postfix import LabPostfix
from ekiden.lab.server import LabServer
from tests.integration.conftest import Town, eventually

pytestmark = pytest.mark.peer("postfix")

ALICE = "alice@example.test"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not pytest's own: Postfix's user must be able to go in, and pytest closes its folders to others."""
    with tempfile.TemporaryDirectory(prefix="ekiden-postfix-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture(scope="module")
def pair(folder: Path) -> Iterator[tuple[Town, LabPostfix]]:
    why_not = LabPostfix.is_possible()
    if why_not:
        pytest.skip(why_not)
    home = LabServer(folder / "home", "example.test")
    (folder / "cert").mkdir()
    certificate, key = write_certificate(folder / "cert", "mail.postfix.test")
    box = folder / "boxes"
    box.mkdir()
    box.chmod(0o777)
    postfix = LabPostfix(
        folder / "postfix",
        {"example.test": home.ports["relay"]},
        extra=(
            f"virtual_mailbox_domains = postfix.test\nvirtual_mailbox_base = {box}\n"
            "virtual_mailbox_maps = inline:{ carol@postfix.test=carol/ }\n"
            "virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\nvirtual_minimum_uid = 100\n"
            f"smtpd_tls_cert_file = {certificate}\nsmtpd_tls_key_file = {key}\nsmtpd_tls_security_level = may\n"
            "smtpd_tls_loglevel = 1\n"
            "smtp_tls_security_level = may\nsmtputf8_enable = yes\n"
        ),
    )
    home.tables = f'[[route]]\nmatch = "postfix.test"\nto = "smtp://127.0.0.1:{postfix.port}"\n'
    home.tables += '[[site]]\nmatch = "postfix.test"\nletters_per_connection = 1\n'
    home.prepare()
    passwords = {f"{name}@example.test": home.add_account(name) for name in ("alice", "bob")}
    home.start()
    try:
        postfix.start()
        yield Town(home, home, passwords), postfix
    finally:
        postfix.stop()
        home.stop()


def taken(folder: Path, subject: bytes) -> bytes:
    """The letter in carol's Maildir, once it is there."""

    def find() -> bytes | None:
        letters = [path.read_bytes() for path in (folder / "boxes" / "carol" / "new").glob("*")]
        return next((letter for letter in letters if subject in letter), None)

    letter = eventually(find, "the letter in Postfix's mailbox")
    assert isinstance(letter, bytes)
    return letter


def test_postfix_sends_to_us_with_starttls(pair: tuple[Town, LabPostfix]) -> None:
    town, postfix = pair
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as client:
        client.sendmail("dan@postfix.test", ["bob@example.test"], "Subject: from-postfix\r\n\r\nhello\r\n.dot\r\n")
    letter = town.wait_for("bob@example.test", "from-postfix")
    assert b"from mail.postfix.test ([127.0.0.1])" in letter.replace(b"\r\n\t", b" ")
    assert b"with ESMTPS" in letter.replace(b"\r\n\t", b" ")
    assert letter.endswith(b"hello\r\n.dot\r\n")


def test_postfix_receives_from_us_with_starttls(pair: tuple[Town, LabPostfix], folder: Path) -> None:
    town, _ = pair
    with smtplib.SMTP_SSL(
        "localhost", town.home.ports["submissions"], context=town.context(town.home), timeout=30
    ) as client:
        client.login(ALICE, town.passwords[ALICE])
        client.sendmail(
            ALICE, ["carol@postfix.test"], f"From: {ALICE}\r\nSubject: to-postfix\r\n\r\nhello\r\n..dot\r\n"
        )
        reply = client.docmd("NOOP")
    assert reply[0] == 250
    octets = taken(folder, b"Subject: to-postfix\n")
    assert b"with ESMTPS" in octets.replace(b"\n\t", b" ")


def test_a_refusal_by_postfix_comes_back_as_a_report(pair: tuple[Town, LabPostfix]) -> None:
    town, _ = pair
    with smtplib.SMTP_SSL(
        "localhost", town.home.ports["submissions"], context=town.context(town.home), timeout=30
    ) as client:
        client.login(ALICE, town.passwords[ALICE])
        client.sendmail(ALICE, ["nobody@postfix.test"], f"From: {ALICE}\r\nSubject: refused-by-postfix\r\n\r\nx\r\n")
    report = town.wait_for("alice@example.test", "refused-by-postfix")
    assert b"Action: failed" in report
    assert b"Remote-MTA: dns; " in report or b"Remote-MTA: dns;" in report
    assert b"Diagnostic-Code: smtp; 550" in report or b"Diagnostic-Code: smtp;550" in report


def test_postfix_sees_tls_sessions_resumed(pair: tuple[Town, LabPostfix], folder: Path) -> None:
    """Each letter has a connection of its own; the handshake of the first is the only whole one."""
    town, postfix = pair
    log = postfix.folder / "log" / "mail.log"
    with smtplib.SMTP_SSL(
        "localhost", town.home.ports["submissions"], context=town.context(town.home), timeout=30
    ) as client:
        client.login(ALICE, town.passwords[ALICE])
        for number in range(3):
            content = f"From: {ALICE}\r\nSubject: resumed-{number}\r\n\r\nx\r\n"
            client.sendmail(ALICE, ["carol@postfix.test"], content)
            taken(folder, f"Subject: resumed-{number}\n".encode())
    handshakes = [line for line in log.read_text().splitlines() if "TLS connection established" in line]
    # Postfix tells of the digest of its signature only where it made one: not in a handshake that was resumed
    whole = [line for line in handshakes if "server-digest" in line]
    assert len(handshakes) >= 3
    assert len(whole) <= 1
