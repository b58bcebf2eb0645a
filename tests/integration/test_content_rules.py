"""Content rules on a running server: refused at the door, held until a person decides, marked; and explained."""

from __future__ import annotations

import io
import json
import smtplib
import zipfile
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from ekiden.lab.mailprogram import fetch
from ekiden.lab.server import LabServer
from tests.integration.conftest import Town, eventually, make_town

BOB = "bob@example.test"
RULES = """
[[content_rule]]
name            = "no-programs"
action          = "refuse"
attachment_kind = ["program", "program-name", "disguised-name"]
[[content_rule]]
name            = "macros"
action          = "hold"
door            = "relay"
attachment_kind = "macros"
[[content_rule]]
name            = "sealed"
action          = "mark"
header          = "Subject: *sealed*"
"""
PROGRAM = b"MZ" + bytes(58) + b"\x80\0\0\0" + bytes(64) + b"PE\0\0" + bytes(200)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = make_town(tmp_path_factory.mktemp("content"), workers=2, home_tables=RULES)
    yield town
    town.home.stop()
    town.away.stop()


def letter(subject: str, name: str = "", octets: bytes = b"") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "carol@far.test", BOB, subject
    message.set_content("Dear Bob\n")
    if name:
        message.add_attachment(octets, maintype="application", subtype="octet-stream", filename=name)
    return message


def archive(name: str, octets: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr(name, octets)
    return made.getvalue()


def bring(server: LabServer, message: EmailMessage) -> tuple[int, str]:
    """The reply to the content at port 25."""
    with smtplib.SMTP("127.0.0.1", server.ports["relay"], local_hostname="client.test") as client:
        client.ehlo()
        client.mail("carol@far.test")
        assert client.rcpt(BOB)[0] == 250
        code, text = client.data(message.as_bytes(policy=SMTP))
        return code, text.decode()


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("report.pdf", PROGRAM),
        ("setup.exe", b"nothing"),
        ("invoice.pdf.exe", b"nothing"),
        ("photos.zip", archive("holiday.scr", PROGRAM)),
        ("photos.zip", archive("more.zip", archive("holiday.exe", b"nothing"))),
    ],
)
def test_programs_are_refused_however_they_are_wrapped(town: Town, name: str, octets: bytes) -> None:
    code, text = bring(town.home, letter("look", name, octets))
    assert (code, text.startswith("5.7.1 Refused by the content rule no-programs")) == (550, True), text


def test_what_a_rule_holds_waits_and_goes_on_when_it_is_released(town: Town) -> None:
    code, text = bring(town.home, letter("offer-with-macros", "offer.docm", archive("word/vbaProject.bin", b"x")))
    assert code == 250
    queued = text.split()[-1]
    (listed,) = json.loads(town.home.command("queue", "list", "--state", "held", "--json").stdout)
    assert listed["letter"] == queued
    assert "content rule macros" in json.dumps(listed)
    assert not any(b"offer-with-macros" in one for one in town.read(BOB))
    town.home.command("queue", "release", queued)
    town.wait_for(BOB, "offer-with-macros")


def test_what_a_rule_marks_is_marked_and_nothing_else(town: Town) -> None:
    assert bring(town.home, letter("a sealed thing"))[0] == 250
    assert bring(town.home, letter("a plain thing"))[0] == 250
    marked = town.wait_for(BOB, "a sealed thing")
    assert b"\r\nX-Ekiden-Content-Rule: sealed; result=matched\r\n" in marked
    assert b"result=matched" not in town.wait_for(BOB, "a plain thing")


def test_explain_says_which_rule_it_is(town: Town, tmp_path: Path) -> None:
    path = tmp_path / "letter.eml"
    path.write_bytes(letter("look", "setup.exe", PROGRAM).as_bytes(policy=SMTP))
    arguments = ("--door", "relay", "--client", "192.0.2.1", "--from", "carol@far.test", "--to", BOB)
    done = town.home.command("explain", *arguments, "--content", str(path), check=False)
    assert done.returncode == 1
    assert "no-programs" in done.stdout
    before = len(fetch(town.home.ports["pop3s"], town.context(town.home), BOB, town.passwords[BOB]))
    path.write_bytes(letter("harmless").as_bytes(policy=SMTP))
    assert town.home.command("explain", *arguments, "--content", str(path)).returncode == 0
    eventually(lambda: json.loads(town.home.command("queue", "list", "--json").stdout) == [], "an empty queue")
    assert len(fetch(town.home.ports["pop3s"], town.context(town.home), BOB, town.passwords[BOB])) == before
