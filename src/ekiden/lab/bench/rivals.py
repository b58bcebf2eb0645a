"""The others: Postfix, Exim and aiosmtpd, each as its own documentation advises for a busy relay."""

from __future__ import annotations

import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Final

from ekiden.lab.bench.peers import Running
from ekiden.lab.bench.scenarios import BOX_DOMAIN, BOXES, LOGIN, PASSWORD, Scenario
from ekiden.lab.certificate import write_certificate
from ekiden.lab.dovecot import LabSasl
from ekiden.lab.exim import LabExim
from ekiden.lab.load import wait_for_port
from ekiden.lab.postfix import LabPostfix
from ekiden.lab.server import free_ports

#: Debian's own interpreter: aiosmtpd comes as a Debian package.
_PYTHON: Final = "/usr/bin/python3"
_PEERS: Final = Path(__file__).parents[4] / ".peers" / "aiosmtpd" / "usr/lib/python3/dist-packages"

_INBOUND: Final = """\
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {boxes}
virtual_mailbox_maps = inline:{{ {maps} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
"""
_SUBMISSION: Final = """\
smtpd_tls_security_level = may
smtpd_tls_cert_file = {folder}/cert.pem
smtpd_tls_key_file = {folder}/key.pem
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {auth}
smtpd_relay_restrictions = permit_sasl_authenticated, reject
"""


class Postfix:
    name = "Postfix"
    remark = ""

    def why_not(self, scenario: Scenario) -> str:
        return LabPostfix.is_possible() or (LabSasl.is_possible() if scenario.submission else "")

    def start(self, scenario: Scenario, folder: Path, sink: int) -> Running:
        folder.mkdir()
        sasl: LabSasl | None = None
        extra = ""
        if scenario.inbound:
            extra = _postfix_boxes(folder)
        if scenario.submission:
            write_certificate(folder, "mail.postfix.test")
            sasl = LabSasl(folder / "sasl", {LOGIN: PASSWORD})
            sasl.start()
            extra = _SUBMISSION.format(folder=folder, auth=sasl.socket)
        server = LabPostfix(folder, {"sink.test": sink}, extra=extra)
        server.start()
        return _RunningPostfix(server, sasl)


def _postfix_boxes(folder: Path) -> str:
    owner = pwd.getpwnam("nobody")
    boxes = folder / "boxes"
    boxes.mkdir()
    shutil.chown(boxes, owner.pw_uid, owner.pw_gid)
    maps = ", ".join(f"{{ {box}@{BOX_DOMAIN} = {box}/ }}" for box in BOXES)
    return _INBOUND.format(domain=BOX_DOMAIN, boxes=boxes, maps=maps, uid=owner.pw_uid, gid=owner.pw_gid)


class _RunningPostfix:
    def __init__(self, server: LabPostfix, sasl: LabSasl | None) -> None:
        self._server = server
        self._sasl = sasl
        self.port = server.port
        self.pid = server.master_pid()
        self.boxes = [server.folder / "boxes" / box / "new" for box in BOXES]

    def stop(self) -> None:
        self._server.stop()
        if self._sasl is not None:
            self._sasl.stop()


_EXIM_LOGIN: Final = """\
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_advertise_condition = ${{if def:tls_in_cipher}}
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{login}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
"""


class Exim:
    name = "Exim"
    remark = "Exim runs from an unpacked Debian package, as nobody, with nss_wrapper under it."

    def why_not(self, scenario: Scenario) -> str:
        return LabExim.is_possible()

    def start(self, scenario: Scenario, folder: Path, sink: int) -> Running:
        server = LabExim(folder, {"sink.test": sink}, domain=BOX_DOMAIN, users=BOXES, gathered=True)
        if scenario.submission:
            (folder / "tls").mkdir(parents=True)
            server.certificate = write_certificate(folder / "tls", f"mail.{BOX_DOMAIN}")
            server.extra = _EXIM_LOGIN.format(login=LOGIN, password=PASSWORD)
        server.start()
        return _RunningExim(server)


class _RunningExim:
    def __init__(self, server: LabExim) -> None:
        self._server = server
        assert server.process is not None
        self.port = server.port
        self.pid = server.process.pid
        self.boxes = [server.boxes / box / "new" for box in BOXES]

    def stop(self) -> None:
        self._server.stop()


#: What its documentation shows: a Controller with one of its own handlers.
_AIOSMTPD: Final = """\
import signal, ssl, sys
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox, Proxy
from aiosmtpd.smtp import AuthResult

port, sink, boxes, certificate, login, password = sys.argv[1:]

class InTime(Proxy):
    def _deliver(self, mail_from, rcpt_tos, data):
        refused = super()._deliver(mail_from, rcpt_tos, data)
        assert not refused, refused
        return refused

def check(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (login.encode(), password.encode()))

more = {}
if certificate:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate + "/cert.pem", certificate + "/key.pem")
    more = dict(tls_context=context, require_starttls=True, authenticator=check, auth_required=True)
handler = Mailbox(boxes) if boxes else InTime("127.0.0.1", int(sink))
Controller(handler, hostname="127.0.0.1", port=int(port), **more).start()
signal.pause()
"""


class Aiosmtpd:
    name = "aiosmtpd"
    remark = (
        "aiosmtpd has no queue: its Proxy handler answers 250 when the next hop has taken the letter (a connection for "
        "each, the loop waits), its Mailbox handler writes one Maildir without syncing the directory."
    )

    def why_not(self, scenario: Scenario) -> str:
        done = subprocess.run(
            [_PYTHON, "-c", "import aiosmtpd.controller"], env=_environment(), capture_output=True, check=False
        )
        return "aiosmtpd is not there (tools/fetch_peers.sh, or Debian package python3-aiosmtpd)" * bool(
            done.returncode
        )

    def start(self, scenario: Scenario, folder: Path, sink: int) -> Running:
        folder.mkdir()
        if scenario.submission:
            write_certificate(folder, "mail.aiosmtpd.test")
        (folder / "server.py").write_text(_AIOSMTPD)
        return _RunningAiosmtpd(scenario, folder, sink)


class _RunningAiosmtpd:
    def __init__(self, scenario: Scenario, folder: Path, sink: int) -> None:
        self.port = free_ports(1)[0]
        self.boxes = [folder / "box" / "new"]
        boxes = str(folder / "box") if scenario.inbound else ""
        certificate = str(folder) if scenario.submission else ""
        with (folder / "stderr").open("wb") as errors:
            self._process = subprocess.Popen(
                [_PYTHON, str(folder / "server.py"), *map(str, (self.port, sink, boxes, certificate, LOGIN, PASSWORD))],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        self.pid = self._process.pid
        wait_for_port(self.port)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


def _environment() -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(_PEERS)}
