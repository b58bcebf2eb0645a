"""DNSSEC on loopback: a signed zone behind NSD, and Unbound that validates it, as a mail host for DANE has them."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dns.dnssec
import dns.exception
import dns.message
import dns.query
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec
from dns.dnssectypes import Algorithm

from ekiden.lab.nameserver import LabNameServer
from ekiden.lab.server import free_ports
from tests.integration.conftest import eventually

UNBOUND = """\
server:
    interface: 127.0.0.1@{port}
    do-daemonize: no
    chroot: ""
    username: ""
    directory: "{folder}"
    pidfile: ""
    use-syslog: no
    logfile: "{folder}/unbound.log"
    module-config: "validator iterator"
    do-not-query-localhost: no
    num-threads: 1
    do-ip6: no
    {anchors}
{stubs}
remote-control:
    control-enable: no
"""
STUB = """\
stub-zone:
    name: "{zone}."
    stub-addr: 127.0.0.1@{port}
"""
DAY = timedelta(days=1)


def program() -> str:
    return shutil.which("unbound") or ("/usr/sbin/unbound" if Path("/usr/sbin/unbound").exists() else "")


def signed(server: LabNameServer, *, tampered: Sequence[str] = ()) -> str:
    """The anchor (a DNSKEY line). Signs the zone of `server`; the owners in `tampered` get other data afterwards."""
    key = ec.generate_private_key(ec.SECP256R1())
    dnskey = dns.dnssec.make_dnskey(key.public_key(), Algorithm.ECDSAP256SHA256, flags=257)
    zone = dns.zone.from_text(server.unsigned, origin=server.zone, relativize=False)
    now = datetime.now(UTC)
    dns.dnssec.sign_zone(zone, keys=[(key, dnskey)], inception=now - DAY, expiration=now + DAY, dnskey_ttl=3600)
    text = zone.to_text(relativize=False)
    for owner in tampered:
        text, count = re.subn(rf"(?m)^({re.escape(owner)}\. \d+ IN TLSA \d \d \d )\w{{4}}", r"\g<1>0000", text)
        assert count == 1, owner
    server.signed = text
    return f"{server.zone}. IN DNSKEY {dnskey.to_text()}"


@contextmanager
def validating(folder: Path, servers: Sequence[LabNameServer], anchors: Sequence[str]) -> Iterator[int]:
    """The port of a resolver that knows the zones of `servers` and believes `anchors`."""
    folder.mkdir()
    port = free_ports(1)[0]
    lines = [f'trust-anchor: "{anchor}"' for anchor in anchors]
    lines += [f'local-zone: "{server.zone}." nodefault' for server in servers]
    stubs = "".join(STUB.format(zone=server.zone, port=server.port) for server in servers)
    config = folder / "unbound.conf"
    config.write_text(UNBOUND.format(port=port, folder=folder, anchors="\n    ".join(lines), stubs=stubs))
    with ExitStack() as stack:
        for server in servers:
            server.start()
            stack.callback(server.stop)
        with (folder / "stderr").open("wb") as errors:
            process = subprocess.Popen([program(), "-d", "-c", str(config)], stdout=errors, stderr=errors)
        stack.callback(process.wait, 30)
        stack.callback(process.terminate)
        eventually(lambda: process.poll() is not None or answers(port, servers[0].zone), "the resolver's answer")
        assert process.poll() is None, (folder / "stderr").read_text()
        yield port


def answers(port: int, zone: str) -> bool:
    try:
        reply = dns.query.udp(dns.message.make_query(zone, "SOA"), "127.0.0.1", port=port, timeout=1)
    except (dns.exception.DNSException, OSError):
        time.sleep(0.02)
        return False
    return bool(reply.answer)
