"""The doors of a running server: behind a real HAProxy, and knocked at by those who wanted another one."""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ekiden.lab.mailprogram import fetch
from ekiden.lab.server import LabServer
from ekiden.proto.haproxy import V2_SIGNATURE
from tests.integration.conftest import PATIENCE, eventually
from tests.integration.haproxy import ADDRESS, WAYS, HaProxy

ALICE = "alice@example.test"
#: Addresses that clients connect from: an application host that may relay, a stranger, somebody shut out.
TRUSTED, STRANGER, SHUT_OUT = "127.0.0.9", "127.0.0.10", "127.0.0.66"
PLAIN_DOORS = ("relay", "submission", "pop3")
TLS_DOORS = ("submissions", "pop3s")


class House:
    def __init__(self, folder: Path) -> None:
        self.server = LabServer(folder / "home", "example.test")
        self.server.extra = f'relay = {{ trusted_networks = ["{TRUSTED}", "{ADDRESS}"] }}'
        rules = f'proxies = ["{ADDRESS}"]\ndeny = ["{SHUT_OUT}"]\n'
        self.server.tables = "".join(f"[doors.{door}]\n{rules}" for door in self.server.ports)
        self.server.prepare()
        self.password = self.server.add_account("alice")
        self.server.start()
        self.seen = 0

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.server.certificate))

    def events(self, kind: str) -> list[dict[str, Any]]:
        lines = self.server.log_path.read_text().splitlines()[self.seen :]
        return [event for line in lines if (event := json.loads(line))["event"] == kind]

    def forget(self) -> None:
        self.seen = len(self.server.log_path.read_text().splitlines())

    def told(self, kind: str, **wanted: str) -> dict[str, Any]:
        """The event with these fields, once it is there."""

        def find() -> dict[str, Any] | None:
            return next((e for e in self.events(kind) if all(e.get(k) == v for k, v in wanted.items())), None)

        event = eventually(find, f"{kind} with {wanted}")
        assert isinstance(event, dict)
        return event

    def dial(self, door: str, source: str = STRANGER) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.ports[door]), PATIENCE, (source, 0))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house"))
    yield house
    house.server.stop()


@pytest.fixture(scope="module")
def proxy(house: House, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HaProxy]:
    proxy = HaProxy(house.server, tmp_path_factory.mktemp("proxy") / "haproxy")
    proxy.start()
    yield proxy
    proxy.stop()


def all_of(connection: socket.socket) -> bytes:
    octets = b""
    try:
        while piece := connection.recv(65536):
            octets += piece
    except ConnectionError:
        pass
    return octets


def greeting_of(connection: socket.socket) -> bytes:
    octets = b""
    while not octets.endswith(b"\r\n"):
        piece = connection.recv(1)
        if not piece:
            break
        octets += piece
    return octets


# --- behind HAProxy -------------------------------------------------------------------------------------------------


@pytest.mark.peer("haproxy")
@pytest.mark.parametrize("way", WAYS)
def test_the_client_is_the_one_that_haproxy_names(house: House, proxy: HaProxy, way: str) -> None:
    token = f"through-{way}"
    for source, code in ((TRUSTED, 250), (STRANGER, 550)):
        with smtplib.SMTP(
            "127.0.0.1", proxy.ports[way, "relay"], "client.test", PATIENCE, source_address=(source, 0)
        ) as client:
            client.ehlo()
            client.mail("someone@else.test")
            assert client.rcpt("x@far.test")[0] == code, source
            client.rset()
            if source == STRANGER:
                client.sendmail("someone@else.test", [ALICE], f"Subject: {token}\r\n\r\nhello\r\n")
    event = house.told("recipient.refused", client=STRANGER)
    assert event["rule"] == "relay-denied"

    def arrived() -> bytes | None:
        letters = fetch(proxy.ports[way, "pop3s"], house.context, ALICE, house.password)
        return next((letter for letter in letters if token.encode() in letter), None)

    letter = eventually(arrived, token)
    assert isinstance(letter, bytes)
    assert b"[%b]" % STRANGER.encode() in letter
    assert ADDRESS.encode() not in letter


@pytest.mark.peer("haproxy")
@pytest.mark.parametrize("way", WAYS)
def test_logins_through_haproxy_with_both_kinds_of_tls(house: House, proxy: HaProxy, way: str) -> None:
    house.forget()
    source = (STRANGER, 0)
    with smtplib.SMTP_SSL(
        "localhost", proxy.ports[way, "submissions"], "client.test", timeout=PATIENCE, source_address=source,
        context=house.context,
    ) as client:  # fmt: skip
        client.login(ALICE, house.password)
    assert house.told("login.succeeded", door="submissions")["client"] == STRANGER
    with smtplib.SMTP(
        "localhost", proxy.ports[way, "submission"], "client.test", PATIENCE, source_address=source
    ) as client:
        client.starttls(context=house.context)
        client.login(ALICE, house.password)
    assert house.told("login.succeeded", door="submission")["client"] == STRANGER


@pytest.mark.peer("haproxy")
@pytest.mark.parametrize("way", WAYS)
def test_who_is_shut_out_is_so_behind_haproxy_too(house: House, proxy: HaProxy, way: str) -> None:
    for door in PLAIN_DOORS:
        with socket.create_connection(("127.0.0.1", proxy.ports[way, door]), PATIENCE, (SHUT_OUT, 0)) as connection:
            refusal = b"-ERR Your address" if door == "pop3" else b"554 5.7.1 Your address"
            assert all_of(connection).startswith(refusal)
    for door in TLS_DOORS:
        with (
            socket.create_connection(("127.0.0.1", proxy.ports[way, door]), PATIENCE, (SHUT_OUT, 0)) as connection,
            pytest.raises((ssl.SSLError, ConnectionError)),
        ):
            house.context.wrap_socket(connection, server_hostname="localhost")
    assert house.told("door.refused", door="pop3s")["rule"] == "denied"


@pytest.mark.peer("haproxy")
def test_its_health_checks_find_us_well(house: House, proxy: HaProxy) -> None:
    wanted = {f"{door}-{way}" for way in WAYS for door in house.server.ports}

    def all_checked() -> bool:
        status = proxy.status()
        return set(status) == wanted and all(state.split()[1] in ("L4OK", "L7OK") for state in status.values())

    eventually(all_checked, "a good check of every door")
    assert {state.split()[0] for state in proxy.status().values()} == {"UP"}


# --- headers by hand ------------------------------------------------------------------------------------------------

V1 = b"PROXY TCP4 %b 127.0.0.1 4000 25\r\n" % TRUSTED.encode()
V2 = (
    V2_SIGNATURE
    + b"\x21\x11\x00\x0c"
    + socket.inet_aton(TRUSTED)
    + socket.inet_aton("127.0.0.1")
    + struct.pack("!HH", 4000, 25)
)
LOCAL = V2_SIGNATURE + b"\x20\x00\x00\x00"


@pytest.mark.parametrize("header", [V1, V2])
@pytest.mark.parametrize("door", [*PLAIN_DOORS, *TLS_DOORS])
def test_a_stranger_s_header_ends_the_connection(house: House, door: str, header: bytes) -> None:
    house.forget()
    with house.dial(door) as connection:
        if door in PLAIN_DOORS:
            greeting_of(connection)
        connection.sendall(header + b"EHLO x\r\n")
        assert all_of(connection) == b""
    with house.dial(door) as connection:  # before our greeting
        connection.sendall(header + b"EHLO x\r\n")
        assert all_of(connection).count(b"\r\n") <= 1
    # told, unless this network was told of too often already: then it is counted
    assert all(event["what"] == "proxy-header" for event in house.events("door.wrong"))


def test_a_header_in_pieces_from_a_stranger_names_nobody(house: House) -> None:
    with house.dial("relay") as connection:
        greeting_of(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in V1:
            connection.sendall(bytes((octet,)))
        connection.sendall(b"EHLO x\r\nMAIL FROM:<a@else.test>\r\nRCPT TO:<x@far.test>\r\nQUIT\r\n")
        answer = all_of(connection)
        assert b"250 2.1.5" not in answer


@pytest.mark.parametrize("door", [*PLAIN_DOORS, *TLS_DOORS])
def test_a_listed_proxy_that_sends_no_header_is_closed(house: House, door: str) -> None:
    with house.dial(door, ADDRESS) as connection:
        connection.sendall(b"\x16\x03\x01" if door in TLS_DOORS else b"EHLO x\r\n")
        assert all_of(connection) == b""
    event = house.told("door.refused", door=door, rule="proxy-header-missing")
    assert event["client"] == ADDRESS


def test_a_proxy_that_speaks_for_itself_is_not_trusted(house: House) -> None:
    """Though its address is in trusted_networks."""
    for header, code in ((LOCAL, b"550"), (b"PROXY UNKNOWN\r\n", b"550"), (V1, b"250"), (V2, b"250")):
        with house.dial("relay", ADDRESS) as connection:
            connection.sendall(header)
            assert greeting_of(connection).startswith(b"220 ")
            connection.sendall(b"HELO x\r\nMAIL FROM:<a@else.test>\r\nRCPT TO:<x@far.test>\r\nQUIT\r\n")
            assert all_of(connection).split(b"\r\n")[2].startswith(code), header


# --- wrong doors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", PLAIN_DOORS)
def test_a_phone_set_to_ssl_at_a_door_that_begins_in_the_clear(house: House, door: str) -> None:
    with house.dial(door, "127.0.1.10") as connection, pytest.raises((ssl.SSLError, ConnectionError)):
        house.context.wrap_socket(connection, server_hostname="localhost")
    event = house.told("door.wrong", door=door, what="tls", client="127.0.1.10")
    assert event["network"] == "127.0.1.0/24"
    assert {"relay": "465", "submission": "STARTTLS for port 587", "pop3": "995"}[door] in event["advice"]


def test_a_client_hello_before_our_greeting_gets_an_alert(house: House) -> None:
    with house.dial("submission", ADDRESS) as connection:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = house.context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        connection.sendall(V1 + outgoing.read())
        incoming.write(all_of(connection))
        with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
            client.do_handshake()


@pytest.mark.peer("swaks")
def test_swaks_in_the_clear_at_465_is_told_what_to_do(house: House) -> None:
    command = ["swaks", "--server", f"127.0.0.1:{house.server.ports['submissions']}", "--to", ALICE, "--timeout", "30"]
    done = subprocess.run(
        [*command, "--local-interface", "127.0.2.10"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    # swaks waits for a greeting, as SMTP clients do: so this one comes when ten seconds have passed
    assert "554 5.7.0 This door speaks TLS from the first byte (SSL/TLS); for STARTTLS use port 587" in done.stdout
    assert house.told("door.wrong", door="submissions", what="silent", client="127.0.2.10")


@pytest.mark.parametrize(
    ("door", "octets", "line"),
    [
        ("submissions", b"EHLO x\r\n", b"554 5.7.0 This door speaks TLS from the first byte"),
        ("pop3s", b"USER alice\r\n", b"-ERR This door speaks TLS from the first byte"),
    ],
)
def test_who_speaks_first_in_the_clear_is_told_at_once(house: House, door: str, octets: bytes, line: bytes) -> None:
    with house.dial(door, "127.0.3.10") as connection:
        connection.sendall(octets)
        answer = all_of(connection)
    assert answer.startswith(line)
    assert answer.count(b"\r\n") == 1
    assert house.told("door.wrong", door=door, what="plain", client="127.0.3.10")


@pytest.mark.peer("curl")
def test_curl_pop3_in_the_clear_at_995(house: House) -> None:
    url = f"pop3://127.0.0.1:{house.server.ports['pop3s']}/"
    done = subprocess.run(
        ["curl", "-sv", "--user", "alice:x", "--max-time", "30", "--interface", "127.0.4.10", url],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "-ERR This door speaks TLS from the first byte (SSL/TLS); for STARTTLS use port 110" in done.stderr
    assert house.told("door.wrong", door="pop3s", what="silent", client="127.0.4.10")


@pytest.mark.peer("curl")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("door", [*PLAIN_DOORS, *TLS_DOORS])
def test_a_web_browser_gets_nothing(house: House, door: str, scheme: str) -> None:
    url = f"{scheme}://127.0.0.1:{house.server.ports[door]}/"
    done = subprocess.run(
        ["curl", "-sk", "--http0.9", "--max-time", "30", "--interface", "127.0.5.10", url],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout in (b"", b"220 mail.example.test ESMTP Ekiden\r\n", b"+OK mail.example.test POP3 ready\r\n")
    what = "http" if scheme == "http" or door in TLS_DOORS else "tls"
    assert house.told("door.wrong", door=door, what=what, client="127.0.5.10")


def test_ssh_gets_nothing(house: House) -> None:
    for door in ("relay", "submissions"):
        with house.dial(door, "127.0.6.10") as connection:
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            assert all_of(connection).count(b"\r\n") <= 1
        assert house.told("door.wrong", door=door, what="ssh")


def test_starttls_at_465_and_995_is_on_already(house: House) -> None:
    for door, command, answer in (
        ("submissions", b"STARTTLS\r\n", b"503 5.5.1 TLS is on already"),
        ("pop3s", b"STLS\r\n", b"-ERR TLS is on already"),
    ):
        with (
            house.dial(door, "127.0.7.10") as plain,
            house.context.wrap_socket(plain, server_hostname="localhost") as line,
        ):
            greeting_of(line)
            line.sendall(command)
            assert greeting_of(line).startswith(answer)
        assert house.told("door.wrong", door=door, what="starttls")


def test_a_server_that_brings_mail_to_587_is_told_25(house: House) -> None:
    with smtplib.SMTP("localhost", house.server.ports["submission"], "mx.else.test", PATIENCE) as client:
        client.starttls(context=house.context)
        client.ehlo()
        code, text = client.mail("someone@else.test")
        assert (code, b"port 25" in text) == (530, True)
    assert house.told("door.wrong", door="submission", what="no-login", client="127.0.0.1")


# --- the same after a reload ----------------------------------------------------------------------------------------


def test_rules_of_doors_change_with_a_reload(house: House) -> None:
    before = house.server.config_path.read_text()
    try:
        house.server.config_path.write_text(before.replace(SHUT_OUT, "127.0.0.67"))
        house.server.reload()

        def shut_out(source: str) -> bool:
            with house.dial("relay", source) as connection:
                return greeting_of(connection).startswith(b"554")

        eventually(lambda: shut_out("127.0.0.67"), "the new rule")
        assert not shut_out(SHUT_OUT)
    finally:
        house.server.config_path.write_text(before)
        house.server.reload()
        eventually(lambda: shut_out(SHUT_OUT), "the old rule")
