"""Workers that share sockets share the sessions."""

from __future__ import annotations

import asyncio
import socket

import pytest

from ekiden.app.heartbeat import Heartbeats, WorkerBalance
from ekiden.model.door import Door
from ekiden.net import balance
from ekiden.net.balance import Alone, is_crowded
from ekiden.net.listener import Doors, DoorService
from tests.fakes.clock import FakeClock, FakeRandom
from tests.fakes.events import CollectingSink


@pytest.mark.parametrize(
    ("mine", "least", "crowded"),
    [(13, 0, True), (12, 0, False), (42, 20, False), (43, 20, True), (1000, -1, False), (0, 0, False)],
)
def test_the_rule(mine, least, crowded):
    assert is_crowded(mine, least) is crowded


def test_one_worker_alone_is_never_crowded():
    assert not is_crowded(10_000, Alone().least())


def test_only_those_who_live_and_accept_count():
    page = Heartbeats(4)
    mine = WorkerBalance(page, 0)
    assert mine.least() == -1
    for slot in range(4):
        page.begin(slot)
    assert mine.least() == -1  # none accepts yet
    for slot, sessions in ((1, 30), (2, 20)):
        WorkerBalance(page, slot).tell(sessions)
    mine.tell(1)
    assert mine.least() == 20
    WorkerBalance(page, 2).tell(-1)
    assert mine.least() == 30
    page._numbers[3] = 1.0  # beat long ago
    assert mine.least() == -1


class Peers:
    """What this worker believes of the others."""

    def __init__(self):
        self.told = []
        self.others = -1

    def tell(self, sessions):
        self.told.append(sessions)

    def least(self):
        return self.others


class Silent:
    """A session that says nothing."""

    def connected(self, wire):
        self.wire = wire

    def lost(self, error):
        pass

    def tick(self, now):
        pass

    def ended(self):
        return False

    def received(self, data):
        pass


@pytest.fixture
async def doors():
    peers = Peers()
    doors = Doors(asyncio.get_running_loop(), FakeClock(), FakeRandom(), CollectingSink(), peers)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    address = listener.getsockname()
    await doors.open({Door.RELAY: [listener]}, {Door.RELAY: DoorService(Silent, b"", None, 100)})
    yield doors, peers, address
    doors.close()
    await doors.wires.empty()


async def accepted(doors, number):
    while len(doors.wires) < number:
        await asyncio.sleep(0)


async def test_a_crowded_worker_pauses_until_others_have_more(doors, monkeypatch):
    monkeypatch.setattr("ekiden.net.listener.PAUSE", 0.0)
    doors, peers, address = doors
    connections = [socket.create_connection(address) for _ in range(balance.ROOM)]
    await accepted(doors, balance.ROOM)
    peers.others = 0
    connections.append(socket.create_connection(address))
    await accepted(doors, balance.ROOM + 1)
    assert doors._servers == []
    connections.append(socket.create_connection(address))  # waits in the kernel
    peers.others = 5
    await accepted(doors, balance.ROOM + 2)
    assert peers.told[-1] == balance.ROOM + 2
    for connection in connections:
        connection.close()


async def test_the_pause_ends_when_its_sessions_do(doors, monkeypatch):
    monkeypatch.setattr("ekiden.net.listener.PAUSE", 3600.0)
    doors, peers, address = doors
    peers.others = 4
    connections = [socket.create_connection(address) for _ in range(balance.ROOM + 7)]
    await accepted(doors, balance.ROOM + 7)
    connections.append(socket.create_connection(address))
    for _ in range(50):
        await asyncio.sleep(0)
    assert len(doors.wires) == balance.ROOM + 7
    for wire in list(doors.wires)[: balance.ROOM + 1]:
        wire.abort()
    while peers.told[-2:] != [6, 7]:
        await asyncio.sleep(0)
    for connection in connections:
        connection.close()


async def test_it_accepts_all_the_same_when_the_others_do_not(doors, monkeypatch):
    monkeypatch.setattr("ekiden.net.listener.PAUSE", 0.0)
    doors, peers, address = doors
    peers.others = 0
    connections = [socket.create_connection(address) for _ in range(30)]
    await accepted(doors, 30)
    for connection in connections:
        connection.close()


async def test_without_descriptors_it_tries_again(doors, monkeypatch):
    monkeypatch.setattr("ekiden.net.listener.PAUSE", 0.0)
    monkeypatch.setattr("ekiden.net.listener.RETRY", 0.0)
    doors, peers, address = doors
    opener, doors._bound = doors._bound, [(doors._bound[0][0], NoDescriptors())]
    peers.others = 0
    connections = [socket.create_connection(address) for _ in range(balance.ROOM + 1)]
    await accepted(doors, balance.ROOM + 1)
    while not doors._events.events:
        await asyncio.sleep(0)
    doors._bound = opener
    connections.append(socket.create_connection(address))
    await accepted(doors, balance.ROOM + 2)
    for connection in connections:
        connection.close()


class NoDescriptors:
    def dup(self):
        raise OSError(24, "Too many open files")


async def test_who_closes_the_doors_takes_no_part_any_more(doors):
    doors, peers, _ = doors
    assert peers.told == [0]
    doors.stop()
    assert peers.told[-1] == -1
