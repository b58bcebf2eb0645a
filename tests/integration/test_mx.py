"""MX routing with a real name server (NSD): whom a letter goes to, and what its sender hears when nobody takes it.

Our own relay door and all MX hosts have one port, on addresses of 127/8, as on the Internet all have 25.
"""

from __future__ import annotations

import json
import os
import smtplib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ekiden.lab.server import LabServer, free_ports
from tests.integration.conftest import eventually
from tests.integration.next_hops import Peer, serving

NSD = """
server:
    ip-address: 127.0.0.1@{port}
    username: "{user}"
    chroot: ""
    zonesdir: "{folder}"
    zonelistfile: "{folder}/zone.list"
    database: ""
    pidfile: ""
    xfrdfile: ""
    logfile: "{folder}/nsd.log"
    server-count: 1
remote-control:
    control-enable: no
zone:
    name: "test"
    zonefile: "test.zone"
zone:
    name: "broken"
    zonefile: "there-is-none.zone"
"""
ZONE = """
$ORIGIN test.
$TTL 60
@               SOA   ns.test. root.test. 1 3600 600 86400 60
@               NS    ns
ns              A     127.0.0.1
mail.example    A     127.0.0.1
a.hosts         A     127.0.0.2
b.hosts         A     127.0.0.3
dead.hosts      A     127.0.0.9
six.hosts       AAAA  ::1
both.hosts      AAAA  100::1
both.hosts      A     127.0.0.3
picky.hosts     AAAA  ::1
picky.hosts     A     127.0.0.3
ourselves.hosts A     127.0.0.1
private.hosts   A     10.255.255.9
nothing.hosts   TXT   "no address"
order           MX    20 b.hosts
order           MX    10 a.hosts
second          MX    10 dead.hosts
second          MX    20 b.hosts
implicit        A     127.0.0.3
six             MX    10 six.hosts
both            MX    10 both.hosts
picky           MX    10 picky.hosts
alias           CNAME order
backup          MX    5  a.hosts
backup          MX    10 mail.example
backup          MX    20 b.hosts
null            MX    0  .
named           MX    10 mail.example
addressed       MX    10 ourselves.hosts
private         MX    10 private.hosts
nowhere         MX    10 nothing.hosts
empty           TXT   "neither MX nor address"
chain           CNAME chain2
chain2          CNAME alias
alias.hosts     CNAME b.hosts
aliased         MX    10 alias.hosts
null-alias      CNAME null
nick.hosts      CNAME mail.example
nicked          MX    10 nick.hosts
loop            CNAME loop2
loop2           CNAME loop
numeric         MX    10 127.0.0.3.
half-numeric    MX    5  127.0.0.3.
half-numeric    MX    10 a.hosts
""" + "".join(f"many{n}.hosts A 127.0.0.2\nmany MX 10 many{n}.hosts\n" for n in range(40))
#: What the host says over IPv6 that takes the same letter over IPv4.
PICKY = "550 5.7.25 [::1] has no reverse DNS"
#: Domain -> the host that must get the letter.
TAKEN = {
    "order.test": "a",
    "second.test": "b",
    "implicit.test": "b",
    "six.test": "six",
    "both.test": "b",
    "picky.test": "b",
    "alias.test": "a",
    "backup.test": "a",
    "chain.test": "a",
    "aliased.test": "b",
    "half-numeric.test": "a",
    "many.test": "a",
}
#: Domain -> what comes of it at once.
REFUSED = {
    "null.test": ("failed", "556 5.1.10"),
    "nobody.test": ("failed", "550 5.1.2"),
    "empty.test": ("failed", "550 5.1.2"),
    "named.test": ("failed", "554 5.4.6"),
    "addressed.test": ("failed", "554 5.4.6"),
    "private.test": ("failed", "550 5.4.4"),
    "nowhere.test": ("failed", "550 5.4.4"),
    "null-alias.test": ("failed", "556 5.1.10"),
    "nicked.test": ("failed", "554 5.4.6"),
    "numeric.test": ("failed", "550 5.4.4 numeric.test names the address 127.0.0.3 where the name of a host belongs"),
    "loop.test": ("delayed", "451 4.4.3 loop.test MX: more than 8 CNAMEs in a row"),
    # the name server is named: it is where the postmaster has to look
    "broken": ("delayed", "451 4.4.3 broken MX: SERVFAIL from 127.0.0.1:"),
    "not.ours": ("delayed", "451 4.4.3 not.ours MX: REFUSED from 127.0.0.1:"),
}


@contextmanager
def name_server() -> Iterator[int]:
    """Its port."""
    port = free_ports(1)[0]
    with tempfile.TemporaryDirectory(prefix="ekiden-nsd-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "test.zone").write_text(ZONE)
        user = "nobody" if os.getuid() == 0 else ""
        (folder / "nsd.conf").write_text(NSD.format(port=port, folder=folder, user=user))
        if user:
            os.chown(folder, *map(int, subprocess.check_output(["id", "-u", user]).split() * 2))
        path = os.environ.get("PATH", "") + ":/usr/sbin"
        with (folder / "stderr").open("wb") as errors:
            process = subprocess.Popen(
                ["nsd", "-d", "-c", str(folder / "nsd.conf")],
                env=os.environ | {"PATH": path},
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )
        try:
            eventually(lambda: process.poll() is not None or answers(port), "the name server's answer")
            assert process.poll() is None, (folder / "stderr").read_text() + (folder / "nsd.log").read_text()
            yield port
        finally:
            process.terminate()
            process.wait(30)


def answers(port: int) -> bool:
    import dns.exception
    import dns.message
    import dns.query

    try:
        reply = dns.query.udp(dns.message.make_query("ns.test", "A"), "127.0.0.1", port=port, timeout=1)
    except (dns.exception.DNSException, OSError):
        return False
    return bool(reply.answer)


class Post:
    def __init__(self, server: LabServer, hosts: dict[str, Peer]) -> None:
        self.server = server
        self.hosts = hosts
        self.letters: dict[str, str] = {}

    def send(self, domain: str) -> None:
        with smtplib.SMTP("127.0.0.1", self.server.ports["relay"], local_hostname="client.test") as client:
            client.ehlo()
            client.mail("bob@example.test")
            assert client.rcpt(f"x@{domain}")[0] == 250
            code, text = client.data(b"Subject: hello\r\n\r\nhello\r\n")
            assert code == 250, text
            self.letters[domain] = text.decode().split()[-1]

    def attempt(self, domain: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            lines = [json.loads(line) for line in self.server.log_path.read_text().splitlines()]
            mine = [line for line in lines if line.get("letter") == self.letters[domain]]
            return next((line for line in mine if line["event"] == "attempt.finished"), None)

        event = eventually(found, f"an attempt for {domain}")
        assert isinstance(event, dict)
        return event


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    with ExitStack() as stack:
        dns = stack.enter_context(name_server())
        server = LabServer(tmp_path_factory.mktemp("mx") / "home", "example.test")
        port = server.ports["relay"]
        server.extra = "\n".join(
            (
                'relay = { trusted_networks = ["127.0.0.1"] }',
                f'dns = {{ nameservers = ["127.0.0.1:{dns}"], timeout = "3s" }}',
                (
                    f'delivery = {{ mx_port = {port}, connect_timeout = "1s",'
                    ' allow_addresses = ["127.0.0.0/8", "::1/128", "100::/64"] }'
                ),
            )
        )
        server.prepare()
        server.add_account("bob")
        hosts = {
            "a": Peer(address="127.0.0.2", port=port),
            "b": Peer(address="127.0.0.3", port=port),
            "six": Peer({"RCPT TO:<X@PICKY": PICKY}, address="::1", port=port),
        }
        stack.enter_context(serving(*hosts.values()))
        server.start()
        stack.callback(server.stop)
        post = Post(server, hosts)
        for domain in (*TAKEN, *REFUSED):
            post.send(domain)
        yield post


@pytest.mark.peer("nsd")
@pytest.mark.parametrize("domain", TAKEN)
def test_the_host_that_gets_it(post: Post, domain: str) -> None:
    attempt = post.attempt(domain)
    assert attempt["outcomes"] == {"relayed": 1}, attempt
    assert attempt["next_hop"] == f"mx:{domain}"
    assert [name for name, host in post.hosts.items() if f"x@{domain}" in host.paths] == [TAKEN[domain]]


@pytest.mark.peer("nsd")
@pytest.mark.parametrize("domain", REFUSED)
def test_nobody_takes_it(post: Post, domain: str) -> None:
    kind, reply = REFUSED[domain]
    attempt = post.attempt(domain)
    assert attempt["outcomes"] == {kind: 1}
    assert attempt["reply"].startswith(reply), attempt["reply"]
    assert bool(attempt.get("next_attempt")) == (kind == "delayed")
    log = post.server.log_path
    reported = f'"letter":"{post.letters[domain]}","report":'
    if kind == "failed":
        eventually(lambda: reported in log.read_text().replace(" ", ""), f"the report about {domain}")
    else:
        assert reported not in log.read_text().replace(" ", "")


@pytest.mark.peer("nsd")
def test_a_host_that_does_not_want_ipv6_is_tried_over_ipv4(post: Post) -> None:
    """At once, in the same attempt; the log tells why."""
    assert post.attempt("picky.test")["attempt"] == 1
    lines = [json.loads(line) for line in post.server.log_path.read_text().splitlines()]
    (event,) = [line for line in lines if line["event"] == "ipv6.refused"]
    assert (event["host"], event["reply"]) == ("picky.hosts.test", PICKY)
    assert event["letter"] == post.letters["picky.test"]
    assert any("X@PICKY" in line.upper() for line in post.hosts["six"].lines)
