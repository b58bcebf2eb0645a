"""Suspending, resuming and rerouting while two workers deliver: seen from the hosts that get letters, or get none."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ekiden.lab.server import LabServer, free_ports
from tests.integration.conftest import eventually
from tests.integration.counting_sink import CountingSink
from tests.integration.next_hops import start_patched
from tests.integration.test_mx import name_server

TRUSTED = 'relay = { trusted_networks = ["127.0.0.1"] }\n'


class House:
    """far.test, near.test and down.test by routes; `far`, `near`: what gets their letters. Nobody is at down.test."""

    def __init__(self, server: LabServer, far: CountingSink, near: CountingSink) -> None:
        self.server = server
        self.far = far
        self.near = near
        self.sent = 0

    def send(self, domain: str, count: int = 1) -> set[str]:
        """Each on a connection of its own, so that both workers get some; the subjects."""
        tokens = set()
        for _ in range(count):
            self.sent += 1
            tokens.add(f"t{self.sent}-")
            send(self.server, domain, f"t{self.sent}-")
        return tokens

    def listed(self, *options: str) -> list[Any]:
        return [leg for one in self._list(*options) for leg in one["legs"]]

    def _list(self, *options: str) -> list[Any]:
        found = json.loads(self.server.command("queue", "list", "--json", *options).stdout)
        assert isinstance(found, list)
        return found

    def all_wait(self, count: int, why: str, *options: str) -> None:
        def words() -> list[str]:
            return [leg["why"] for leg in self.listed(*options)]

        eventually(lambda: words() == [why] * count, f"{count} letters: {why}")


def send(server: LabServer, domain: str, token: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["relay"], local_hostname="x.test", timeout=60) as client:
        client.sendmail("bob@example.test", [f"c@{domain}"], f"Subject: {token}\r\n\r\nhello\r\n")


def arrive(sink: CountingSink, wanted: set[str]) -> None:
    eventually(lambda: wanted <= set(sink.tokens), f"{len(wanted)} letters")


def route(domain: str, port: int) -> str:
    return f'[[route]]\nmatch = "{domain}"\nto = "smtp://127.0.0.1:{port}"\ntls = "none"\n'


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with ExitStack() as stack:
        far, near = (stack.enter_context(CountingSink().serving()) for _ in range(2))
        server = LabServer(tmp_path / "home", "example.test", workers=2, extra=TRUSTED)
        ports = {"far.test": far.port, "near.test": near.port, "down.test": free_ports(1)[0]}
        server.tables = "".join(route(domain, port) for domain, port in ports.items())
        server.prepare()
        server.start()
        stack.callback(server.kill)
        yield House(server, far, near)


def test_a_suspended_site_gets_nothing_others_do_and_resume_lets_it_go(house: House) -> None:
    arrive(house.far, house.send("far.test", 4))
    house.server.command("queue", "suspend", "far.test", "--reason", "they asked us to pause")
    # a restart, so that both workers know it from their first moment: only then is there nothing to wait for
    house.server.stop()
    house.server.start()
    before = len(house.far.connected)
    kept = house.send("far.test", 12)
    arrive(house.near, house.send("near.test", 4))
    house.all_wait(12, "suspended")
    assert len(house.far.connected) == before
    assert {leg["attempts"] for leg in house.listed()} == {0}
    house.server.command("queue", "resume", "far.test")
    arrive(house.far, kept)
    assert sorted(house.far.tokens) == sorted(set(house.far.tokens))


def test_workers_that_run_heed_a_suspension(house: House) -> None:
    arrive(house.far, house.send("far.test", 4))
    house.server.command("queue", "suspend", "far.test", "--for", "1h")

    def heeded() -> bool:
        """Eight letters in a row, by eight connections, were kept."""
        count = len(house.listed())
        house.send("far.test", 8)
        arrive(house.near, house.send("near.test"))
        return len(house.listed()) == count + 8

    eventually(heeded, "both workers keep letters")
    before = len(house.far.connected)
    house.send("far.test", 8)
    house.server.command("queue", "retry", "--all")  # by hand is no way around it
    arrive(house.near, house.send("near.test", 4))
    eventually(lambda: {leg["why"] for leg in house.listed()} == {"suspended"}, "all are kept")
    assert len(house.far.connected) == before


def test_rerouted_letters_come_to_the_other_host(house: House) -> None:
    waiting = house.send("down.test", 6)
    eventually(lambda: len(house.listed("--state", "waiting")) == 6, "letters that wait")
    to = f"smtp://127.0.0.1:{house.far.port}"
    done = house.server.command("queue", "reroute", "--all", "--site", "route:down.test", "--to", to)
    assert done.stdout == f"6 legs rerouted to {to}\n"
    arrive(house.far, waiting)
    assert house.near.tokens == []
    eventually(lambda: not house.listed(), "the queue is empty")


def test_senders_of_what_is_suspended_are_told_once_and_letters_expire(tmp_path: Path) -> None:
    """By two workers that both look for such letters."""
    server = LabServer(tmp_path / "home", "example.test", workers=2)
    server.extra = f'{TRUSTED}delivery = {{ delay_report_after = "2s", expire_after = "9s" }}\n'
    server.prepare()
    server.add_account("bob")
    server.command("queue", "suspend", "far.test", "--reason", "they asked us to pause")
    start_patched(server, "import ekiden.delivery.sweep as sweep; sweep.PAUSE = 0.5; sweep.AT_ONCE = 7")
    try:
        for number in range(20):
            send(server, "far.test", f"t{number}-")
        arguments = ("queue", "list", "--json", "--domain", "far.test")
        eventually(lambda: not json.loads(server.command(*arguments).stdout), "all have expired")
        eventually(lambda: len(reports(server)) >= 40, "all reports in the log")
        assert sorted(reports(server)) == ["delayed"] * 20 + ["failed"] * 20
    finally:
        server.kill()


def reports(server: LabServer) -> list[str]:
    """Their kinds, out of the log."""
    events = [json.loads(line) for line in server.log_path.read_text().splitlines()]
    return [event["kind"] for event in events if event["event"] == "report.made"]


@pytest.mark.peer("nsd")
def test_a_suspended_mx_host_keeps_all_its_domains_and_says_so(tmp_path: Path) -> None:
    """`alias.test` is another name of `order.test`; their two MX hosts are one sink."""
    with ExitStack() as stack:
        dns = stack.enter_context(name_server())
        server = LabServer(tmp_path / "home", "example.test", workers=2)
        sink = stack.enter_context(CountingSink("127.0.0.2", "127.0.0.3", port=server.ports["relay"]).serving())
        server.extra = (
            f'{TRUSTED}dns = {{ nameservers = ["127.0.0.1:{dns}"], timeout = "3s" }}\n'
            f'delivery = {{ mx_port = {sink.port}, allow_addresses = ["127.0.0.0/8"] }}\n'
        )
        server.prepare()
        server.command("queue", "suspend", "a.hosts.test", "--reason", "they asked us to pause")
        server.start()
        stack.callback(server.kill)
        house = House(server, sink, sink)
        kept = house.send("order.test", 4) | house.send("alias.test", 4)
        house.all_wait(8, "suspended")
        text = server.command("queue", "list").stdout
        assert "a person suspended its site: a.hosts.test b.hosts.test" in text
        assert "they asked us to pause" in text

        def told() -> bool:
            (site,) = json.loads(server.command("queue", "sites", "--json").stdout)
            return bool(site["state"] == "suspended" and site["waiting"] == 8)

        eventually(told, "one site with all letters")
        assert sink.connected == []
        server.command("queue", "resume", "a.hosts.test")
        arrive(sink, kept)
