"""What somebody with bad intentions sends to a running server, and what must come of it: nothing.

Each test names what it guards (DESIGN §8). The machine's own view of the same is in tests/dialog and tests/unit.
"""

from __future__ import annotations

import base64
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Town, eventually, make_town
from tests.integration.hostile_peer import HostilePeer, serving

ALICE, BOB, CAROL = "alice@example.test", "bob@example.test", "carol@far.test"
ENVELOPE = b"MAIL FROM:<mallory@evil.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\n"


class Line:
    """A connection to a door, seen as octets."""

    def __init__(self, town: Town, door: str, *, tls: bool = False) -> None:
        self.town = town
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", town.home.ports[door]), timeout=30)
        if tls:
            self.wrap()
        self.greeting = self.reply()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def wrap(self) -> None:
        self.socket = self.town.context(self.town.home).wrap_socket(self.socket, server_hostname="localhost")

    def reply(self) -> bytes:
        """One SMTP reply (or a POP3 line); what came before the end, if it ended."""
        octets = b""
        while not (octets.endswith(b"\r\n") and octets.splitlines()[-1][3:4] != b"-"):
            octet = self.socket.recv(1)
            if not octet:
                break
            octets += octet
        return octets

    def talk(self, octets: bytes) -> bytes:
        self.socket.sendall(octets)
        return self.reply()

    def rest(self) -> bytes:
        """All that comes until the server closes."""
        octets = b""
        try:
            while piece := self.socket.recv(65_536):
                octets += piece
        except ConnectionResetError:
            pass
        return octets

    def log_in(self, login: str = ALICE) -> bytes:
        self.talk(b"EHLO client.test\r\n")
        return self.talk(b"AUTH PLAIN %b\r\n" % plain(login, self.town.passwords[login]))


def plain(login: str, password: str) -> bytes:
    return base64.b64encode(f"\0{login}\0{password}".encode())


def worker_of(town: Town) -> int:
    process = town.home.process
    assert process is not None
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def wait_for_empty_queue(*towns: Town) -> None:
    for town in towns:
        for server in (town.home, town.away):
            eventually(
                lambda server=server: server.command("queue", "list", "--json").stdout == "[]\n", "an empty queue"
            )


# -- invariant 3: never an open relay

SPELLINGS = [
    "<carol@far.test>",
    "<CAROL@FAR.TEST>",
    "<carol@far.test.>",
    "<carol%far.test@example.test>",
    "<carol%far.test@mail.example.test>",
    "<carol%far.test@[127.0.0.1]>",
    "<carol%far.test>",
    "<far.test!carol@example.test>",
    "<far.test!carol>",
    '<"carol@far.test"@example.test>',
    '<"carol@far.test">',
    '<"carol%far.test"@example.test>',
    '<"far.test!carol"@example.test>',
    "<carol\\@far.test@example.test>",
    "<carol@far.test@example.test>",
    "<bob@example.test@far.test>",
    "<@example.test:carol@far.test>",
    "<@example.test,@mail.example.test:carol@far.test>",
    "<@far.test:carol%far.test@example.test>",
    "<carol@[127.0.0.1]>",
    "<carol@[127.0.0.2]>",
    "<carol@[IPv6:::1]>",
    "<carol@[IPv6:::ffff:127.0.0.1]>",
    "<carol@example.test.far.test>",
    "<bob@example.test,carol@far.test>",
    "<bob@example.test>,<carol@far.test>",
    "<bob@example.test> <carol@far.test>",
    "<postmaster@far.test>",
    "<postmaster%far.test>",
    "<postmaster@far.test@>",
    "<carol@ｆａｒ.test>",
    "<carol@far。test>",
    "carol@far.test",
    "<carol@far.test",
    "<>",
]


@pytest.mark.parametrize("path", SPELLINGS)
def test_no_spelling_makes_us_relay(town: Town, path: str) -> None:
    for sender in ("mallory@evil.test", ALICE, ""):
        with Line(town, "relay") as line:
            line.talk(b"EHLO localhost\r\n")
            assert line.talk(f"MAIL FROM:<{sender}> SMTPUTF8\r\n".encode()).startswith(b"250")
            assert line.talk(f"RCPT TO:{path}\r\n".encode())[:1] == b"5"
            assert line.talk(b"DATA\r\n")[:1] == b"5"


def test_a_stranger_is_not_believed_where_he_comes_from(town: Town) -> None:
    for said in (b"PROXY TCP4 127.0.0.1 127.0.0.1 1 25", b"XCLIENT ADDR=127.0.0.1 LOGIN=alice", b"XFORWARD ADDR=::1"):
        with Line(town, "relay") as line:
            if said.startswith(b"PROXY"):
                line.socket.sendall(said + b"\r\nEHLO mail.example.test\r\n")
                assert line.rest() == b""  # closed at once
                continue
            assert line.talk(said + b"\r\n").startswith(b"500 ")
            line.talk(b"EHLO mail.example.test\r\n")
            line.talk(b"MAIL FROM:<alice@example.test> AUTH=alice@example.test\r\n")
            assert line.talk(b"RCPT TO:<carol@far.test>\r\n").startswith(b"550-5.7.1")


def test_a_web_request_is_not_a_session(town: Town) -> None:
    with Line(town, "relay") as line:
        line.socket.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\n" + ENVELOPE)
        assert line.rest() == b""
    with Line(town, "relay") as line:  # in pieces
        line.socket.sendall(b"EHLO x\r\n")
        line.reply()
        line.socket.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO x\r\n" + ENVELOPE)
        assert line.rest().startswith(b"421 4.7.0 ")


# -- invariants 4 and 5: TLS, logins


@pytest.mark.parametrize(("door", "command"), [("relay", b"STARTTLS"), ("submission", b"STARTTLS"), ("pop3", b"STLS")])
def test_octets_behind_starttls(town: Town, door: str, command: bytes) -> None:
    injected = b"NOOP\r\n" if door == "pop3" else b"EHLO evil\r\nMAIL FROM:<evil@evil.test>\r\n"
    with Line(town, door) as line:  # in the same segment
        if door != "pop3":
            line.talk(b"EHLO c\r\n")
        line.socket.sendall(command + b"\r\n" + injected)
        answer = line.rest()
        assert answer.startswith(b"-ERR" if door == "pop3" else b"554 5.5.1")
        assert answer.count(b"\r\n") == 1
    with Line(town, door) as line:  # between our 220 and the handshake
        if door != "pop3":
            line.talk(b"EHLO c\r\n")
        assert line.talk(command + b"\r\n")[:3] in (b"220", b"+OK")
        line.socket.sendall(injected)
        assert b"\r\n" not in line.rest().replace(b"\x15\x03", b"")  # an alert at most, never an answer
    with Line(town, door) as line:  # what was said before the handshake is forgotten
        if door != "pop3":
            line.talk(b"EHLO c\r\n")
        line.talk(command + b"\r\n")
        line.wrap()
        if door != "pop3":
            assert line.talk(b"MAIL FROM:<a@evil.test>\r\n").startswith(b"503")


def test_no_login_in_clear(town: Town) -> None:
    secret = plain(ALICE, town.passwords[ALICE])
    for door, code in (("relay", b"502-5.5.1"), ("submission", b"530 5.7.0")):
        with Line(town, door) as line:
            assert b"AUTH" not in line.talk(b"EHLO c\r\n")
            assert line.talk(b"AUTH PLAIN " + secret + b"\r\n").startswith(code)
            assert line.talk(b"AUTH LOGIN\r\n").startswith(code)
    with Line(town, "pop3") as line:
        assert line.talk(b"USER alice\r\n").startswith(b"-ERR")
        assert line.talk(b"PASS " + town.passwords[ALICE].encode() + b"\r\n").startswith(b"-ERR")
        assert line.talk(b"AUTH PLAIN " + secret + b"\r\n").startswith(b"-ERR")
    with Line(town, "relay") as line:  # TLS makes no login door of port 25
        line.talk(b"EHLO c\r\n")
        line.talk(b"STARTTLS\r\n")
        line.wrap()
        assert b"AUTH" not in line.talk(b"EHLO c\r\n")
        assert line.talk(b"AUTH PLAIN " + secret + b"\r\n").startswith(b"502-5.5.1")


@pytest.mark.parametrize("door", ["submissions", "pop3s"])
def test_guessing_ends_the_session(town: Town, door: str) -> None:
    with Line(town, door, tls=True) as line:
        if door == "submissions":
            line.talk(b"EHLO c\r\n")
        answers = set()
        for login in (ALICE, "nobody@example.test", "../../alice@example.test"):
            answers.add(line.talk(b"AUTH PLAIN " + plain(login, "wrong password") + b"\r\n"))
        assert len(answers) == 2  # the same to a known and an unknown login; then the last
        assert line.rest() == b""


# -- smuggling: only CRLF.CRLF ends DATA (RFC 5321 §4.1.1.4). The sequences are those of the known tools.

NOT_THE_END = [
    b"\n.\n",
    b"\n.\r",
    b"\r.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
]


@pytest.mark.parametrize("sequence", NOT_THE_END)
def test_smuggling_by_a_stranger(town: Town, sequence: bytes) -> None:
    before = len(town.read(BOB))
    with Line(town, "relay") as line:
        line.talk(b"EHLO c\r\n")
        line.socket.sendall(ENVELOPE)
        assert [line.reply()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        line.socket.sendall(
            b"Subject: one\r\n\r\nfirst" + sequence + ENVELOPE + b"Subject: two\r\n\r\nsmuggled\r\n.\r\n"
        )
        assert line.rest().startswith(b"550 5.5.2")
    wait_for_empty_queue(town)
    assert len(town.read(BOB)) == before


@pytest.mark.parametrize("sequence", NOT_THE_END)
def test_smuggling_through_us(town: Town, sequence: bytes) -> None:
    """A login may send bare LFs. They are mended, and what is passed on has one end for everybody."""
    token = f"token-{sequence.hex()}"
    envelope = b"MAIL FROM:<alice@example.test>\r\nRCPT TO:<carol@far.test>\r\nDATA\r\n"
    content = (
        f"From: {ALICE}\r\nSubject: one\r\n\r\n{token}".encode()
        + sequence
        + envelope
        + b"\r\nsmuggled "
        + token.encode()
    )
    with Line(town, "submissions", tls=True) as line:
        assert line.log_in().startswith(b"235")
        line.socket.sendall(envelope)
        assert [line.reply()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        line.socket.sendall(content + b"\r\n.\r\n")
        answer = line.reply()
        if answer.startswith(b"550"):
            assert line.rest() == b""
            return
        assert answer.startswith(b"250 2.0.0 Queued")
        assert line.talk(b"NOOP\r\n").startswith(b"250 2.0.0 Ok")  # nothing else was answered
    assert b"\r" not in sequence.replace(b"\r\n", b"")
    assert b"\0" not in sequence
    letter = town.wait_for(CAROL, token)
    wait_for_empty_queue(town)
    assert sum(token.encode() in other for other in town.read(CAROL)) == 1
    # a dot behind CRLF was a stuffed one, and went (RFC 5321 §4.5.2)
    assert (b"\r\nMAIL FROM" if sequence.startswith(b"\r\n.") else b"\r\n.\r\nMAIL FROM") in letter
    assert letter.endswith(b"smuggled " + token.encode() + b"\r\n")


def test_content_before_our_354_is_no_content(town: Town) -> None:
    with Line(town, "relay") as line:
        line.talk(b"EHLO c\r\n")
        line.socket.sendall(ENVELOPE + b"Subject: early\r\n\r\n.\r\nQUIT\r\n")
        answer = line.rest()
        assert b"354" not in answer
        assert answer.splitlines()[-1].startswith(b"554 5.5.0")


# -- invariant 6: limits


def test_what_bad_input_gets(town: Town) -> None:
    with Line(town, "relay") as line:
        assert line.talk(b"DATA\r\n").startswith(b"503 5.5.1")
        line.talk(b"EHLO c\r\n")
        assert line.talk(b"HULLO\r\n").startswith(b"500 5.5.1")
        assert line.talk(b"NOOP " + b"x" * 600 + b"\r\n").startswith(b"500 5.5.2")
        assert line.talk(b"MAIL TO:<a@evil.test>\r\n").startswith(b"501 5.5.4 Expected MAIL FROM:<address>")
        assert line.talk(b"MAIL FROM:<a@evil.test> SIZE=99999999999\r\n").startswith(b"552 5.3.4")
        line.talk(b"MAIL FROM:<a@evil.test>\r\n")
        codes = [line.talk(b"RCPT TO:<nobody%d@example.test>\r\n" % number)[:9] for number in range(30)]  # no errors
        assert codes == [b"550 5.1.1"] * 20 + [b"450 4.7.1"] * 10
        assert line.talk(b"RCPT TO:<bob@example.test>\r\n").startswith(b"250")
        answers = [line.talk(b"RCPT TO:bob\r\n")[:3] for _ in range(6)]
        assert answers == [b"501"] * 5 + [b"421"]
        assert line.rest() == b""


def test_recipients_without_end_and_two_large_letters_take_little_memory(town: Town) -> None:
    with Line(town, "relay") as line:
        line.talk(b"EHLO c\r\n")
        line.talk(b"MAIL FROM:<>\r\n")
        codes: list[bytes] = []
        while b"421" not in codes:
            line.socket.sendall(b"".join(b"RCPT TO:<bob+%d@example.test>\r\n" % (len(codes) + n) for n in range(100)))
            for _ in range(100):
                codes.append(line.reply()[:3])
                if codes[-1] == b"421":
                    break
        # Those accepted, as many beyond them (a list that was too long), and then the limit of commands.
        assert codes == [b"250"] * 1000 + [b"452"] * (1000 + 197) + [b"421"]
    block = (b"x" * 998 + b"\r\n") * 64
    for door, recipient in (("relay", BOB), ("submissions", CAROL)):
        with Line(town, door, tls=door == "submissions") as line:
            if door == "submissions":
                line.log_in()
            line.talk(b"EHLO c\r\n")
            line.talk(b"MAIL FROM:<alice@example.test>\r\n")
            assert line.talk(f"RCPT TO:<{recipient}>\r\n".encode()).startswith(b"250")
            line.talk(b"DATA\r\n")
            line.socket.sendall(b"From: alice@example.test\r\nSubject: large\r\n\r\n")
            for _ in range(750):  # 48 MB
                line.socket.sendall(block)
            assert line.talk(b".\r\n").startswith(b"250 2.0.0 Queued")
    wait_for_empty_queue(town)
    status = Path(f"/proc/{worker_of(town)}/status").read_text()
    most = int(status.partition("VmHWM:")[2].split()[0]) // 1024
    assert most < 160  # MiB; 45 when it has just started


def test_no_descriptor_stays_behind(town: Town) -> None:
    folder = Path(f"/proc/{worker_of(town)}/fd")
    town.read(BOB)  # so that what is opened once is open
    before = len(os.listdir(folder))
    for number in range(400):
        door = ("relay", "submission", "submissions", "pop3", "pop3s")[number % 5]
        with socket.create_connection(("127.0.0.1", town.home.ports[door]), timeout=30) as connection:
            if number % 3:
                connection.sendall(b"EHLO c\r\nSTARTTLS\r\n\x16\x03\x01")
    eventually(lambda: len(os.listdir(folder)) <= before + 3, "descriptors closed")


def test_who_is_silent_does_not_stop_the_others(town: Town) -> None:
    silent = [socket.create_connection(("127.0.0.1", town.home.ports["submissions"])) for _ in range(200)]
    try:
        for connection in silent[:100]:
            connection.sendall(b"\x16\x03\x01\x02\x00\x01")  # half a ClientHello
        with Line(town, "submissions", tls=True) as line:
            assert line.log_in().startswith(b"235")
    finally:
        for connection in silent:
            connection.close()


# -- what is written: log, files, header fields, reports, the terminal


def test_the_log_holds_no_secret_and_no_line_of_a_stranger(town: Town) -> None:
    name = b'x","event":"login.succeeded","a":"\\'
    with Line(town, "relay") as line:
        line.talk(b"EHLO " + name + b"\r\n")
        line.talk(b'MAIL FROM:<"\\"},{\\\\ \xe2\x80\xae\xf0\x9f\x98\x80"@evil.test> SMTPUTF8\r\n')
        line.talk(b"RCPT TO:<nobody@example.test>\r\n")
        line.talk(b"RCPT TO:<bob@example.test>\r\n")
        line.talk(b"DATA\r\n")
        assert line.talk(b"Message-ID: <\x1b[31m\xc2\x9b31m@x>\r\nSubject: noted\r\n\r\n.\r\n").startswith(b"250")
    misplaced = "correct-horse-battery"
    with Line(town, "submissions", tls=True) as line:
        line.log_in()
    with Line(town, "submissions", tls=True) as line:
        line.talk(b"EHLO c\r\n")
        line.talk(b"AUTH PLAIN " + plain(misplaced, ALICE) + b"\r\n")
        line.talk(b"AUTH PLAIN " + plain("\x9b31m\u202e\n@example.test", "x") + b"\r\n")
    town.wait_for(BOB, "Subject: noted")
    eventually(lambda: "202e" in town.home.log_path.read_text().rpartition("login.failed")[2], "the events")
    text = town.home.log_path.read_text()
    for line_of_log in text.splitlines():
        assert line_of_log.isprintable()
        assert "pid" in json.loads(line_of_log)
    secrets = [*town.passwords.values(), misplaced]
    secrets += [plain(login, password).decode() for login, password in town.passwords.items()]
    secrets += [base64.b64encode(password.encode()).decode() for password in town.passwords.values()]
    assert not [secret for secret in secrets if secret in text]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().decode("utf-8", "replace")
        except OSError:  # it is over
            continue
        assert not any(password in command for password in town.passwords.values())


def test_nobody_else_may_read_what_we_keep(town: Town) -> None:
    folder = town.home.folder
    open_ones = [path for path in (folder / "data").rglob("*") if path.lstat().st_mode & 0o077]
    assert open_ones == []
    assert not town.home.log_path.stat().st_mode & 0o027


@pytest.mark.parametrize(
    "name", ["x) by evil.test (y", "a;b", "evil.test\t(\\", "[1.2.3.4] (trusted", "x" * 255, '"<>"@,:;']
)
def test_no_helo_name_makes_a_field_of_its_own(town: Town, name: str) -> None:
    token = f"helo-{name.encode().hex()[:40]}"
    with Line(town, "relay") as line:
        line.talk(f"EHLO {name}\r\n".replace("\t", " ").encode())
        line.socket.sendall(ENVELOPE)
        assert [line.reply()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        assert line.talk(f"Subject: {token}\r\n\r\n.\r\n".encode()).startswith(b"250")
    letter = town.wait_for(BOB, token)
    names = [
        field.partition(b":")[0] for field in letter.partition(b"\r\n\r\n")[0].split(b"\r\n") if field[:1] not in b"\t "
    ]
    assert names == [b"Return-Path", b"Delivered-To", b"Received", b"Subject"]
    received = letter.partition(b"Received:")[2].partition(b"Subject:")[0]
    unescaped = received.replace(b"\\\\", b"").replace(b"\\(", b"").replace(b"\\)", b"")
    assert unescaped.count(b"(") == unescaped.count(b")") == 1


HOSTILE = "550-5.1.1 no\x1b[2Jsuch\x9b31m \x07user\r\n550 5.1.1 Subject: pwned\x00\r550 \u202e\r\n".encode()


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, HostilePeer]]:
    """A town whose `hostile.test` answers with what a terminal obeys."""
    peer = HostilePeer(answers={"RCPT TO:<NO": HOSTILE})
    tables = f'[[route]]\nmatch = "hostile.test"\nto = "smtp://127.0.0.1:{peer.port}"\n'
    town = make_town(tmp_path_factory.mktemp("beside"), home_tables=tables)
    try:
        with serving(peer):
            yield town, peer
    finally:
        for server in (town.home, town.away):
            server.stop()


def submit(town: Town, sender: str, recipient: str, subject: str) -> str:
    """`recipient`: with its parameters. The letter's id."""
    with Line(town, "submissions", tls=True) as line:
        line.log_in()
        assert line.talk(f"MAIL FROM:{sender}\r\n".encode()).startswith(b"250")
        assert line.talk(f"RCPT TO:{recipient}\r\n".encode()).startswith(b"250")
        line.talk(b"DATA\r\n")
        answer = line.talk(f"From: {ALICE}\r\nSubject: {subject}\r\n\r\n.\r\n".encode())
        assert answer.startswith(b"250")
        return answer.split()[-1].decode()


def test_a_hostile_reply_is_shown_and_obeyed_by_nobody(beside: tuple[Town, HostilePeer]) -> None:
    town, _ = beside
    letter = submit(town, f"<{ALICE}>", "<no@hostile.test>", "=?utf-8?q?a=0D=0ABcc:_x=1B[31m?=")
    report = town.wait_for(ALICE, letter)
    assert all(octet >= 32 or octet in b"\r\n\t" for octet in report)
    assert b"\r\n550" not in report
    assert b"\r\nBcc:" not in report
    assert b"\r\nSubject: pwned" not in report
    for command in (("trace", letter), ("trace", letter, "--json"), ("queue", "list")):
        shown = town.home.command(*command).stdout
        assert all(line.isprintable() for line in shown.splitlines())


def test_what_hides_line_ends_is_refused(town: Town) -> None:
    with Line(town, "relay") as line:
        line.talk(b"EHLO c\r\n")
        assert line.talk(b"MAIL FROM:<a@evil.test> ENVID=x+0D+0ABcc:y\r\n").startswith(b"501")
        line.talk(b"MAIL FROM:<a@evil.test>\r\n")
        for parameter in (b"ORCPT=rfc822;a+0D+0ABcc:b", b"ORCPT=rfc822;a+1B[2J", b"ORCPT=x:y;a", b"NOTIFY=NEVER,DELAY"):
            assert line.talk(b"RCPT TO:<bob@example.test> " + parameter + b"\r\n").startswith(b"501")


# -- invariant 9: no backscatter, no loops


def test_who_wants_no_report_or_cannot_have_one_gets_none(beside: tuple[Town, HostilePeer]) -> None:
    town, peer = beside
    before = len(town.read(ALICE))
    submit(town, "<>", "<no.null@hostile.test>", "null")
    submit(town, f"<{ALICE}>", "<no.never@hostile.test> NOTIFY=NEVER", "never")
    submit(town, f"<{ALICE}>", "<yes@hostile.test> NOTIFY=NEVER", "taken")
    eventually(lambda: b"Subject: taken" in b"".join(peer.letters), "the letter that is taken")
    wait_for_empty_queue(town)
    assert len(town.read(ALICE)) == before
    log = town.home.log_path.read_text()
    assert "no.null@hostile.test" in log
    assert "no.never@hostile.test" in log


def test_aliases_in_a_circle_end(beside: tuple[Town, HostilePeer]) -> None:
    """By hops (RFC 5321 §6.3): two servers' aliases lead to each other. The sender hears of it once."""
    town, _ = beside
    for server, name, target in (
        (town.home, "ping@example.test", "pong@far.test"),
        (town.away, "pong@far.test", "ping@example.test"),
    ):
        server.command("alias", "add", name, target)
    before = len(town.read(ALICE))
    submit(town, f"<{ALICE}>", "<ping@example.test>", "in a circle")
    submit(town, "<>", "<ping@example.test>", "in a circle, and nobody to tell")
    eventually(lambda: len(town.read(ALICE)) > before, "a report")
    wait_for_empty_queue(town)
    reports = town.read(ALICE)[before:]
    assert len(reports) == 1
    assert all(b"5.4.6" in report for report in reports)
