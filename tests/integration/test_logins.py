"""Logins by libraries that nobody here wrote (programs: test_foreign_logins), and the whole life of app passwords."""

from __future__ import annotations

import asyncio
import json
import os
import poplib
import smtplib
import ssl
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path

import aiosmtplib
import pytest
import scramp

from tests.integration.conftest import Town, eventually, make_town

ALICE, BOB = "alice@example.test", "bob@example.test"
SCRAM, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"


@pytest.fixture
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = make_town(tmp_path_factory.mktemp("town"), workers=2)
    try:
        yield town
    finally:
        for server in (town.home, town.away):
            server.stop()


def peer(name: str, login: str, password: str, sock: ssl.SSLSocket) -> scramp.ScramClient:
    return scramp.ScramClient(
        [name], login, password, channel_binding=("tls-server-end-point", sock) if name == PLUS else None
    )


def smtp(town: Town, door: str) -> smtplib.SMTP:
    context = town.context(town.home)
    if door == "submissions":
        return smtplib.SMTP_SSL("localhost", town.home.ports[door], context=context, timeout=30)
    client = smtplib.SMTP("localhost", town.home.ports[door], timeout=30)
    client.starttls(context=context)
    return client


def smtp_scram(client: smtplib.SMTP, name: str, login: str, password: str) -> int:
    """By scramp over smtplib; the reply code. Raises if the server does not prove itself."""
    assert isinstance(client.sock, ssl.SSLSocket)
    side = peer(name, login, password, client.sock)
    client.ehlo_or_helo_if_needed()
    code, answer = client.docmd("AUTH", f"{name} {b64encode(side.get_client_first().encode()).decode()}")
    assert code == 334
    side.set_server_first(b64decode(answer).decode())
    code, answer = client.docmd(b64encode(side.get_client_final().encode()).decode())
    if code == 334:
        side.set_server_final(b64decode(answer).decode())
        code, answer = client.docmd("")
    return code


@pytest.mark.parametrize("name", [SCRAM, PLUS])
@pytest.mark.parametrize("door", ["submission", "submissions"])
def test_scramp_at_the_submission_doors(town: Town, door: str, name: str) -> None:
    with smtp(town, door) as client:
        client.ehlo()
        assert client.esmtp_features["auth"].split() == [PLUS, SCRAM, "PLAIN", "LOGIN"]
        assert smtp_scram(client, name, ALICE, town.passwords[ALICE]) == 235
        client.sendmail(ALICE, [BOB], f"From: {ALICE}\r\nSubject: scram-{door}-{name}\r\n\r\nx\r\n")
    town.wait_for(BOB, f"scram-{door}-{name}")
    with smtp(town, door) as client:
        assert smtp_scram(client, name, ALICE, "wrong") == 535
        assert smtp_scram(client, name, "nobody@example.test", "wrong") == 535


@pytest.mark.parametrize("name", [SCRAM, PLUS])
@pytest.mark.parametrize("door", ["pop3", "pop3s"])
def test_scramp_at_the_pop3_doors(town: Town, door: str, name: str) -> None:
    context = town.context(town.home)
    if door == "pop3s":
        client = poplib.POP3_SSL("localhost", town.home.ports[door], context=context, timeout=30)
    else:
        client = poplib.POP3("localhost", town.home.ports[door], timeout=30)
        client.stls(context=context)
    assert client.capa()["SASL"] == [PLUS, SCRAM, "PLAIN", "LOGIN"]
    side = peer(name, BOB, town.passwords[BOB], client.sock)
    answer = client._shortcmd(f"AUTH {name} {b64encode(side.get_client_first().encode()).decode()}")
    side.set_server_first(b64decode(answer[2:]).decode())
    answer = client._shortcmd(b64encode(side.get_client_final().encode()).decode())
    side.set_server_final(b64decode(answer[2:]).decode())
    assert client._shortcmd("").startswith(b"+OK")
    assert client.stat()[0] >= 0
    client.quit()


@pytest.mark.parametrize("mechanism", ["plain", "login"])
@pytest.mark.parametrize("door", ["submission", "submissions"])
async def test_aiosmtplib(town: Town, door: str, mechanism: str) -> None:
    token = f"aiosmtplib-{door}-{mechanism}"
    client = aiosmtplib.SMTP(
        hostname="localhost",
        port=town.home.ports[door],
        use_tls=door == "submissions",
        start_tls=door == "submission",
        tls_context=town.context(town.home),
    )
    async with client:
        await client.ehlo()
        login = getattr(client, f"auth_{mechanism}")
        await login(ALICE, town.passwords[ALICE])
        await client.sendmail(ALICE, [BOB], f"From: {ALICE}\r\nSubject: {token}\r\n\r\nx\r\n")
    await asyncio.to_thread(town.wait_for, BOB, token)


NODEMAILER = """
const nodemailer = require("/usr/share/nodejs/nodemailer");
const [port, secure, method, user, pass, to, subject] = process.argv.slice(2);
nodemailer.createTransport({
  host: "localhost", port: Number(port), secure: secure === "yes", requireTLS: true, authMethod: method,
  auth: { user, pass },
}).sendMail({ from: user, to, subject, text: "x" })
  .then(() => 0, (error) => { console.error(error.message); process.exitCode = 1; });
"""


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("door", ["submission", "submissions"])
@pytest.mark.peer("node")
def test_nodemailer(town: Town, tmp_path: Path, door: str, mechanism: str) -> None:
    if not Path("/usr/share/nodejs/nodemailer").exists():
        pytest.skip("needs Debian's node-nodemailer")
    script, token = tmp_path / "send.js", f"nodemailer-{door}-{mechanism}"
    script.write_text(NODEMAILER)
    for password, code in ((town.passwords[ALICE], 0), ("wrong", 1)):
        secure = "yes" if door == "submissions" else "no"
        done = subprocess.run(
            ["node", str(script), str(town.home.ports[door]), secure, mechanism, ALICE, password, BOB, token],
            capture_output=True,
            text=True,
            timeout=60,
            env=os.environ | {"NODE_EXTRA_CA_CERTS": str(town.home.certificate)},
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert ("535" in done.stderr) is bool(code)
    town.wait_for(BOB, token)


def make_app_password(town: Town, *options: str) -> dict[str, str]:
    made = json.loads(town.home.command("account", "app-password", "add", ALICE, "--json", *options).stdout)
    return {key: str(value) for key, value in made["app_password"].items()}


def is_over(client: smtplib.SMTP) -> bool:
    try:
        return client.noop()[0] == 421
    except smtplib.SMTPServerDisconnected:
        return True


def reading(town: Town, secret: str) -> poplib.POP3 | None:
    """A POP3 session, None if the login is wrong: a change is seen by every worker within a second, not at once."""
    reader = poplib.POP3_SSL("localhost", town.home.ports["pop3s"], context=town.context(town.home), timeout=30)
    reader.user(ALICE)
    try:
        reader.pass_(secret)
    except poplib.error_proto:
        reader.close()
        return None
    return reader


def sending(town: Town, secret: str) -> smtplib.SMTP | None:
    client = smtp(town, "submissions")
    try:
        client.login(ALICE, secret)
    except smtplib.SMTPAuthenticationError:
        client.close()
        return None
    return client


def test_an_app_password_from_the_command_line_to_its_end(two_workers: Town) -> None:
    town = two_workers
    made = make_app_password(town, "--name", "Phone", "--scope", "submit")
    secret = made["secret"]
    clients = [
        eventually(lambda: sending(town, secret), "a login with the new app password")
        for _ in range(6)  # more than workers, so that each has some
    ]
    with smtp(town, "submissions") as client:
        assert smtp_scram(client, PLUS, ALICE, secret) == 235
    assert reading(town, secret) is None  # not in its scope
    town.home.command("account", "app-password", "revoke", ALICE, made["id"])
    for client in clients:
        eventually(lambda client=client: is_over(client), "the end of a session after revoke")
        client.close()
    assert not any(sending(town, secret) for _ in range(6))


def test_a_revoked_reader_deletes_nothing(two_workers: Town) -> None:
    town = two_workers
    with smtp(town, "submissions") as client:
        client.login(ALICE, town.passwords[ALICE])
        client.sendmail(ALICE, [ALICE], f"From: {ALICE}\r\nSubject: keep-me\r\n\r\nx\r\n")
    town.wait_for(ALICE, "keep-me")
    made = make_app_password(town, "--name", "Reader", "--scope", "fetch")
    reader = eventually(lambda: reading(town, made["secret"]), "a login with the new app password")
    assert isinstance(reader, poplib.POP3)
    reader.dele(1)
    town.home.command("account", "app-password", "revoke", ALICE, made["id"])

    def over() -> bool:
        try:
            reader.noop()
        except (poplib.error_proto, OSError):
            return True
        return False

    eventually(over, "the end of the POP3 session after revoke")
    reader.close()
    town.wait_for(ALICE, "keep-me")
