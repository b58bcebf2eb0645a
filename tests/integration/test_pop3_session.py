"""The POP3 doors over real sockets and TLS, with a Maildir behind them, against clients that nobody here wrote."""

from __future__ import annotations

import asyncio
import poplib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ekiden.accounts.login import Authenticator
from ekiden.model.account import Account
from ekiden.model.door import Door
from ekiden.model.events import InternalFault
from ekiden.model.ids import IdSequence, LetterId
from ekiden.net.certificates import load_certificate
from ekiden.net.listener import Doors, DoorService
from ekiden.net.tls import door_side
from ekiden.session.pop3 import Pop3Session
from ekiden.session.pop3_doorway import Pop3Doorway
from ekiden.storage.maildir.store import MaildirMailboxes
from ekiden.storage.memory.content import MemoryContent
from ekiden.storage.memory.directory import MemoryDirectory
from ekiden.storage.memory.known_pairs import MemoryKnownPairs
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.events import CollectingSink
from tests.fakes.passwords import FakeHasher
from tests.fakes.pop3_house import ALICE, SCRAM
from tests.integration.certificates import Files, make_certificate

MESSAGES = [
    b"Subject: one\r\n\r\n.dots\r\n..\r\nend\r\n",
    b"Subject: large\r\n\r\n" + b"".join(b".%d\r\n" % n for n in range(100_000)),
    "Subject: 駅伝\r\n\r\nへ\r\n".encode(),
    b"Subject: no end\r\n\r\nno end",
]


class House:
    def __init__(self, root: Path, files: Files) -> None:
        self.files = files
        self.events = CollectingSink()
        self.clock = FakeClock()
        self.mailboxes = MaildirMailboxes(root, self.clock)
        self.directory = MemoryDirectory()
        self.ports: dict[Door, int] = {}
        self.doors = Doors(asyncio.get_running_loop(), self.clock, FakeRandom(), self.events)
        self._ids = IdSequence(1)

    async def open(self) -> None:
        await self.directory.add_account(Account(ALICE, "$fake$wonderland", SCRAM))
        side = door_side([load_certificate(self.files.certificate, self.files.key)])
        authenticator = Authenticator(
            self.directory, FakeHasher(), self.clock, FakeRandom(), MemoryKnownPairs(), ["example.test"]
        )
        sockets, services = {}, {}
        for door in (Door.POP3, Door.POP3S):
            doorway = Pop3Doorway(
                door, "mail.example.test", self.clock, self._ids, self.events, self.mailboxes, authenticator
            )
            sockets[door] = [socket.create_server(("127.0.0.1", 0))]
            services[door] = DoorService(lambda d=doorway: Pop3Session(d), b"-ERR full\r\n", side, 100)  # type: ignore[misc]
            self.ports[door] = sockets[door][0].getsockname()[1]
        await self.doors.open(sockets, services)
        for octets in MESSAGES:
            await self.deliver(octets)

    async def deliver(self, octets: bytes) -> None:
        letter = LetterId(self._ids.next(self.clock.now()))
        await self.mailboxes.deliver(ALICE, letter, ALICE, b"", MemoryContent(octets))

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.files.authority)

    def stls(self) -> poplib.POP3:
        client = poplib.POP3("127.0.0.1", self.ports[Door.POP3], timeout=20)
        client.stls(self.context)
        return client

    def implicit(self) -> poplib.POP3:
        return poplib.POP3_SSL("127.0.0.1", self.ports[Door.POP3S], context=self.context, timeout=20)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path / "mail", make_certificate(tmp_path))
    await house.open()
    yield house
    house.doors.close()
    await house.mailboxes.close()
    await asyncio.sleep(0)
    assert not house.events.of(InternalFault)


async def in_thread(call: Callable[..., Any], *args: object) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, call, *args)


@pytest.mark.parametrize("way", ["stls", "implicit"])
async def test_poplib_fetches_and_deletes(house: House, way: str) -> None:
    def talk() -> tuple[list[bytes], list[bytes]]:
        client: poplib.POP3 = getattr(house, way)()
        client.utf8()
        client.user("alice@example.test")
        client.pass_("wonderland")
        count, octets = client.stat()
        fetched, total = [], 0
        for number in range(1, count + 1):
            _, lines, _ = client.retr(number)
            fetched.append(b"".join(line + b"\r\n" for line in lines))
            assert len(fetched[-1]) == int(client.list(number).split()[2])
            total += len(fetched[-1])
        assert total == octets
        _, top, _ = client.top(2, 2)
        assert top == [b"Subject: large", b"", b".0", b".1"]
        uids = client.uidl()[1]
        assert len(set(uids)) == count
        client.dele(1)
        client.dele(4)
        client.quit()
        return fetched, uids

    fetched, uids = await in_thread(talk)
    assert fetched == [*MESSAGES[:3], MESSAGES[3] + b"\r\n"]

    def again() -> list[bytes]:
        client: poplib.POP3 = getattr(house, way)()
        client.user("alice")
        client.pass_("wonderland")
        lines: list[bytes] = client.uidl()[1]
        client.quit()
        return lines

    kept = await in_thread(again)
    assert [line.split()[1] for line in kept] == [line.split()[1] for line in uids[1:3]]


async def test_a_client_that_hangs_up_deletes_nothing(house: House) -> None:
    def talk() -> None:
        client = house.implicit()
        client.user("alice")
        client.pass_("wonderland")
        client.dele(1)
        client.close()

    await in_thread(talk)
    drop = await house.mailboxes.open_maildrop(ALICE) if not house.doors.wires else None
    for _ in range(1000):
        if drop is not None:
            break
        await asyncio.sleep(0.001)
        if not list(house.doors.wires):
            drop = await house.mailboxes.open_maildrop(ALICE)
    assert drop is not None
    assert len(drop.items) == len(MESSAGES)
    await drop.close()


async def test_two_clients_and_no_login_in_the_clear(house: House) -> None:
    def talk() -> None:
        plain = poplib.POP3("127.0.0.1", house.ports[Door.POP3], timeout=20)
        with pytest.raises(poplib.error_proto, match="AUTH"):
            plain.user("alice")
        plain.quit()
        first, second = house.implicit(), house.stls()
        for client in (first, second):
            client.user("alice")
        first.pass_("wonderland")
        with pytest.raises(poplib.error_proto, match="IN-USE"):
            second.pass_("wonderland")
        first.quit()
        second.user("alice")
        second.pass_("wonderland")
        second.quit()

    await in_thread(talk)


@pytest.mark.peer("curl")
@pytest.mark.parametrize("arguments", [["--ssl-reqd", "pop3"], ["pop3s"]])
async def test_curl(house: House, arguments: list[str]) -> None:
    *options, scheme = arguments
    port = house.ports[Door.POP3 if scheme == "pop3" else Door.POP3S]
    for message, expected in (("1", MESSAGES[0]), ("2", MESSAGES[1])):
        process = await asyncio.create_subprocess_exec(
            *("curl", "--silent", "--show-error", "--max-time", "20", "--cacert", house.files.authority, *options),
            *("--user", "alice@example.test:wonderland", f"{scheme}://127.0.0.1:{port}/{message}"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, error = await process.communicate()
        assert (process.returncode, error) == (0, b"")
        assert out == expected
