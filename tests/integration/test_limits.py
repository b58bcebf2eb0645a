"""Limits and quotas on a running server with two workers: counted together, kept over a restart, told to the owner."""

from __future__ import annotations

import poplib
import smtplib
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ekiden.lab.server import LabServer
from tests.integration.test_supervisor import events, until

ALICE, BOB = "alice@example.test", "bob@example.test"
LETTER = f"From: <{ALICE}>\r\nSubject: hi\r\n\r\n" + "x" * 70 + "\r\n"


class House:
    def __init__(self, server: LabServer) -> None:
        self.server = server
        self.passwords: dict[str, str] = {}

    def start(self, config: str) -> None:
        self.server.extra = config
        self.server.prepare()
        self.passwords = {login: self.server.add_account(login.partition("@")[0]) for login in (ALICE, BOB)}
        self.server.start()
        until(lambda: len(events(self.server, "worker-started")) >= 2)

    @property
    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.server.certificate))

    def log_in(self) -> smtplib.SMTP_SSL:
        client = smtplib.SMTP_SSL("127.0.0.1", self.server.ports["submissions"], context=self.tls)
        client.login(ALICE, self.passwords[ALICE])
        return client

    def send(self, text: str = LETTER) -> bool:
        """Whether it was taken. One connection a letter, so that both workers come to it."""
        with self.log_in() as client:
            code = client.mail(ALICE, [f"SIZE={len(text)}"])[0]
            if code == 250:
                code = client.rcpt(BOB)[0]
            if code == 250:
                code = client.data(text)[0]
        assert code in (250, 450, 452)
        return code == 250

    def subjects(self) -> list[bytes]:
        box = poplib.POP3_SSL("127.0.0.1", self.server.ports["pop3s"], context=self.tls)
        try:
            box.user(BOB)
            box.pass_(self.passwords[BOB])
            count = box.stat()[0]
            lines = [line for number in range(1, count + 1) for line in box.top(number, 0)[1]]
        finally:
            box.quit()
        return [line[9:] for line in lines if line.startswith(b"Subject: ")]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(LabServer(tmp_path / "home", "example.test", workers=2))
    yield made
    made.server.kill()


def test_two_workers_take_exactly_as_many_as_the_limit_says_and_a_restart_gives_none_back(house: House) -> None:
    house.start('profile = [{ name = "person", messages_per_day = 12 }]')
    with ThreadPoolExecutor(8) as people:
        taken = list(people.map(lambda _: house.send(), range(30)))
    assert sum(taken) == 12
    assert events(house.server, "limit.reached")[0]["who"] == ALICE
    assert len(events(house.server, "limit.near")) == 1
    house.server.stop()
    house.server.start()
    assert not house.send()
    house.server.command("account", "profile", ALICE, "application")
    until(house.send)


def test_a_full_mailbox_refuses_for_now_and_its_owner_was_told(house: House) -> None:
    house.start("")
    house.server.command("account", "quota", BOB, "20KiB")
    text = LETTER + "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 8
    until(lambda: not house.send(text))
    until(lambda: any(event["name"] == BOB for event in events(house.server, "quota.full")))
    until(lambda: b"Your mailbox is nearly full" in house.subjects())
    assert [event["name"] for event in events(house.server, "quota.near")] == [BOB]
    house.server.command("account", "quota", BOB, "1MiB")
    until(lambda: house.send(text))
