"""Who calls on port 25, on a running server with two workers, asking lists that a real name server serves."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ekiden.lab.nameserver import LabNameServer
from ekiden.lab.server import LabServer
from tests.integration.test_supervisor import PATIENCE, events, until

LISTED, PLAIN, SAVED = "127.0.0.9", "127.0.0.10", "127.0.0.11"
HEALTHY = ["2.0.0.127.{0} A 127.0.0.2", "2.0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20 + ".{0} A 127.0.0.2"]
STRANGERS = 'strangers = ["127.0.0.8/29"]\n'


def healthy(zone: str, *records: str) -> list[str]:
    return [line.format(zone) for line in HEALTHY] + list(records)


def entry(zone: str, more: str = "") -> str:
    return (
        f'[[dnsbl]]\nzone = "{zone}.lists.test"\ncodes = {{"127.0.0.2" = 5}}\n'
        f'page = "https://{zone}.lists.test/?{{ip}}"\n{more}\n'
    )


class Post:
    """A server and its name server. `records`: what the lists say."""

    def __init__(self, folder: Path) -> None:
        self.names = LabNameServer(folder / "names", "lists.test", [])
        self.server = LabServer(folder / "home", "example.test", workers=2)
        self._moves = 0
        self._folder = folder

    def serve_lists(self, records: list[str]) -> None:
        """On the same port, instead of what was served before."""
        self.names.stop()
        self._moves += 1
        self.names.folder = self._folder / f"names{self._moves}"
        self.names.records = records
        self.names.start()

    def start(self, callers: str, lists: str = "") -> None:
        dns = f'[dns]\nnameservers = ["127.0.0.1:{self.names.port}"]\ntimeout = "2s"\n'
        self.server.tables = f"{dns}[callers]\n{STRANGERS}{callers}\n{lists}"
        self.server.prepare()
        self.server.start()
        self.server.add_account("bob")
        until(lambda: len(events(self.server, "worker-started")) == 2)

    def ask(self, client: str, *names: str) -> list[tuple[int, bytes]]:
        """The answers to these recipients."""
        smtp: Any = smtplib.SMTP("127.0.0.1", self.server.ports["relay"], "mx.far.test", PATIENCE, (client, 0))
        with smtp:
            smtp.ehlo()
            smtp.mail("a@far.test")
            return [smtp.rcpt(f"{name}@example.test") for name in names]


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    if reason := LabNameServer.is_possible():
        pytest.skip(reason)
    made = Post(tmp_path)
    yield made
    made.server.kill()
    made.names.stop()


def test_lists_refuse_and_save_and_the_postmaster_is_reached(post: Post) -> None:
    bad = healthy("bad", "9.0.0.127.bad A 127.0.0.2", "11.0.0.127.bad A 127.0.0.2", "10.0.0.127.bad A 127.0.0.77")
    good = healthy("good", "11.0.0.127.good A 127.0.0.2")
    post.serve_lists(bad + good)
    post.start("pause = 0", entry("bad") + entry("good", "allow = true"))
    refused, unknown, postmaster = post.ask(LISTED, "bob", "nobody", "postmaster")
    assert refused == (550, b"5.7.1 127.0.0.9 is listed by bad.lists.test, see https://bad.lists.test/?127.0.0.9")
    assert unknown == refused
    assert postmaster[0] == 250
    assert post.ask(PLAIN, "bob")[0][0] == 250, "a code that nobody named"
    assert post.ask(SAVED, "bob")[0][0] == 250
    assert post.ask("127.0.0.1", "bob")[0][0] == 250, "this machine is nobody to be asked about"
    (event,) = until(lambda: events(post.server, "caller.refused"))
    assert (event["client"], event["lists"]) == (LISTED, ["bad.lists.test=127.0.0.2"])
    assert not events(post.server, "list.off")


def test_broken_lists_are_switched_off_and_refuse_nobody_until_they_are_well(post: Post) -> None:
    world = ["*.world A 127.0.0.2"]
    refusing = ["*.refusing A 127.255.255.254"]
    parked = ["*.parked A 203.0.113.80"]
    post.serve_lists([*world, *refusing, *parked])
    lists = "".join(map(entry, ("world", "refusing", "parked", "gone")))
    post.start("pause = 0", lists)
    for _ in range(8):  # both workers
        assert post.ask(LISTED, "bob")[0][0] == 250
    told = until(lambda: (found := events(post.server, "list.off")) and len(found) == 8 and found)
    reasons = {event["zone"].partition(".")[0]: event["reason"] for event in told if event["family"] == "IPv4"}
    assert "lists everybody" in reasons["world"]
    assert "127.255.255.254" in reasons["refusing"]
    assert "203.0.113.80" in reasons["parked"]
    assert "empty, or gone" in reasons["gone"]
    well = [line for zone in ("world", "refusing", "parked", "gone") for line in healthy(zone)]
    post.serve_lists([*well, "9.0.0.127.world A 127.0.0.2"])
    post.server.reload()
    until(lambda: len(events(post.server, "list.on")) == 8)
    assert len(events(post.server, "list.off")) == 8
    for _ in range(4):
        assert post.ask(LISTED, "bob")[0][0] == 550


def test_a_name_server_that_is_gone_refuses_nobody(post: Post) -> None:
    post.serve_lists(healthy("bad", "9.0.0.127.bad A 127.0.0.2"))
    post.names.stop()
    post.start('pause = 0\ntimeout = "1s"', entry("bad"))
    assert post.ask(LISTED, "bob")[0][0] == 250
    off = until(lambda: events(post.server, "list.off"))
    assert "does not answer" in off[0]["reason"]


def early(post: Post, client: str = PLAIN) -> bytes:
    """What a client hears first that does not wait for the greeting."""
    address = ("127.0.0.1", post.server.ports["relay"])
    with socket.create_connection(address, PATIENCE, source_address=(client, 0)) as connection:
        connection.sendall(b"EHLO mx.far.test\r\n")
        return connection.recv(1000)


def test_who_was_seen_need_not_wait_at_any_worker_nor_after_a_restart(post: Post) -> None:
    post.serve_lists([])
    post.start('pause = "1s"')
    for _ in range(4):
        assert early(post).startswith(b"554 5.5.1 You spoke before the greeting")
    (event,) = until(lambda: events(post.server, "caller.refused"))
    assert (event["rule"], event["client"]) == ("pre-greeting", PLAIN)
    assert post.ask(PLAIN, "bob")[0][0] == 250
    for _ in range(8):
        assert early(post).startswith(b"220 ")
    assert early(post, LISTED).startswith(b"554 "), "its neighbour was not seen"
    assert post.server.stop() == 0
    post.server.start()
    assert early(post).startswith(b"220 ")


def test_greylisting_is_shared_by_workers(post: Post) -> None:
    post.serve_lists([])
    post.start('pause = 0\ngreylist = true\ngreylist_delay = "1ms"')
    code, text = post.ask(PLAIN, "bob")[0]
    assert (code, text[:5]) == (450, b"4.7.1")
    for _ in range(8):
        assert post.ask(PLAIN, "bob")[0][0] == 250
    assert post.ask(LISTED, "bob", "alice")[0][0] == 250, "its network is trusted"
