"""What others make of our reports: flufl.bounce (Mailman's) and Sisimai read each kind, in each language, and find the
right recipient and whether it is for good."""

from __future__ import annotations

import email
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flufl.bounce import all_failures

from ekiden.message.dsn import ReportKind, ReportRequest, build_report
from ekiden.model.envelope import Envelope, Origin, Recipient
from ekiden.model.outcome import Outcome, OutcomeKind

BOB = "bob@far.test"
LETTER = b"From: alice@example.test\r\nTo: bob@far.test\r\nSubject: %b\r\nMessage-ID: <one@example.test>\r\n\r\nHi.\r\n"
SUBJECTS = {"en": b"hello", "ja": b"=?utf-8?B?44GT44KT44Gr44Gh44Gv?="}
SISIMAI = """
use strict; use warnings; use Sisimai;
my $json = Sisimai->dump($ARGV[0], "delivered" => 1, "vacation" => 1);
print defined $json ? $json : "[]";
"""


class Case(NamedTuple):
    """`reasons`: what Sisimai may call it. `remote`: '' if nobody but us spoke."""

    code: int
    status: str
    text: str
    reasons: tuple[str, ...]
    remote: str = "mx.far.test"


EXPIRED = "delivery time expired; the last answer was"
CASES = {
    "unknown": Case(550, "5.1.1", "No such user here", ("userunknown",)),
    "full": Case(552, "5.2.2", "Mailbox is full", ("mailboxfull",)),
    "size": Case(552, "5.3.4", "Message size exceeds fixed maximum message size", ("mesgtoobig", "exceedlimit")),
    "policy": Case(550, "5.7.1", "Message rejected as spam by policy", ("spamdetected", "policyviolation", "blocked")),
    "virus": Case(554, "5.7.1", "A virus was found in the message", ("virusdetected", "securityerror")),
    "tls": Case(530, "5.7.0", "Must issue a STARTTLS command first", ("securityerror", "policyviolation")),
    "host": Case(550, "5.1.2", "the domain far.test does not exist", ("hostunknown",), ""),
    "null-mx": Case(556, "5.1.10", "the domain far.test takes no mail (null MX)", ("notaccept", "hostunknown"), ""),
    "expired": Case(451, "4.4.7", f"{EXPIRED}: 451 4.4.1 no connection within 30 s", ("expired",), ""),
    "loop": Case(554, "5.4.6", "the mail would come back to this server", ("networkerror", "onhold"), ""),
    "content": Case(550, "5.6.7", "the address needs SMTPUTF8, which the server does not offer", ("contenterror",), ""),
}
#: What Sisimai counts as a bounce for good; the others may pass when the sender changes something.
FOR_GOOD = ("unknown", "host", "null-mx")


def report(case: Case, kind: ReportKind, language: str) -> bytes:
    outcome = OutcomeKind.FAILED if kind is ReportKind.FAILED else OutcomeKind.DELAYED
    if kind is ReportKind.RELAYED:
        outcome = OutcomeKind.RELAYED
    request = ReportRequest(
        kind=kind,
        hostname="mail.example.test",
        report_id="01h8xk3p2qz7m",
        letter_id="01h8xk3p2qz7k",
        now=1_767_225_600.0,
        boundary="f00dcafe",
        envelope=Envelope("alice@example.test", 1_767_222_000.0, Origin()),
        recipients=[(Recipient(BOB), Outcome(BOB, outcome, case.code, case.status, case.text, case.remote))],
        original=LETTER % SUBJECTS[language],
        original_is_complete=True,
        expires_at=1_767_654_000.0,
    )
    return build_report(request).content


@pytest.fixture(scope="module")
def sisimai() -> str:
    """The path of the script."""
    perl = shutil.which("perl")
    if perl is None or subprocess.run([perl, "-MSisimai", "-e", "1"], capture_output=True, check=False).returncode:
        pytest.skip("Sisimai is not installed (Debian package libsisimai-perl)")
    return perl


def read_by_sisimai(perl: str, folder: Path, octets: bytes) -> list[dict[str, Any]]:
    path = folder / "report.eml"
    path.write_bytes(octets.replace(b"\r\n", b"\n"))
    done = subprocess.run([perl, "-e", SISIMAI, str(path)], capture_output=True, timeout=60, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.peer("perl")
@pytest.mark.parametrize("language", SUBJECTS)
@pytest.mark.parametrize("name", CASES)
def test_sisimai_reads_a_failure(sisimai: str, tmp_path: Path, name: str, language: str) -> None:
    (found,) = read_by_sisimai(sisimai, tmp_path, report(CASES[name], ReportKind.FAILED, language))
    assert found["recipient"] == BOB
    assert found["addresser"] == "alice@example.test"
    # of an expired letter it takes the code of the last answer, which stands in the text
    assert found["deliverystatus"] in (CASES[name].status, "4.4.1" if name == "expired" else "")
    assert found["reason"] in CASES[name].reasons
    assert found["action"] == "failed"
    if name in FOR_GOOD:
        assert found["softbounce"] == 0


@pytest.mark.peer("perl")
@pytest.mark.parametrize("language", SUBJECTS)
def test_sisimai_tells_a_delay_and_a_success_from_a_failure(sisimai: str, tmp_path: Path, language: str) -> None:
    busy = Case(451, "4.3.2", "too busy", ())
    (delayed,) = read_by_sisimai(sisimai, tmp_path, report(busy, ReportKind.DELAYED, language))
    assert (delayed["recipient"], delayed["action"], delayed["deliverystatus"]) == (BOB, "delayed", "4.3.2")
    assert delayed["softbounce"] == 1
    taken = Case(250, "2.0.0", "ok", ())
    for relayed in read_by_sisimai(sisimai, tmp_path, report(taken, ReportKind.RELAYED, language)):
        assert (relayed["recipient"], relayed["reason"]) == (BOB, "delivered")


@pytest.mark.parametrize("language", SUBJECTS)
@pytest.mark.parametrize("name", CASES)
def test_flufl_reads_a_failure(name: str, language: str) -> None:
    message = email.message_from_bytes(report(CASES[name], ReportKind.FAILED, language))
    assert all_failures(message) == (set(), {BOB.encode()})


@pytest.mark.parametrize("language", SUBJECTS)
def test_flufl_tells_a_delay_and_a_success_from_a_failure(language: str) -> None:
    busy = Case(451, "4.3.2", "too busy", ())
    message = email.message_from_bytes(report(busy, ReportKind.DELAYED, language))
    assert all_failures(message) == ({BOB.encode()}, set())
    taken = Case(250, "2.0.0", "ok", ())
    message = email.message_from_bytes(report(taken, ReportKind.RELAYED, language))
    assert all_failures(message) == (set(), set())
