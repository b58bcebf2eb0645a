"""What a site allows is never exceeded, by two workers and whatever becomes of them: counted by the other side."""

from __future__ import annotations

import os
import signal
import smtplib
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ekiden.lab.server import LabServer
from ekiden.ports.slots import TOKEN_SECONDS
from ekiden.storage.rate import rate_of
from tests.integration.conftest import eventually
from tests.integration.counting_sink import CountingSink
from tests.integration.test_mx import name_server

SESSIONS = 6
TRUSTED = 'relay = { trusted_networks = ["127.0.0.1"] }\n'
#: Most letters find no room and are taken out of the store later.
SMALL_WINDOW = "delivery = { window_letters = 20 }\n"


def site(match: str, rules: str) -> str:
    return f'[[site]]\nmatch = "{match}"\n{rules}\n'


@contextmanager
def home(folder: Path, sink: CountingSink, rules: str, extra: str = "") -> Iterator[LabServer]:
    server = LabServer(folder / "home", "example.test", workers=2, extra=TRUSTED + extra)
    route = f'[[route]]\nmatch = "sink.test"\nto = "smtp://127.0.0.1:{sink.port}"\ntls = "none"\n'
    server.tables = route + site("sink.test", rules)
    server.prepare()
    server.start()
    try:
        yield server
    finally:
        server.kill()


def send(server: LabServer, count: int, domains: Sequence[str] = ("sink.test",)) -> set[str]:
    """From several sessions at once, which both workers get some of; the subjects."""
    failed: list[BaseException] = []

    def run(number: int) -> None:
        try:
            with smtplib.SMTP("127.0.0.1", server.ports["relay"], local_hostname="load.test", timeout=60) as client:
                for index in range(number, count, SESSIONS):
                    content = f"Subject: t{index}-\r\n\r\nhello\r\n"
                    client.sendmail("bob@example.test", [f"x@{domains[index % len(domains)]}"], content)
        except BaseException as error:  # told by the thread that waits
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(SESSIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
    return {f"t{index}-" for index in range(count)}


def all_come(sink: CountingSink, wanted: set[str]) -> None:
    eventually(lambda: wanted <= set(sink.tokens), "all letters at the sink")


@pytest.mark.parametrize("extra", ["", SMALL_WINDOW], ids=["from-memory", "from-the-store"])
@pytest.mark.parametrize("budget", [1, 2, 5])
def test_connections_at_once(tmp_path: Path, budget: int, extra: str) -> None:
    with CountingSink(slow=0.005).serving() as sink, home(tmp_path, sink, f"connections = {budget}", extra) as server:
        all_come(sink, send(server, 300))
        assert sink.most <= budget
        assert len(sink.tokens) == 300


@pytest.mark.parametrize("budget", [1, 2])
def test_a_worker_is_killed(tmp_path: Path, budget: int) -> None:
    """Whoever of them holds a slot: both are killed, one after the other."""
    with CountingSink(slow=0.02).serving() as sink, home(tmp_path, sink, f"connections = {budget}") as server:
        assert server.process is not None
        supervisor = server.process.pid
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children")
        workers = eventually(lambda: len(found := children.read_text().split()) == 2 and found, "two workers")
        assert isinstance(workers, list)
        wanted = send(server, 200)
        for pid in map(int, workers):
            arrived = len(sink.tokens)
            assert arrived < 200, "too quick for this test"
            os.kill(pid, signal.SIGKILL)
            eventually(lambda n=arrived: len(sink.tokens) >= min(n + 20, 200), "letters after a worker's death")
        all_come(sink, wanted)
        assert sink.most <= budget


@pytest.mark.parametrize("greeting", ["421 4.3.2 not now", "554 5.3.2 no mail here"])
def test_the_next_host_is_tried_when_the_connection_to_the_last_has_closed(tmp_path: Path, greeting: str) -> None:
    addresses = "127.0.0.2", "127.0.0.3", "127.0.0.4"
    with ExitStack() as stack:
        sink = stack.enter_context(CountingSink(*addresses, greeting=greeting).serving())
        server = LabServer(tmp_path / "home", "example.test", workers=2, extra=TRUSTED)
        targets = ", ".join(f'"smtp://{address}:{sink.port}"' for address in addresses)
        route = f'[[route]]\nmatch = "sink.test"\nto = [{targets}]\ntls = "none"\n'
        server.tables = route + site("sink.test", "connections = 1")
        server.prepare()
        server.start()
        stack.callback(server.kill)
        send(server, 12)
        eventually(lambda: len(sink.connected) >= 3, "every host asked")
        assert sink.most == 1


def assert_paced(moments: Sequence[float], per_minute: int) -> None:
    """Within any span no more than the rate gives; tokens may be used a while after they were granted."""
    rate = rate_of(per_minute)
    for first, start in enumerate(moments):
        for last in range(first, len(moments)):
            span = moments[last] - start + TOKEN_SECONDS
            assert last - first + 1 <= rate.burst + span / rate.interval, (moments, per_minute)


def test_letters_a_minute(tmp_path: Path) -> None:
    with CountingSink().serving() as sink, home(tmp_path, sink, "letters_per_minute = 120") as server:
        all_come(sink, send(server, 16))
        assert_paced(sink.begun, 120)


def test_connections_a_minute(tmp_path: Path) -> None:
    rules = "connections_per_minute = 120\nletters_per_connection = 1"
    with CountingSink().serving() as sink, home(tmp_path, sink, rules) as server:
        all_come(sink, send(server, 12))
        assert len(sink.connected) >= 12
        assert_paced(sink.connected, 120)


@pytest.mark.peer("nsd")
def test_domains_with_the_same_hosts_share(tmp_path: Path) -> None:
    """`alias.test` is another name of `order.test`; their two MX hosts are one sink."""
    with ExitStack() as stack:
        dns = stack.enter_context(name_server())
        server = LabServer(tmp_path / "home", "example.test", workers=2)
        sink = CountingSink("127.0.0.2", "127.0.0.3", port=server.ports["relay"], slow=0.005)
        server.extra = "\n".join(
            (
                TRUSTED,
                f'dns = {{ nameservers = ["127.0.0.1:{dns}"], timeout = "3s" }}',
                f'delivery = {{ mx_port = {sink.port}, allow_addresses = ["127.0.0.0/8"] }}',
            )
        )
        server.tables = site("a.hosts.test", "connections = 1")
        server.prepare()
        stack.enter_context(sink.serving())
        server.start()
        stack.callback(server.kill)
        all_come(sink, send(server, 100, ["order.test", "alias.test"]))
        assert sink.most == 1
