"""MTA-STS with a real name server (NSD) and a real web server: no letter crosses where a policy that is enforced
forbids it, and a policy that cannot be had, or only tests, changes nothing."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import trustme

from ekiden.lab.nameserver import LabNameServer
from ekiden.lab.server import LabServer, free_ports
from tests.integration.conftest import eventually
from tests.integration.hostile_peer import HostilePeer, serving
from tests.integration.street import Street

pytestmark = pytest.mark.peer("nsd")

ENFORCE: Final = "version: STSv1\nmode: enforce\nmx: {host}\nmax_age: 86400\n"
PROVEN: Final = "name proven by certificate, for MTA-STS"


class Domain(NamedTuple):
    """`policy`: its text; '' for a web server that redirects. `shows`: whose certificate its mail host has, 'ours' or
    'nobody'. `web`: whose its web server has. `story`: outcome, beginning of the reply, end of `tls`."""

    policy: str
    story: tuple[str, str, str]
    shows: str = "ours"
    extensions: Sequence[str] = ("STARTTLS",)
    web: str = "ours"


DOMAINS: Final = {
    "good": Domain(ENFORCE, ("relayed", "", PROVEN)),
    "wildcard": Domain(ENFORCE.replace("{host}", "*.wildcard.test"), ("relayed", "", PROVEN)),
    "unproven": Domain(ENFORCE, ("delayed", "451 4.7.5", ""), shows="nobody"),
    "stripped": Domain(ENFORCE, ("delayed", "451 4.7.4", ""), extensions=()),
    "unnamed": Domain(ENFORCE.replace("{host}", "mx.other.test"), ("delayed", "451 4.7.5", "")),
    "testing": Domain(ENFORCE.replace("enforce", "testing"), ("relayed", "", ""), shows="nobody"),
    "redirected": Domain("", ("relayed", "", ""), shows="nobody"),
    "false-web": Domain(ENFORCE, ("relayed", "", ""), shows="nobody", web="nobody"),
}


class Authority:
    def __init__(self) -> None:
        self.ca = trustme.CA()

    def context(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*names).configure_cert(context)
        return context


@contextmanager
def web_server(port: int, authorities: dict[str, Authority]) -> Iterator[list[str]]:
    """One for all domains, told apart by the name that the client asks for. Yields the hosts that were asked."""
    contexts = {
        f"mta-sts.{name}.test": authorities[d.web].context(f"mta-sts.{name}.test") for name, d in DOMAINS.items()
    }
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers["Host"].partition(":")[0]
            asked.append(host)
            name = host.split(".")[1]
            text = DOMAINS[name].policy.format(host=f"mx.{name}.test").encode()
            self.send_response(200 if text else 302)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            if not text:
                self.send_header("Location", f"https://mta-sts.good.test:{port}/.well-known/mta-sts.txt")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        if name in contexts:
            connection.context = contexts[name]

    first = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authorities["nobody"].ca.issue_cert("web.test").configure_cert(first)
    first.sni_callback = choose
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.socket = first.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] # a handshake that fails is what a test wants
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    if reason := LabNameServer.is_possible():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("sts")
    with ExitStack() as stack:
        street = make_street(folder, stack)
        for name in DOMAINS:
            street.send(f"{name}.test")
        yield street


def make_street(folder: Path, stack: ExitStack) -> Street:
    authorities = {"ours": Authority(), "nobody": Authority()}
    root = folder / "root.pem"
    authorities["ours"].ca.cert_pem.write_to_path(root)
    stack.enter_context(pytest.MonkeyPatch.context()).setenv("SSL_CERT_FILE", str(root))
    server = LabServer(folder / "home", "example.test")
    port, web = server.ports["relay"], free_ports(1)[0]
    street = Street(server)
    zone = LabNameServer(folder / "zone", "test", [])
    for number, (name, domain) in enumerate(DOMAINS.items(), start=2):
        address, host = f"127.0.3.{number}", f"mx.{name}.test"
        zone.records += [f"{name} MX 10 mx.{name}", f"mx.{name} A {address}", f"mta-sts.{name} A 127.0.0.1"]
        zone.records.append(f'_mta-sts.{name} TXT "v=STSv1; id=1;"')
        context = authorities[domain.shows].context(host)
        peer = HostilePeer(domain.extensions, context=context, address=address, port=port)
        stack.enter_context(serving(peer))
        street.peers[f"{name}.test"] = peer
    zone.start()
    stack.callback(zone.stop)
    street.asked = stack.enter_context(web_server(web, authorities))
    server.extra = "\n".join(
        (
            'relay = { trusted_networks = ["127.0.0.1"] }',
            f'dns = {{ nameservers = ["127.0.0.1:{zone.port}"], timeout = "3s" }}',
            (
                f'delivery = {{ mx_port = {port}, mta_sts_port = {web}, connect_timeout = "5s",'
                ' allow_addresses = ["127.0.0.0/8"] }'
            ),
        )
    )
    server.prepare()
    server.add_account("bob")
    server.start()
    stack.callback(server.stop)
    return street


@pytest.mark.parametrize("name", DOMAINS)
def test_what_becomes_of_a_letter(street: Street, name: str) -> None:
    kind, reply, tls = DOMAINS[name].story
    attempt = street.attempt(f"{name}.test")
    assert attempt["outcomes"] == {kind: 1}, attempt
    assert attempt["reply"].startswith(reply), attempt["reply"]
    assert attempt.get("tls", "").endswith(tls), attempt
    peer = street.peers[f"{name}.test"]
    assert bool(peer.letters) == (kind == "relayed"), peer.text
    if kind == "delayed":
        assert b"MAIL FROM" not in peer.text.upper(), peer.text


def test_a_policy_is_fetched_once_and_kept_over_a_restart(street: Street) -> None:
    street.attempt("good.test")
    assert street.asked.count("mta-sts.good.test") == 1
    street.server.stop()
    street.server.start()
    street.send("good.test")
    assert street.attempt("good.test")["tls"].endswith(PROVEN)
    assert street.asked.count("mta-sts.good.test") == 1


def test_a_policy_that_cannot_be_had_is_told(street: Street) -> None:
    for name, why in (("redirected", "302"), ("false-web", "certificate")):
        street.attempt(f"{name}.test")

        def told(domain: str = f"{name}.test") -> str:
            lines = [json.loads(line) for line in street.server.log_path.read_text().splitlines()]
            return next((x["reason"] for x in lines if x["event"] == "sts.failed" and x["domain"] == domain), "")

        assert why in str(eventually(told, f"the event about {name}"))
