"""The demo: two servers on this machine, two letters, and the whole way that each of them took.

home (example.test) listens on 2525/2587/2465/2110/2995, away (far.test) on 3525/… . Alice writes to bob, who has his
mailbox at home, and to carol, whose server is the other one, reached over its port 25 (here 3525). Everything lies in a
temporary folder that goes away at the end.
"""

from __future__ import annotations

import shutil
import signal
import smtplib
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

from ekiden.lab.mailprogram import Sent, fetch, send
from ekiden.lab.server import DOORS, LabFailed, LabServer

HOME_PORTS: Final = dict(zip(DOORS, (2525, 2587, 2465, 2110, 2995), strict=True))
AWAY_PORTS: Final = dict(zip(DOORS, (3525, 3587, 3465, 3110, 3995), strict=True))
#: How long a letter may take from submission to mailbox; it takes milliseconds.
ARRIVAL_SECONDS: Final = 20.0


class Stopped(Exception):
    """Ctrl-C or SIGTERM."""


def run_demo(*, stay: bool = True) -> int:
    """Runs the demo; with `stay` it keeps the servers up until Ctrl-C. 0: all letters arrived."""
    _say("Ekiden demo: two mail servers on this machine, nothing leaves it.\n")
    previous = [(number, signal.signal(number, _stop)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        with _town() as (home, away):
            passwords = _people(home, away)
            for server in (home, away):
                server.start()
            letters = _letters(home, away, passwords)
            if stay and letters:
                _stay(home, away, passwords)
            return 0 if letters else 1
    except Stopped:
        _say("\nBoth servers have ended; nothing is left behind.")
        return 0
    except LabFailed as error:
        print(f"The demo could not run: {error}", file=sys.stderr)
        return 1
    finally:
        for number, handler in previous:
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped


@contextmanager
def _town() -> Iterator[tuple[LabServer, LabServer]]:
    """home and away, each with a route to the other's port 25; stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ekiden-demo-"))
    home = LabServer(folder / "home", "example.test", HOME_PORTS)
    away = LabServer(folder / "away", "far.test", AWAY_PORTS)
    for here, there in ((home, away), (away, home)):
        here.tables = f'[[route]]\nmatch = "{there.domain}"\nto = "smtp://127.0.0.1:{there.ports["relay"]}"\n'
        here.prepare()
    try:
        yield home, away
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must not leave a server behind
        for server in (home, away):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _people(home: LabServer, away: LabServer) -> dict[str, str]:
    people = {f"{name}@{server.domain}": server.add_account(name) for server, name in _accounts(home, away)}
    _say("The people, with passwords made just now:")
    for login, password in people.items():
        _say(f"  {login:<20} {password}")
    return people


def _accounts(home: LabServer, away: LabServer) -> list[tuple[LabServer, str]]:
    return [(home, "alice"), (home, "bob"), (away, "carol")]


def _letters(home: LabServer, away: LabServer, passwords: dict[str, str]) -> bool:
    alice = f"alice@{home.domain}"
    ok = True
    for number, (server, recipient) in enumerate(((home, f"bob@{home.domain}"), (away, f"carol@{away.domain}")), 1):
        _say(f"\nLetter {number}: {alice} → {recipient}")
        ok = _one_letter(home, server, alice, recipient, passwords) and ok
    return ok


def _one_letter(home: LabServer, there: LabServer, sender: str, recipient: str, passwords: dict[str, str]) -> bool:
    try:
        sent = send(home.ports["submission"], _trust(home), sender, passwords[sender], recipient)
    except (OSError, smtplib.SMTPException) as error:
        _say(f"  could not be sent: {error}")
        return False
    _show_sent(home, sent)
    read = _read_back(there, recipient, passwords[recipient], sent.token)
    _show_trail(home, sent.letter)
    if read is None:
        _say(f"  NOT ARRIVED within {ARRIVAL_SECONDS:.0f} s")
        return False
    if there is not home:
        _show_arrival(read)
    _say(f"  read back   POP3S, port {there.ports['pop3s']} (usually 995), as {recipient}: {len(read)} octets")
    return True


def _read_back(server: LabServer, login: str, password: str, token: str) -> bytes | None:
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while time.monotonic() < deadline:
        for letter in fetch(server.ports["pop3s"], _trust(server), login, password):
            if token.encode() in letter:
                return letter
        time.sleep(0.05)
    return None


def _show_sent(home: LabServer, sent: Sent) -> None:
    _say(f"  door        submission, port {home.ports['submission']} (usually 587), STARTTLS: {sent.tls}")
    _say(f"  login       {sent.login}, AUTH {sent.mechanism}")
    _say(f"  reply       {sent.reply}  (said once the letter was safe on disk)")
    _say(f"  queue id    {sent.letter}")


def _show_trail(home: LabServer, letter: str) -> None:
    for entry in _trail_entries(home, letter):
        for outcome in entry["outcomes"]:
            _say(f"  next hop    {_next_hop(entry['next_hop'])}")
            if outcome["remote"]:
                _say(f"  connection  to {outcome['remote']}, {outcome['tls'] or 'not encrypted'}")
                _say(f"  its reply   {outcome['code']} {outcome['status']} {outcome['text']}")
            _say(f"  outcome     {outcome['outcome']}{'' if outcome['remote'] else ': ' + outcome['text']}")


def _trail_entries(server: LabServer, letter: str) -> list[dict[str, Any]]:
    """The trail is written a moment after the outcome: waits for it."""
    deadline = time.monotonic() + ARRIVAL_SECONDS
    while time.monotonic() < deadline:
        story = server.trail(letter)[0]
        if story["trail"] and not story["queued"]:
            return list(story["trail"])
        time.sleep(0.1)
    return []


def _next_hop(key: str) -> str:
    kind, _, rest = key.partition(":")
    return {"local": "a mailbox of this server", "route": f"the [[route]] for {rest}", "mx": f"the MX of {rest}"}[kind]


def _show_arrival(letter: bytes) -> None:
    head = letter.split(b"\r\n\r\n", 1)[0].decode("utf-8", "replace").replace("\r\n\t", " ").replace("\r\n ", " ")
    received = next(line for line in head.split("\r\n") if line.lower().startswith("received:"))
    _say(f"  there       {received.removeprefix('Received: ')}")


def _stay(home: LabServer, away: LabServer, passwords: dict[str, str]) -> None:
    login, password = next(iter(passwords.items()))
    ports = home.ports
    _say("\nBoth servers stay up. Settings for a mail program:")
    _say(f"  sending    127.0.0.1 port {ports['submissions']} SSL/TLS, or port {ports['submission']} STARTTLS")
    _say(f"  fetching   127.0.0.1 port {ports['pop3s']} SSL/TLS (POP3), or port {ports['pop3']} STARTTLS")
    _say(f"  login      {login}, password {password}; the certificate is self-signed: accept it for this demo")
    _say("\nOr try:")
    _say(
        f"  swaks --server 127.0.0.1:{ports['submission']} -tls --auth PLAIN --auth-user {login} "
        f"--auth-password {password} --from {login} --to carol@{away.domain}"
    )
    _say(
        f"  curl --ssl-reqd --cacert {home.certificate} --user bob@{home.domain}:{passwords[f'bob@{home.domain}']} "
        f"pop3s://localhost:{ports['pop3s']}/1"
    )
    _say(f"  tail -f {home.log_path}")
    _say("\nCtrl-C ends both.")
    while True:
        signal.pause()


def _trust(server: LabServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.certificate))


def _say(text: str) -> None:
    print(text, flush=True)
