"""A Maildir that we wrote, read by Dovecot; and what Dovecot made of it, read by us again."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from ekiden.model.ids import IdSequence, LetterId
from ekiden.storage.maildir.store import MaildirMailboxes
from ekiden.storage.memory.content import MemoryContent
from tests.contract.test_mailboxes import contents
from tests.fakes.clock import FakeClock

ALICE = "alice@example.test"
MESSAGES = [
    b"From: a@example.org\r\nSubject: one\r\n\r\nfirst\r\n",
    b"From: a@example.org\r\nSubject: two\r\n\r\n.dot\r\nno end",
    b"From: a@example.org\r\nSubject: three\r\n\r\n" + b"0123456789\r\n" * 10_000,
]
CONFIG = """
base_dir = {base}
log_path = /dev/stderr
mail_location = maildir:{maildir}
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 0
first_valid_gid = 0
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
stats_writer_socket_path =
protocols =
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that a reader without our rights can reach (pytest's own are closed to others)."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
async def boxes(place: Path) -> AsyncIterator[MaildirMailboxes]:
    store = MaildirMailboxes(place / "mail", FakeClock())
    ids = IdSequence(1)
    for number, octets in enumerate(MESSAGES):
        letter = LetterId(ids.next(FakeClock().now() + number))
        await store.deliver(ALICE, letter, ALICE, b"", MemoryContent(octets))
    yield store
    await store.close()


def doveadm(place: Path, maildir: Path, *arguments: str, stdin: bytes = b"") -> str:
    """As whoever runs the tests. Dovecot reads no mail as root: then the Maildir is given to nobody."""
    owner = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    config, home = place / "dovecot.conf", place / "home"
    home.mkdir(exist_ok=True)
    if os.getuid() == 0:
        for path in [home, place / "mail", *(place / "mail").rglob("*")]:
            os.chown(path, owner.pw_uid, owner.pw_gid)
    config.write_text(
        CONFIG.format(
            base=place / "run",
            maildir=maildir,
            uid=owner.pw_uid,
            gid=owner.pw_gid,
            user=owner.pw_name,
            group=grp.getgrgid(owner.pw_gid).gr_name,
        )
    )
    done = subprocess.run(
        ["doveadm", "-c", str(config), *arguments],
        env=os.environ | {"USER": owner.pw_name, "HOME": str(home)},
        cwd=home,
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"Error" not in done.stderr, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.peer("doveadm")
async def test_dovecot_reads_ours_and_we_read_what_it_moved(boxes: MaildirMailboxes, place: Path) -> None:
    maildir = boxes.maildir(ALICE)
    before = await boxes.open_maildrop(ALICE)
    old_items = list(before.items)
    await before.close()

    listing = doveadm(place, maildir, "-f", "tab", "fetch", "hdr.subject size.physical size.virtual", "all")
    rows = [line.split("\t") for line in listing.splitlines()[1:]]
    assert [row[0] for row in rows] == ["one", "two", "three"]
    assert [int(row[1]) for row in rows] == [len(octets) for octets in MESSAGES]
    assert [int(row[2]) for row in rows] == [len(octets) for octets in MESSAGES]
    assert "no end" in doveadm(place, maildir, "fetch", "text", "subject", "two")

    doveadm(place, maildir, "flags", "add", r"\Seen \Flagged", "subject", "one")
    assert len(list(maildir.rglob("*.ekiden,*:2,FS"))) == 1
    after = await boxes.open_maildrop(ALICE)
    assert list(after.items) == old_items  # unique ids and sizes are what they were
    assert await contents(after) == MESSAGES
    assert await after.remove([2]) == []
    await after.close()
    assert doveadm(place, maildir, "-f", "flow", "fetch", "hdr.subject", "all").split() == [
        "hdr.subject=one",
        "hdr.subject=two",
    ]


@pytest.mark.peer("doveadm")
async def test_what_dovecot_saves_has_the_size_that_we_transmit(boxes: MaildirMailboxes, place: Path) -> None:
    maildir = boxes.maildir(ALICE)
    doveadm(place, maildir, "save", stdin=b"Subject: four\n\nlf\nonly\n")
    drop = await boxes.open_maildrop(ALICE)
    got = await contents(drop)
    assert b"Subject: four\r\n\r\nlf\r\nonly\r\n" in got
    assert [item.size_octets for item in drop.items] == [
        len(octets) + (0 if octets.endswith(b"\r\n") else 2) for octets in got
    ]
    await drop.close()
