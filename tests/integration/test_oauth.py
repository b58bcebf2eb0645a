"""Tokens of an issuer that shows its keys over HTTPS, and curl as the client that nobody here wrote."""

from __future__ import annotations

import http.server
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from ekiden.lab.server import LabServer
from ekiden.net.issuer_keys import MOST_OCTETS, KeysFailed, fetch
from tests.integration.certificates import make_certificate
from tests.integration.conftest import PATIENCE, eventually

ISSUER = "https://login.example.test"
ALICE = "alice@example.test"
MECHANISMS = ("OAUTHBEARER", "XOAUTH2")
LETTER = f"From: {ALICE}\r\nSubject: hello\r\n\r\nhello\r\n"


class Issuer:
    """Shows the keys at /jwks, sends elsewhere from /moved, and too much at /huge. `asked`: the paths."""

    def __init__(self, folder: Path) -> None:
        self.key = ECKey.generate_key("P-256", {"kid": "1"})
        self.asked: list[str] = []
        files = make_certificate(folder, "localhost", "127.0.0.1", stem="issuer")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate, files.key)
        self.authority = files.authority
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                self.send_response(302 if self.path == "/moved" else 200)
                self.send_header("Location", "/jwks")
                self.end_headers()
                keys = json.dumps({"keys": [issuer.key.as_dict(private=False)]}).encode()
                self.wfile.write(b" " * (MOST_OCTETS + 1) if self.path == "/huge" else keys)

            def log_message(self, *_: object) -> None:
                """Not into the tests' output."""

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()

    def token(self, **claims: Any) -> str:
        told = {"iss": ISSUER, "aud": "mail", "exp": int(time.time()) + 300, "email": ALICE} | claims
        return jwt.encode({"alg": "ES256", "kid": self.key.kid}, told, self.key)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    made = Issuer(tmp_path_factory.mktemp("issuer"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", made.authority)
        yield made
    made.close()


@pytest.fixture(scope="module")
def server(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    made = LabServer(tmp_path_factory.mktemp("oauth") / "home", "example.test")
    made.tables = f'[oauth]\nissuer = "{ISSUER}"\naudience = "mail"\njwks_url = "{issuer.url}/jwks"\n'
    made.prepare()
    made.add_account("alice")
    made.start()
    yield made
    made.stop()


def run(*command: object, stdin: str = "") -> tuple[int, str]:
    """Exit status, and what was said."""
    done = subprocess.run(
        [str(word) for word in command], input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    return done.returncode, done.stderr + done.stdout


def curl(server: LabServer, url: str, token: str, *more: object) -> tuple[int, str]:
    """curl always prefers OAUTHBEARER."""
    login = ("--oauth2-bearer", token, "--user", ALICE, "--cacert", server.certificate)
    return run("curl", "-sv", *login, "--connect-to", "::127.0.0.1:", *more, url)


def curl_sends(server: LabServer, token: str) -> tuple[int, str]:
    letter = server.folder / "letter"
    letter.write_text(LETTER)
    url = f"smtps://localhost:{server.ports['submissions']}/client.test"
    return curl(server, url, token, "--mail-from", ALICE, "--mail-rcpt", ALICE, "--upload-file", letter)


def settings(server: LabServer, port: int, token: str, mechanism: str) -> str:
    """What msmtp and mpop have in common."""
    return (
        f"account default\nhost localhost\nport {port}\nauth {mechanism.lower()}\nuser {ALICE}\npassword {token}\n"
        f"tls on\ntls_starttls off\ntls_trust_file {server.certificate}\n"
    )


def write(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def events(server: LabServer, kind: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.log_path.read_text().splitlines()]
    return [line for line in lines if line["event"] == kind]


@pytest.mark.peer("curl")
def test_curl_sends_and_fetches(server: LabServer, issuer: Issuer) -> None:
    token = issuer.token()
    status, said = curl_sends(server, token)
    assert status == 0, said
    assert "AUTH OAUTHBEARER" in said
    for door in ("pop3", "pop3s"):
        status, said = curl(server, f"{door}://localhost:{server.ports[door]}/", token, "--ssl-reqd")
        assert status == 0, said
        assert "AUTH OAUTHBEARER" in said


@pytest.mark.peer("curl")
def test_curl_hears_why_not(server: LabServer, issuer: Issuer) -> None:
    wrong = ({"exp": int(time.time()) - 3600}, {"aud": "other"}, {"email": "bob@example.test"})
    for claims in wrong:
        status, said = curl_sends(server, issuer.token(**claims))
        assert status == 67, said  # CURLE_LOGIN_DENIED
        assert "535 5.7.8" in said

    reasons = ["token-expired", "token-not-for-us", "token-for-another"]
    eventually(lambda: [event["reason"] for event in events(server, "login.failed")][-3:] == reasons, "the events")


@pytest.mark.peer("msmtp")
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_msmtp(server: LabServer, issuer: Issuer, mechanism: str, tmp_path: Path) -> None:
    for token, good in ((issuer.token(), True), (issuer.token(aud="other"), False)):
        text = settings(server, server.ports["submissions"], token, mechanism) + f"from {ALICE}\n"
        status, said = run("msmtp", "-d", "-C", write(tmp_path / "msmtprc", text), ALICE, stdin=LETTER)
        assert (status == 0) is good, said
        assert f"AUTH {mechanism}" in said
        assert ("235 2.7.0" if good else "535 5.7.8") in said


@pytest.mark.peer("mpop")
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_mpop(server: LabServer, issuer: Issuer, mechanism: str, tmp_path: Path) -> None:
    for token, good in ((issuer.token(), True), (issuer.token(aud="other"), False)):
        text = settings(server, server.ports["pop3s"], token, mechanism)
        text += f"delivery mbox {tmp_path}/inbox\nuidls_file {tmp_path}/uidls\n"
        status, said = run("mpop", "-d", "-C", write(tmp_path / "mpoprc", text))
        assert (status == 0) is good, said
        assert f"AUTH {mechanism}" in said


NODEMAILER = """
const nodemailer = require("/usr/share/nodejs/nodemailer");
const [port, secure, user, accessToken] = process.argv.slice(2);
nodemailer.createTransport({
  host: "localhost", port: Number(port), secure: secure === "yes", requireTLS: true,
  auth: { type: "OAuth2", user, accessToken },
}).sendMail({ from: user, to: user, subject: "by token", text: "x" })
  .then(() => 0, (error) => { console.error(error.message); process.exitCode = 1; });
"""


@pytest.mark.peer("node")
@pytest.mark.parametrize("door", ["submission", "submissions"])
def test_nodemailer(
    server: LabServer, issuer: Issuer, door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of OAuth2 it knows XOAUTH2."""
    if not Path("/usr/share/nodejs/nodemailer").exists():
        pytest.skip("needs Debian's node-nodemailer")
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(server.certificate))
    script = write(tmp_path / "send.js", NODEMAILER)
    secure = "yes" if door == "submissions" else "no"
    for token, good in ((issuer.token(), True), (issuer.token(aud="other"), False)):
        status, said = run("node", script, server.ports[door], secure, ALICE, token)
        assert (status == 0) is good, said
        assert ("Can't create new access token" in said) is not good  # what it says when a token is refused


def test_the_keys_are_read_once(server: LabServer, issuer: Issuer) -> None:
    issuer.asked.clear()
    for kid in range(5):  # one more reading, for the first key that is unknown, and no other within the minute
        forged = ECKey.generate_key("P-256", {"kid": f"forged-{kid}"})
        curl_sends(server, jwt.encode({"alg": "ES256", "kid": forged.kid}, {"iss": ISSUER}, forged))
    assert len(issuer.asked) <= 1


def test_a_token_is_not_in_the_log(server: LabServer, issuer: Issuer) -> None:
    token = issuer.token()
    curl_sends(server, token)
    assert token not in server.log_path.read_text()
    assert token.rsplit(".", 1)[1] not in server.log_path.read_text()


def test_keys_over_https(issuer: Issuer) -> None:
    assert fetch(f"{issuer.url}/jwks").find("1") is not None


def test_redirects_are_not_followed(issuer: Issuer) -> None:
    before = issuer.asked.count("/jwks")
    with pytest.raises(KeysFailed, match="answers 302, not 200"):
        fetch(f"{issuer.url}/moved")
    assert issuer.asked.count("/jwks") == before


def test_too_much_is_not_read(issuer: Issuer) -> None:
    with pytest.raises(KeysFailed, match="has more than"):
        fetch(f"{issuer.url}/huge")


def test_an_issuer_that_has_not_proven_its_name(issuer: Issuer) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SSL_CERT_FILE")
        with pytest.raises(KeysFailed, match=r"(?i)certificate"):
            fetch(f"{issuer.url}/jwks")
