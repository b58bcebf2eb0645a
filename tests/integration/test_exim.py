"""A real Exim on both sides: it sends to us on 25, and receives from us; with STARTTLS, pipelining and CHUNKING."""

from __future__ import annotations

import smtplib
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ekiden.lab.certificate import write_certificate
from ekiden.lab.exim import LabExim
from ekiden.lab.server import LabServer
from tests.integration.conftest import Town, eventually


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Town, LabExim]]:
    why_not = LabExim.is_possible()
    if why_not:
        pytest.skip(why_not)
    with ExitStack() as stack:
        # Not pytest's own folder: Exim's user must be able to go in, and pytest closes its folders to others.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ekiden-exim-")))
        folder.chmod(0o755)
        (folder / "cert").mkdir()
        home = LabServer(folder / "home", "example.test")
        exim = LabExim(
            folder / "exim",
            {"example.test": home.ports["relay"]},
            certificate=write_certificate(folder / "cert", "mail.exim.test"),
            smtp="hosts_require_tls = *",
        )
        home.tables = f'[[route]]\nmatch = "exim.test"\nto = "smtp://127.0.0.1:{exim.port}"\ntls = "require"\n'
        home.prepare()
        passwords = {f"{name}@example.test": home.add_account(name) for name in ("alice", "bob")}
        home.start()
        stack.callback(home.stop)
        exim.start()
        stack.callback(exim.stop)
        yield Town(home, home, passwords), exim


def send(town: Town, to: list[str], content: bytes) -> None:
    with smtplib.SMTP_SSL(
        "localhost", town.home.ports["submissions"], context=town.context(town.home), timeout=30
    ) as client:
        client.login("alice@example.test", town.passwords["alice@example.test"])
        client.sendmail("alice@example.test", to, b"From: alice@example.test\r\n" + content)


def taken(exim: LabExim, subject: bytes) -> bytes:
    """The letter in carol's Maildir, once it is there."""

    def find() -> bytes | None:
        letters = [path.read_bytes() for path in (exim.boxes / "carol" / "new").glob("*")]
        return next((letter for letter in letters if subject in letter), None)

    letter = eventually(find, "the letter in Exim's mailbox")
    assert isinstance(letter, bytes)
    return letter


def test_exim_sends_to_us_with_starttls(pair: tuple[Town, LabExim]) -> None:
    town, exim = pair
    with smtplib.SMTP("127.0.0.1", exim.port, timeout=30) as client:
        client.sendmail("dan@exim.test", ["bob@example.test"], b"Subject: from-exim\r\n\r\nhello\r\n.dot\r\n")
    letter = town.wait_for("bob@example.test", "from-exim")
    assert b"with ESMTPS" in letter.replace(b"\r\n\t", b" ")
    assert letter.endswith(b"hello\r\n.dot\r\n")


@pytest.mark.parametrize("size", [40, 300_000], ids=["small", "large"])
def test_exim_receives_from_us_with_starttls(pair: tuple[Town, LabExim], size: int) -> None:
    """A small letter is sent from memory, a large one piece by piece."""
    town, exim = pair
    body = b".dot\r\n" * (size // 6)
    send(town, ["carol@exim.test"], b"Subject: to-exim-%d\r\n\r\n" % size + body)
    letter = taken(exim, b"Subject: to-exim-%d\n" % size)
    assert b"with esmtps" in letter
    assert letter.endswith(b"\n\n" + body.replace(b"\r\n", b"\n"))


def test_a_refusal_by_exim_comes_back_as_a_report(pair: tuple[Town, LabExim]) -> None:
    """Beside a recipient who is taken: each has an outcome of his own."""
    town, exim = pair
    send(town, ["nobody@exim.test", "carol@exim.test"], b"Subject: refused-by-exim\r\n\r\nx\r\n")
    report = town.wait_for("alice@example.test", "refused-by-exim")
    assert b"Action: failed" in report
    assert b"550 5.0.0 no such user here" in report
    assert b"nobody@exim.test" in report
    assert b"rfc822; carol@exim.test" not in report
    taken(exim, b"Subject: refused-by-exim\n")
