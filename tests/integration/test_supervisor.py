"""`ekiden serve` as a whole: refusing to start, workers that die, reloading, draining, giving up root."""

from __future__ import annotations

import json
import os
import poplib
import pwd
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ekiden.lab.server import LabFailed, LabServer, free_ports
from tests.integration.certificates import make_certificate

#: A loaded machine with two cores; what is waited for takes a second at most.
PATIENCE = 30.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LabServer]:
    made = LabServer(tmp_path / "home", "example.test", workers=1)
    made.prepare()
    yield made
    made.kill()


def until(found: Callable[[], Any]) -> Any:
    """What `found` gives as soon as it is true."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def events(server: LabServer, what: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in server.log_path.read_text().splitlines()]
    return [line for line in lines if line.get("what") == what or line["event"] == what]


def workers(server: LabServer) -> list[int]:
    """Process ids of the workers that live."""
    assert server.process is not None
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def refusal(server: LabServer, *, made: bool = False) -> str:
    """What `ekiden serve` says instead of starting; checks that it changed nothing."""
    done = server.command("serve", "-c", str(server.config_path), check=False)
    assert done.returncode == 1, done
    assert done.stdout == ""
    assert (server.folder / "data").exists() == made
    assert "Traceback" not in done.stderr
    return done.stderr


def smtp(server: LabServer, door: str = "relay") -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", server.ports[door], local_hostname="client.test", timeout=PATIENCE)


def send(server: LabServer, to: str) -> None:
    with smtp(server) as client:
        client.sendmail("someone@else.test", [to], "Subject: hello\r\n\r\nhello\r\n")


def maildrop(server: LabServer, login: str, password: str) -> int:
    context = ssl._create_unverified_context()  # a certificate of our own making
    client = poplib.POP3_SSL("127.0.0.1", server.ports["pop3s"], context=context, timeout=PATIENCE)
    client.user(f"{login}@{server.domain}")
    client.pass_(password)
    count = client.stat()[0]
    client.quit()
    return count


def certificate_of(server: LabServer) -> str:
    return ssl.get_server_certificate(("127.0.0.1", server.ports["submissions"]), timeout=PATIENCE)


# ---- what refuses to start: one clear line, exit 1, nothing changed


def test_a_taken_port(server: LabServer) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", server.ports["submission"]))
        other.listen()
        text = refusal(server)
    port = server.ports["submission"]
    assert text == f"ekiden: listen.submission: 127.0.0.1:{port} is taken by another program (which one: ss -ltnp)\n"


def test_a_certificate_that_is_not_its_keys(server: LabServer) -> None:
    make_certificate(server.folder, "mail.example.test", stem="other")
    (server.folder / "other.crt").rename(server.folder / "cert.pem")
    text = refusal(server)
    assert text.count("\n") == 1
    assert "tls.private_key: " in text
    assert "is not the key of the certificate" in text
    assert "ekiden.toml:" in text


def test_a_key_that_everybody_can_read(server: LabServer) -> None:
    (server.folder / "key.pem").chmod(0o644)
    text = refusal(server)
    assert text.count("\n") == 1
    assert "can be read by everybody" in text
    assert "chmod 600" in text


def test_a_folder_that_is_not_ours(server: LabServer) -> None:
    data = server.folder / "data"
    data.mkdir()
    (data / "thesis.odt").write_text("years of work")
    text = refusal(server, made=True)
    assert text.count("\n") == 1
    assert "data_dir: " in text
    assert "is not ours" in text
    assert [entry.name for entry in data.iterdir()] == ["thesis.odt"]


def test_every_error_at_once(server: LabServer) -> None:
    text = server.config_path.read_text()
    server.config_path.write_text(text.replace("workers ", "wrokers ") + '[limits]\nsessions = "many"\n')
    found = refusal(server)
    assert found.count("\n") == 2
    assert 'did you mean "workers"?' in found
    assert "limits.sessions: must be a whole number" in found


def test_a_second_server_on_the_same_folder(server: LabServer) -> None:
    server.start()
    ports = dict(zip(server.ports, free_ports(5), strict=True))
    second = LabServer(server.folder, server.domain, ports=ports)
    second.config_path.rename(server.folder / "first.toml")
    second.prepare()
    done = second.command("serve", check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is in use" in done.stderr
    assert str(server.process.pid if server.process else 0) in done.stderr
    send_to_nobody(server)


def send_to_nobody(server: LabServer) -> None:
    with smtp(server) as client:
        assert client.noop()[0] == 250


def test_a_store_that_cannot_be_opened_is_told_once(server: LabServer) -> None:
    """What only a worker can find out."""
    data = server.folder / "data"
    data.mkdir(mode=0o700)
    (data / "directory.db").write_bytes(b"no database at all" * 100)
    server.workers = 3
    server.prepare()
    with pytest.raises(LabFailed) as caught:
        server.start()
    assert str(caught.value).count("ekiden: ") == 1
    assert "directory.db" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert server.process is not None
    assert server.process.wait(PATIENCE) == 1


# ---- workers


def test_a_killed_worker_is_made_anew(server: LabServer) -> None:
    server.start()
    (pid,) = workers(server)
    os.kill(pid, signal.SIGKILL)
    died = until(lambda: events(server, "worker-died"))
    assert (died[0]["pid"], died[0]["detail"]) == (pid, "killed by SIGKILL")
    until(lambda: len(events(server, "worker-started")) == 2)
    send_to_nobody(server)
    assert workers(server) != [pid]
    assert server.stop() == 0


def test_letters_of_a_killed_worker_are_delivered(server: LabServer) -> None:
    """Its claims come back: here to the worker that is made anew."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never greets
        silent.settimeout(PATIENCE)
        server.tables = (
            '[relay]\ntrusted_networks = ["127.0.0.1"]\n'
            f'[[route]]\nmatch = "far.test"\nto = "smtp://127.0.0.1:{silent.getsockname()[1]}"\n'
        )
        server.prepare()
        server.start()
        send(server, "carol@far.test")
        with silent.accept()[0]:
            (pid,) = workers(server)
            os.kill(pid, signal.SIGKILL)
            silent.accept()[0].close()
    assert workers(server) != [pid]
    server.stop()  # the log is complete
    assert [event["legs"] for event in events(server, "claims.freed")] == [1]


def test_a_worker_that_stands_still_is_killed(server: LabServer) -> None:
    server.process = start_with(server, "ekiden.app.supervisor.SILENCE_SECONDS = 1.0")
    server.wait_until_ready()
    (pid,) = workers(server)
    os.kill(pid, signal.SIGSTOP)
    silent = until(lambda: events(server, "worker-silent"))
    assert silent[0]["pid"] == pid
    until(lambda: len(events(server, "worker-started")) == 2)
    send_to_nobody(server)


def start_with(server: LabServer, patch: str) -> subprocess.Popen[bytes]:
    script = f"import sys, ekiden.app.supervisor\n{patch}\nfrom ekiden.cli.main import main\nmain()"
    return subprocess.Popen(
        [sys.executable, "-c", script, "serve", "-c", str(server.config_path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def test_workers_end_with_their_supervisor(server: LabServer) -> None:
    server.workers = 2
    server.prepare()
    server.start()
    until(lambda: events(server, "started"))
    old = workers(server)
    assert len(old) == 2
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    server.start()  # waits for the folder and the ports
    until(lambda: not any(lives(pid) for pid in old))  # a process gives up its files before it is gone
    server.wait_until_ready()  # until just now an old worker may have been the one that greeted
    send_to_nobody(server)
    assert server.stop() == 0


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# ---- draining


def test_draining_lets_a_transaction_finish(server: LabServer) -> None:
    password = server.add_account("bob")
    server.start()
    with smtp(server) as idle, smtp(server) as busy:
        idle.ehlo()
        busy.ehlo()
        busy.mail("someone@else.test")
        busy.rcpt("bob@example.test")
        assert busy.docmd("DATA")[0] == 354
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        assert idle.getreply()[0] == 421
        until(lambda: refuses(server))
        busy.send(b"Subject: the last one\r\n\r\nhello\r\n.\r\n")
        assert busy.getreply()[0] == 250
        assert busy.getreply()[0] == 421
        assert server.process.wait(PATIENCE) == 0
    server.start()
    until(lambda: maildrop(server, "bob", password) == 1)


def refuses(server: LabServer) -> bool:
    try:
        socket.create_connection(("127.0.0.1", server.ports["relay"]), timeout=1).close()
    except OSError:
        return True
    return False


def test_who_does_not_finish_is_not_waited_for_longer_than_drain(server: LabServer) -> None:
    server.tables = '[limits]\ndrain = "1s"\n'
    server.prepare()
    server.start()
    with smtp(server) as slow:
        slow.ehlo()
        slow.mail("someone@else.test")
        assert server.stop() == 0


def test_a_second_signal_ends_at_once(server: LabServer) -> None:
    server.start()
    with smtp(server) as slow:
        slow.ehlo()
        slow.mail("someone@else.test")
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        until(lambda: events(server, "draining"))
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(PATIENCE) == 0
    assert events(server, "worker-died")[0]["detail"] == "killed by SIGKILL"


# ---- reloading


def test_a_wrong_configuration_keeps_the_old_one(server: LabServer) -> None:
    server.add_account("bob")
    server.start()
    good = server.config_path.read_text()
    for broken in (good + "[limtis]\n", good.replace("cert.pem", "none.pem"), "hostname = [", ""):
        before = len(events(server, "reload-refused"))
        server.config_path.write_text(broken)
        server.reload()
        told = until(lambda before=before: events(server, "reload-refused")[before:])
        assert told[0]["level"] == "error"
        assert "ekiden.toml" in told[0]["detail"]
        send(server, "bob@example.test")
    assert not events(server, "reloaded")
    assert not events(server, "worker-died")


def test_reload(server: LabServer) -> None:
    server.start()
    session = smtp(server)
    session.ehlo()
    session.mail("someone@else.test")
    assert session.rcpt("bob@new.test")[0] == 550
    old = certificate_of(server)
    fresh = make_certificate(server.folder, "mail.example.test", stem="fresh")
    os.replace(fresh.certificate, server.folder / "cert.pem")
    os.replace(fresh.key, server.folder / "key.pem")
    server.tables = (
        '[[domain]]\nname = "new.test"\nrecipients = "any"\n[[route]]\nmatch = "new.test"\nto = "smtp://127.0.0.1:9"\n'
    )
    server.workers = 2
    server.prepare()
    server.log_path.rename(server.folder / "ekiden.log.1")
    server.reload()
    until(lambda: server.log_path.exists() and events(server, "reloaded"))
    until(lambda: certificate_of(server) != old)
    send(server, "bob@new.test")
    until(lambda: events(server, "letter.accepted"))  # workers write to the new file as well
    rotated = (server.folder / "ekiden.log.1").read_text()
    assert "workers has changed: needs a restart" in rotated
    assert session.rcpt("bob@new.test")[0] == 550  # it goes on with what it began with
    assert session.quit()[0] == 221
    assert not events(server, "worker-died")


def test_a_disabled_login_ends_its_open_session(server: LabServer) -> None:
    password = server.add_account("bob")
    server.start()
    client = poplib.POP3_SSL(
        "127.0.0.1", server.ports["pop3s"], context=ssl._create_unverified_context(), timeout=PATIENCE
    )
    client.user("bob@example.test")
    client.pass_(password)
    server.command("account", "disable", "bob@example.test")
    closed = until(lambda: events(server, "session.closed"))
    assert closed[0]["reason"] == "revoked"
    with pytest.raises((poplib.error_proto, OSError)):
        client.noop()
    client.close()


# ---- root


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root")
def test_root_is_given_up() -> None:
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="ekiden-root-"))
    try:
        server = LabServer(folder / "home", "example.test", extra='user = "nobody"')
        server.prepare()
        for path in (folder, server.folder, *server.folder.iterdir()):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        text = server.config_path.read_text().replace(
            f'submission = ["127.0.0.1:{server.ports["submission"]}"]', 'submission = ["127.0.0.1:587"]'
        )
        server.config_path.write_text(text)
        if not refuses_port(587):
            pytest.skip("port 587 is taken on this machine")
        server.start()
        try:
            assert server.process is not None
            for pid in (server.process.pid, *workers(server)):
                status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
                assert set(status["Uid"].split()) == {str(nobody.pw_uid)}
                assert set(status["Gid"].split()) == {str(nobody.pw_gid)}
                assert "0" not in status["Groups"].split()
                assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
                assert status["NoNewPrivs"] == "1"
            assert not refuses_port(587)
            data = server.folder / "data"
            assert data.stat().st_uid == nobody.pw_uid
            assert data.stat().st_mode & 0o777 == 0o700
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder)


def refuses_port(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_service_manager_is_told(server: LabServer) -> None:
    path = server.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(PATIENCE)
        server.process = subprocess.Popen(
            [sys.executable, "-m", "ekiden", "serve", "-c", str(server.config_path)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=os.environ | {"NOTIFY_SOCKET": str(path)},
        )
        assert manager.recv(100) == b"READY=1"
        send_to_nobody(server)
        server.process.send_signal(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
        assert server.process.wait(PATIENCE) == 0
