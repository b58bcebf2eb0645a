"""Next hops that refuse, stall, drop, babble and lie: what each comes to for the letter and for its sender.

All letters are handed in at once; each test then waits for its own.
"""

from __future__ import annotations

import json
import smtplib
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import Message
from typing import Any

import pytest

from ekiden.lab.mailprogram import fetch
from ekiden.lab.server import DOORS, LabServer, free_ports
from tests.integration.conftest import eventually
from tests.integration.next_hops import CUT, EXTENSIONS, SHORT_PAUSE, Peer, serving, sinks, start_patched

BOB = "bob@example.test"
CONTENT = b"Subject: the one\r\n\r\nhello\r\n.dot\r\n"

#: How `smtp-sink` misbehaves (option), at which command, and what that comes to, with the beginning of the last reply.
FAULTS: dict[tuple[str, str], tuple[str, str]] = {
    # a hard reply about us, not about the letter: it is tried again
    ("-f", "CONNECT"): ("delayed", "451 4.4.1"),
    ("-f", "EHLO"): ("relayed", "250 2.0.0"),  # HELO does
    ("-f", "MAIL"): ("failed", "500 5.3.0"),
    ("-f", "RCPT"): ("failed", "500 5.3.0"),
    ("-f", "DATA"): ("failed", "500 5.3.0"),
    ("-f", "."): ("failed", "500 5.3.0"),
    ("-r", "CONNECT"): ("delayed", "451 4."),
    ("-r", "EHLO"): ("delayed", "451 4."),
    ("-r", "MAIL"): ("delayed", "450 4.3.0"),
    ("-r", "RCPT"): ("delayed", "450 4.3.0"),
    ("-r", "DATA"): ("delayed", "450 4.3.0"),
    ("-r", "."): ("delayed", "450 4.3.0"),
    ("-q", "CONNECT"): ("delayed", "451 4.4.2"),
    ("-q", "EHLO"): ("delayed", "451 4.4.2"),
    ("-q", "MAIL"): ("delayed", "451 4.4.2"),
    ("-q", "RCPT"): ("delayed", "451 4.4.2"),
    ("-q", "DATA"): ("delayed", "451 4.4.2"),
    ("-q", "."): ("delayed", "451 4.4.2"),
    ("-Q", "CONNECT"): ("delayed", "451 4."),
    ("-Q", "EHLO"): ("delayed", "451 4."),
    ("-Q", "MAIL"): ("delayed", "421 4."),
    ("-Q", "RCPT"): ("delayed", "421 4."),
    ("-Q", "DATA"): ("delayed", "421 4."),
    ("-Q", "."): ("delayed", "421 4."),
    ("-A", "0"): ("failed", "550 5.0.0"),  # behind its 354, and it reads no more
    # slow is no fault (not MAIL and RCPT: smtp-sink answers what is pipelined behind them first)
    ("-w", "1"): ("relayed", "250 2.0.0"),
    ("-W", "EHLO:1"): ("relayed", "250 2.0.0"),
    ("-W", ".:1"): ("relayed", "250 2.0.0"),
}


def fault_domain(option: str, command: str) -> str:
    kind = {
        "-f": "hard",
        "-r": "soft",
        "-q": "hangup",
        "-A": "abort",
        "-Q": "goodbye",
        "-w": "slow-data",
        "-W": "slow",
    }[option]
    return f"{kind}-{command.lower().replace('.', 'dot').replace(':', '-')}.test"


#: Peers of our own making, by domain.
def make_peers() -> dict[str, Peer]:
    plain = [word for word in EXTENSIONS if word not in ("SMTPUTF8", "8BITMIME")]
    return {
        "down.test": Peer(),  # begins to listen when its test says so
        "lost-answer.test": Peer({".": [CUT]}),
        "babble-greeting.test": Peer({"CONNECT": "HTTP/1.1 400 Bad Request"}),
        "babble-mail.test": Peer({"MAIL": "\x00\xff maybe"}),
        "babble-dot.test": Peer({".": ["hm?"]}),
        "endless-line.test": Peer({"MAIL": "250" + "-" + "x" * 300_000}),
        "odd-code.test": Peer({"RCPT": "999 9.9.9 what"}),
        "early-354.test": Peer({"RCPT": "354 go on"}),
        "goodbye-once.test": Peer({"MAIL": ["421 4.3.2 not now"]}),
        "ascii.test": Peer(extensions=[*plain, "8BITMIME"]),
        "seven-bit.test": Peer(extensions=plain),
        "small.test": Peer(extensions=["SIZE 1000"]),
        "many.test": Peer(most_recipients=40),
        "mixed.test": Peer({"RCPT TO:<NO@": "550 5.1.1 nobody", "RCPT TO:<LATER@": "450 4.2.1 later"}),
        "moody.test": Peer({"MAIL": CUT}),
        "gate.test": Peer({"CONNECT": "554 5.7.1 go away"}),
        "busy.test": Peer({"CONNECT": "421 4.3.2 busy"}),
        "fanned.test": Peer(),
        **{f"d{number}.test": Peer() for number in range(30)},
    }


@dataclass
class World:
    server: LabServer
    password: str
    peers: dict[str, Peer]
    letters: dict[str, str] = field(default_factory=dict)  # domain -> letter id

    def send(self, name: str, to: list[str], content: bytes = CONTENT, options: tuple[str, ...] = ()) -> None:
        with smtplib.SMTP("127.0.0.1", self.server.ports["relay"], local_hostname="client.test") as client:
            client.ehlo()
            client.mail(BOB, list(options))
            for one in to:
                code, text = client.docmd(f"RCPT TO:<{one}>") if one.isascii() else self._utf8(client, one)
                assert code == 250, (one, text)
            code, text = client.data(content)
            assert code == 250, text
            self.letters[name] = text.decode().split()[-1]

    @staticmethod
    def _utf8(client: smtplib.SMTP, to: str) -> tuple[int, bytes]:
        client.command_encoding = "utf-8"
        return client.docmd(f"RCPT TO:<{to}>")

    def events(self, name: str, kind: str) -> list[dict[str, Any]]:
        lines = self.server.log_path.read_text().splitlines()
        found = [json.loads(line) for line in lines if self.letters[name] in line]
        return [line for line in found if line["event"] == kind]

    def attempts(self, name: str) -> list[dict[str, Any]]:
        return self.events(name, "attempt.finished")

    def attempt(self, name: str) -> dict[str, Any]:
        """The first."""
        found = eventually(lambda: self.attempts(name), f"an attempt for {name}")
        assert isinstance(found, list)
        first: dict[str, Any] = found[0]
        return first

    def report(self, about: str, action: str = "failed") -> Message:
        """The one about that forward-path, taken apart."""

        context = ssl.create_default_context(cafile=str(self.server.certificate))

        def arrived() -> Message | None:
            for octets in fetch(self.server.ports["pop3s"], context, BOB, self.password):
                message = message_from_bytes(octets, policy=policy.default)
                for fields in status_fields(message)[1:]:
                    if about in str(fields["Final-Recipient"]) and fields["Action"] == action:
                        return message
            return None

        found = eventually(arrived, f"a report about {about}")
        assert isinstance(found, Message)
        return found


def status_fields(message: Message) -> list[Message]:
    """The groups of fields of the delivery status: the letter's, then one a recipient."""
    if message.get_content_type() != "multipart/report":
        return []
    status = message.get_payload(1)
    assert isinstance(status, Message)
    groups = status.get_payload()
    assert isinstance(groups, list)
    if status.get_content_subtype() == "delivery-status":
        return groups
    # RFC 6533's form is taken for a whole message by the standard library: its header section and its body
    more = groups[0].get_payload(decode=True)
    assert isinstance(more, bytes)
    parts = more.replace(b"\r\n", b"\n").strip().split(b"\n\n")
    return [groups[0], *(message_from_bytes(part + b"\n", policy=policy.default) for part in parts)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    peers = make_peers()
    spare = free_ports(len(peers) + len(FAULTS) + len(DOORS) + 1)  # at once, or one could be given twice
    for peer in peers.values():
        peer.port = spare.pop()
    faults = {fault_domain(*fault): spare.pop() for fault in FAULTS}
    ports = {name: peer.port for name, peer in peers.items()} | faults
    routes = [f'[[route]]\nmatch = "{name}"\nto = "smtp://127.0.0.1:{port}"\n' for name, port in ports.items()]
    closed = spare.pop()
    order = [closed, *(peers[name].port for name in ("gate.test", "busy.test", "d0.test", "d1.test"))]
    targets = ", ".join(f'"smtp://127.0.0.1:{port}"' for port in order)
    routes.append(f'[[route]]\nmatch = "order.test"\nto = [{targets}]\n')
    pair = ", ".join(f'"smtp://127.0.0.1:{peers[name].port}"' for name in ("moody.test", "d2.test"))
    routes.append(f'[[route]]\nmatch = "moody-first.test"\nto = [{pair}]\n')
    server = LabServer(
        tmp_path_factory.mktemp("next-hops") / "home",
        "example.test",
        ports=dict(zip(DOORS, spare, strict=True)),
        extra='relay = { trusted_networks = ["127.0.0.1"] }\ndelivery = { retry_first = "1s", retry_factor = 1.0 }',
        tables="\n".join(routes),
    )
    server.prepare()
    world = World(server, server.add_account("bob"), peers)
    server.add_account("alice")
    server.command("alias", "add", "team@example.test", "bob@example.test", "alice@example.test", "x@fanned.test")
    with ExitStack() as stack:
        listening = [peer for name, peer in peers.items() if name != "down.test"]
        stack.enter_context(serving(*listening))
        stack.callback(peers["down.test"].stop)
        stack.enter_context(sinks({faults[fault_domain(*fault)]: (fault[0], fault[1]) for fault in FAULTS}))
        start_patched(server, SHORT_PAUSE)
        stack.callback(server.stop)
        hand_in(world, list(faults))
        yield world


def hand_in(world: World, faults: list[str]) -> None:
    for name in [*faults, "order.test", "moody-first.test", "down.test", "lost-answer.test", "goodbye-once.test"]:
        world.send(name, [f"x@{name}"])
    for name in ("babble-greeting", "babble-mail", "babble-dot", "endless-line", "odd-code", "early-354"):
        world.send(f"{name}.test", [f"x@{name}.test"])
    world.send("ascii.test", ["grün@ascii.test"], options=("SMTPUTF8",))
    world.send("seven-bit.test", ["x@seven-bit.test"], "Subject: 8\r\n\r\ngrün\r\n".encode(), ("BODY=8BITMIME",))
    world.send("small.test", ["x@small.test"], CONTENT * 100)
    world.send("many.test", [f"u{number}@many.test" for number in range(300)])
    world.send("mixed.test", ["yes@mixed.test", "no@mixed.test", "later@mixed.test"])
    world.send("thirty", [f"x@d{number}.test" for number in range(30)])
    world.send("team", ["team@example.test"])


@pytest.mark.peer("smtp-sink")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_each_command(world: World, fault: tuple[str, str]) -> None:
    name = fault_domain(*fault)
    kind, reply = FAULTS[fault]
    attempt = world.attempt(name)
    assert attempt["outcomes"] == {kind: 1}
    assert attempt["reply"].startswith(reply)
    assert bool(attempt.get("next_attempt")) == (kind == "delayed")
    assert bool(world.events(name, "duplicate.possible")) == (fault == ("-q", "."))
    if kind == "failed":
        fields = status_fields(world.report(f"x@{name}"))[1]
        assert fields["Status"] == reply.split()[1]
        assert fields["Diagnostic-Code"].startswith(f"smtp; {reply}")


def test_a_server_that_is_down_gets_its_letter_when_it_is_up(world: World) -> None:
    attempt = world.attempt("down.test")
    assert attempt["outcomes"] == {"delayed": 1}
    assert "efused" in attempt["reply"]
    peer = world.peers["down.test"]
    peer.start()
    eventually(lambda: peer.paths == ["x@down.test"], "the letter at the server that is up again")


def test_a_lost_answer_after_the_final_dot_makes_one_duplicate(world: World) -> None:
    peer = world.peers["lost-answer.test"]
    assert world.attempt("lost-answer.test")["outcomes"] == {"delayed": 1}
    eventually(lambda: len(world.attempts("lost-answer.test")) == 2, "the second attempt")
    assert [attempt["outcomes"] for attempt in world.attempts("lost-answer.test")] == [{"delayed": 1}, {"relayed": 1}]
    first, second = peer.letters
    assert first == second


@pytest.mark.parametrize(
    "name", ["babble-greeting", "babble-mail", "babble-dot", "endless-line", "odd-code", "early-354"]
)
def test_garbage_delays_and_never_fails(world: World, name: str) -> None:
    attempt = world.attempt(f"{name}.test")
    assert attempt["outcomes"] == {"delayed": 1}
    assert len(attempt["reply"]) < 2000
    assert attempt["reply"].isprintable()


def test_a_goodbye_before_the_content_goes_again(world: World) -> None:
    peer = world.peers["goodbye-once.test"]
    eventually(lambda: peer.paths, "the letter")
    assert len(peer.letters) == 1


def test_targets_are_tried_in_order(world: World) -> None:
    attempt = world.attempt("order.test")
    assert attempt["outcomes"] == {"relayed": 1}
    assert attempt["remote"].endswith(f"127.0.0.1:{world.peers['d0.test'].port})")
    assert "x@order.test" not in world.peers["d1.test"].paths


def test_a_target_that_hangs_up_on_every_letter_gives_way(world: World) -> None:
    assert world.attempt("moody-first.test")["outcomes"] == {"relayed": 1}
    assert world.peers["moody.test"].sessions == 1


def test_smtputf8_for_a_server_without_it_is_reported_in_its_own_form(world: World) -> None:
    message = world.report("grün@ascii.test")
    assert message.get_payload(1).get_content_type() == "message/global-delivery-status"  # type: ignore[union-attr]
    fields = status_fields(message)[1]
    assert fields["Final-Recipient"].startswith("utf-8;")
    assert fields["Status"] == "5.6.7"
    assert not any(line.startswith("MAIL") for line in world.peers["ascii.test"].lines)


def test_eight_bits_for_a_server_without_8bitmime(world: World) -> None:
    assert status_fields(world.report("x@seven-bit.test"))[1]["Status"] == "5.6.3"
    assert not world.peers["seven-bit.test"].letters


def test_a_letter_larger_than_the_server_takes(world: World) -> None:
    assert status_fields(world.report("x@small.test"))[1]["Status"] == "5.3.4"
    assert not world.peers["small.test"].letters


def test_three_hundred_recipients_at_a_server_that_takes_forty(world: World) -> None:
    peer = world.peers["many.test"]
    assert world.attempt("many.test")["outcomes"] == {"relayed": 300}
    assert Counter(peer.paths) == Counter(f"u{number}@many.test" for number in range(300))


def test_each_recipient_has_an_outcome_of_its_own(world: World) -> None:
    assert world.attempt("mixed.test")["outcomes"] == {"relayed": 1, "failed": 1, "delayed": 1}
    report = world.report("no@mixed.test")
    assert [fields["Final-Recipient"] for fields in status_fields(report)[1:]] == ["rfc822; no@mixed.test"]
    assert Counter(world.peers["mixed.test"].paths) == Counter(["yes@mixed.test"])


def test_thirty_domains(world: World) -> None:
    for number in range(30):
        peer = world.peers[f"d{number}.test"]
        eventually(lambda peer=peer, number=number: f"x@d{number}.test" in peer.paths, f"the letter at d{number}.test")
        assert peer.paths.count(f"x@d{number}.test") == 1


def test_an_alias_goes_everywhere_once(world: World) -> None:
    peer = world.peers["fanned.test"]
    eventually(lambda: peer.paths == ["x@fanned.test"], "the letter of the alias")
    eventually(lambda: sum(a["outcomes"].get("delivered", 0) for a in world.attempts("team")) == 2, "both mailboxes")
