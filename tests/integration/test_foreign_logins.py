"""Every mechanism at every door, by programs that nobody here wrote: GNU SASL (msmtp, mpop), Cyrus SASL (mutt), curl,
fetchmail. With the account's password and with an app password: a program cannot tell them apart."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.conftest import Town

ALICE, BOB = "alice@example.test", "bob@example.test"
SENDING, FETCHING = ("submission", "submissions"), ("pop3", "pop3s")
FROM_THE_FIRST_BYTE = ("submissions", "pop3s")
KINDS = ("password", "app-password")


def run(folder: Path, *command: object, stdin: str = "", good: tuple[int, ...] = (0,)) -> str:
    """All that it said. Its home is a folder of the test, so nobody's settings count."""
    done = subprocess.run(
        [str(word) for word in command],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "LANG": "C"},
        check=False,
    )
    assert done.returncode in good, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def written(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


@pytest.fixture(scope="module", params=KINDS)
def secret(request: pytest.FixtureRequest, town: Town) -> str:
    """Alice's, of one kind or the other, behind another app password: a proof must be tried against each."""
    if request.param == "password":
        return town.passwords[ALICE]
    for name in ("Other", "Phone"):
        told = town.home.command("account", "app-password", "add", ALICE, "--name", name, "--json").stdout
    return str(json.loads(told)["app_password"]["secret"])


def letter(token: str) -> str:
    return f"From: {ALICE}\nTo: {ALICE}\nSubject: {token}\n\nx\n"


def gnu_settings(town: Town, door: str, mechanism: str, secret: str) -> str:
    """What msmtp and mpop have in common."""
    starttls = "off" if door in FROM_THE_FIRST_BYTE else "on"
    return (
        f"account default\nhost localhost\nport {town.home.ports[door]}\nauth {mechanism}\nuser {ALICE}\n"
        f"password {secret}\ntls on\ntls_starttls {starttls}\ntls_trust_file {town.home.certificate}\n"
    )


@pytest.mark.parametrize("mechanism", ["plain", "login", "scram-sha-256"])
@pytest.mark.parametrize("door", SENDING)
@pytest.mark.peer("msmtp")
def test_msmtp(town: Town, secret: str, tmp_path: Path, door: str, mechanism: str) -> None:
    config = written(tmp_path / "msmtprc", gnu_settings(town, door, mechanism, secret) + f"from {ALICE}\n")
    said = run(tmp_path, "msmtp", "-C", config, "--debug", ALICE, stdin=letter(f"msmtp-{door}-{mechanism}"))
    assert f"AUTH {mechanism.upper()}" in said
    assert "250 2.0.0 Queued as" in said


@pytest.mark.parametrize("mechanism", ["user", "plain", "login", "scram-sha-256"])
@pytest.mark.parametrize("door", FETCHING)
@pytest.mark.peer("mpop")
def test_mpop(town: Town, secret: str, tmp_path: Path, door: str, mechanism: str) -> None:
    more = f"keep on\ndelivery mbox {tmp_path / 'inbox'}\nuidls_file {tmp_path / 'uidls'}\n"
    config = written(tmp_path / "mpoprc", gnu_settings(town, door, mechanism, secret) + more)
    said = run(tmp_path, "mpop", "-C", config, "--debug")
    assert ("USER alice" if mechanism == "user" else f"AUTH {mechanism.upper()}") in said


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("door", [*SENDING, *FETCHING])
@pytest.mark.peer("curl")
def test_curl(town: Town, secret: str, tmp_path: Path, door: str, mechanism: str) -> None:
    scheme = {"submission": "smtp", "submissions": "smtps"}.get(door, door)
    file = written(tmp_path / "letter.eml", letter(f"curl-{door}-{mechanism}"))
    sends = ("--mail-from", ALICE, "--mail-rcpt", ALICE, "--upload-file", file) if door in SENDING else ()
    said = run(
        tmp_path,
        *("curl", "-sSv", "--ssl-reqd", "--cacert", town.home.certificate, "--user", f"{ALICE}:{secret}"),
        *("--login-options", f"AUTH={mechanism}", *sends, f"{scheme}://localhost:{town.home.ports[door]}"),
    )
    assert f"AUTH {mechanism}" in said


@pytest.mark.parametrize("door", FETCHING)
@pytest.mark.peer("fetchmail")
def test_fetchmail(town: Town, secret: str, tmp_path: Path, door: str) -> None:
    tls = "ssl" if door in FROM_THE_FIRST_BYTE else "sslproto TLS1.2+"
    config = written(
        tmp_path / "fetchmailrc",
        f'poll localhost protocol pop3 service {town.home.ports[door]} username "{ALICE}" password "{secret}" '
        f'{tls} sslcertck sslcertfile {town.home.certificate} keep mda "tee -a {tmp_path / "inbox"}"\n',
    )
    said = run(tmp_path, "fetchmail", "-f", config, "--check", "-v", "-v", "--pidfile", tmp_path / "pid", good=(0, 1))
    # It says 1 when there is no mail.
    assert ("POP3> STLS" in said) is (door == "pop3")
    assert "+OK" in said.partition("POP3> PASS")[2].splitlines()[1]


@pytest.mark.parametrize("mechanism", ["plain", "login", "scram-sha-256"])
@pytest.mark.parametrize("door", SENDING)
@pytest.mark.peer("mutt")
def test_mutt(town: Town, secret: str, tmp_path: Path, door: str, mechanism: str) -> None:
    scheme = "smtps" if door in FROM_THE_FIRST_BYTE else "smtp"
    token = f"mutt-{door}-{mechanism}"
    config = written(
        tmp_path / "muttrc",
        f'set smtp_url="{scheme}://{ALICE}@localhost:{town.home.ports[door]}"\nset smtp_pass="{secret}"\n'
        f'set smtp_authenticators="{mechanism}"\nset ssl_force_tls=yes\nset ssl_verify_host=no\n'
        f'set certificate_file="{town.home.certificate}"\nset from="{ALICE}"\nset record=""\n'
        f'set folder="{tmp_path}"\n',
    )
    run(tmp_path, "mutt", "-F", config, "-n", "-d", "2", "-s", token, "--", ALICE, stdin="x\n")
    said = (tmp_path / ".muttdebug0").read_text(errors="replace")
    assert f"AUTH {mechanism.upper()}" in said, said[-3000:]
