"""Two networks of one's own (Linux namespaces): `home`, where our server is, and `world`, where everybody else is, with
a provider between them that drops, rejects or diverts what it likes (nftables).

    with Networks() as networks:
        with networks.home():       # sockets, threads and processes that are made here belong there
            server.start()
        networks.filter("meta nfproto ipv4 tcp dport 25 drop")

Needs root, `ip` and `nft`. Removes what it made; nothing outside the two namespaces is touched.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

_CLONE_NEWNET: Final = 0x40000000
#: Ours, as the world sees them.
HOME4, HOME6 = "20.9.0.1", "2a01:9::1"


def is_possible() -> str:
    """'' if namespaces can be made here, else why not."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    if missing := [program for program in ("ip", "nft") if shutil.which(program) is None]:
        return f"needs {' and '.join(missing)} (see tests/debian-packages.txt)"
    name = f"ekiden-{os.getpid()}-try"
    done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"no network namespaces here: {done.stderr.strip()}"
    tried = subprocess.run(
        ["ip", "netns", "exec", name, "nft", "add table inet try"], capture_output=True, text=True, check=False
    )
    _run("ip", "netns", "del", name)
    return f"no nftables here: {tried.stderr.strip()}" if tried.returncode else ""


class Networks:
    def __init__(self) -> None:
        self._names = {kind: f"ekiden-{os.getpid()}-{kind}" for kind in ("home", "world")}

    def __enter__(self) -> Networks:
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _build(self) -> None:
        home, world = self._names["home"], self._names["world"]
        for name in (home, world):
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "-n", home, "link", "add", "out", "type", "veth", "peer", "name", "in", "netns", world)
        for name, link in ((home, "out"), (world, "in")):
            _run("ip", "-n", name, "link", "set", link, "up")
        for address in (f"{HOME4}/32", f"{HOME6}/128"):
            self._address(home, "out", address)
            _run("ip", "-n", world, "route", "add", address, "dev", "in")
        for family in ("-4", "-6"):
            _run("ip", "-n", home, family, "route", "add", "default", "dev", "out")
        with self.world():  # or most refusals by ICMP would be left out, and look like drops
            for key in ("ipv4/icmp_ratelimit", "ipv6/icmp/ratelimit"):
                Path("/proc/sys/net", key).write_text("0")

    def _remove(self) -> None:
        for name in self._names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def add_address(self, address: str) -> None:
        """To the world; any will do, for nobody else is there."""
        self._address(self._names["world"], "in", f"{address}/{128 if ':' in address else 32}")

    def filter(self, *rules: str) -> None:
        """What the provider does to packets that come from home, instead of what it did; nothing: lets all pass."""
        self._table("provider", "type filter hook input priority filter; policy accept;", rules)

    def divert(self, *rules: str) -> None:
        """The same for where connections lead."""
        self._table("divert", "type nat hook prerouting priority dstnat; policy accept;", rules)

    def _table(self, name: str, hook: str, rules: Sequence[str]) -> None:
        lines = [
            f"add table inet {name}",
            f"delete table inet {name}",
            f"add table inet {name}",
            f"add chain inet {name} packets {{ {hook} }}",
        ]
        lines += [f"add rule inet {name} packets {rule}" for rule in rules]
        _run("ip", "netns", "exec", self._names["world"], "nft", "-f", "-", stdin="\n".join(lines) + "\n")

    def home(self) -> AbstractContextManager[None]:
        return _inside(self._names["home"])

    def world(self) -> AbstractContextManager[None]:
        return _inside(self._names["world"])

    def _address(self, name: str, link: str, address: str) -> None:
        more = ["nodad"] if ":" in address else []
        _run("ip", "-n", name, "address", "add", address, "dev", link, *more)


@contextmanager
def _inside(name: str) -> Iterator[None]:
    """This thread, and what it starts."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(Path("/run/netns", name), os.O_RDONLY)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(before)
    finally:
        os.close(before)


def _enter(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _run(*command: str, stdin: str = "") -> None:
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}\n{stdin}")
