"""What supervisor and workers share: orders, heartbeats, the data folder, secrets and lists."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ekiden.app import data_folder
from ekiden.app.heartbeat import Heartbeats, boot_time
from ekiden.app.orders import (
    Frame,
    Order,
    OrderReader,
    parse_pairs,
    parse_reload,
    render_pairs,
    render_reload,
    send,
)
from ekiden.app.privileges import resolve
from ekiden.app.recipient_lists import FileRecipientLists
from ekiden.app.refusal import StartRefused
from ekiden.app.secrets import read_secrets
from ekiden.config.model import Config, Domain, Relay, Route, WideNetwork
from ekiden.net.certificates import Pair

CONFIG = Config(
    hostname="mail.example.test",
    data_dir="/d",
    relay=Relay(trusted_networks=("10.0.0.1", WideNetwork(net="10.0.0.0/8", wide=True))),
    domain=(Domain(name="example.test"), Domain(name="list.test", recipients="list:/people")),
)


def test_a_configuration_survives_the_way_to_the_workers() -> None:
    pairs = (Pair(b"chain", b"key"),)
    fresh = parse_reload(render_reload(CONFIG, pairs))
    assert (fresh.config, fresh.pairs) == (CONFIG, pairs)
    assert parse_pairs(render_pairs(pairs)) == pairs


@pytest.mark.parametrize("size", [1, 3, 4, 1000])
def test_orders_however_they_are_split(size: int) -> None:
    frames = [Frame(Order.RELOAD, b"x" * 300), Frame(Order.REOPEN_LOG), Frame(Order.WORKER_DIED)]
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for frame in frames:
            send(ours, frame)
        ours.shutdown(socket.SHUT_WR)
        reader, found = OrderReader(), []
        while data := theirs.recv(size):
            found += reader.feed(data)
    assert found == frames


def test_heartbeats_cross_a_fork() -> None:
    heartbeats = Heartbeats(2)
    heartbeats.begin(1)
    before = heartbeats.last(1)
    assert not heartbeats.is_ready(1)
    pid = os.fork()
    if pid == 0:
        heartbeats.beat(1, ready=True)
        os._exit(0)
    os.waitpid(pid, 0)
    assert heartbeats.is_ready(1)
    assert before <= heartbeats.last(1) <= boot_time()
    assert heartbeats.last(0) == 0.0
    heartbeats.begin(1)
    assert not heartbeats.is_ready(1)


def test_claiming_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_folder, "WAIT_SECONDS", 0.0)
    identity = resolve("")
    folder = tmp_path / "a" / "data"
    assert data_folder.problem(str(folder), identity) == ""
    assert not data_folder.is_in_use(str(folder))
    lock = data_folder.claim(str(folder), identity)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert data_folder.is_in_use(str(folder))
    assert data_folder.problem(str(folder), identity) == ""
    with pytest.raises(StartRefused, match=rf"is in use.*process {os.getpid()}"):
        data_folder.wait_until_free(str(folder))
    with pytest.raises(StartRefused, match="is in use"):
        data_folder.claim(str(folder), identity)
    os.close(lock)
    data_folder.wait_until_free(str(folder))


@pytest.mark.parametrize("name", ["directory.db", "bans.db"])
def test_what_commands_made_before_the_first_start_is_ours(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert data_folder.problem(str(tmp_path), resolve("")) == ""
    (tmp_path / name).rename(tmp_path / "other.db")
    assert "is not ours" in data_folder.problem(str(tmp_path), resolve(""))


def test_a_loose_folder_of_ours_is_tightened(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o755)
    os.close(data_folder.claim(str(folder), resolve("")))
    assert folder.stat().st_mode & 0o777 == 0o700


def test_secrets(tmp_path: Path) -> None:
    def config(**keys: str) -> Config:
        route = Route(match="*", to=("smtp://x.test:25",), username="me", **keys)
        return Config(hostname="h.test", data_dir="/d", route=(route, Route(match="a.test", to=("smtp://y.test:25",))))

    secret = tmp_path / "secret"
    secret.write_text(" gehéim \r\nsecond line")
    (credentials,) = read_secrets(config(password_file=str(secret))).values()
    assert (credentials.username, credentials.password) == ("me", " gehéim ")
    assert "gehéim" not in repr(credentials)
    assert read_secrets(config(password_env="P"), {"P": "x"})["*"].password == "x"
    secret.write_text("\n")
    for broken in (config(password_file=str(secret)), config(password_file="/none"), config(password_env="P")):
        with pytest.raises(StartRefused, match=r"route \"\*\""):
            read_secrets(broken, {})


def test_recipient_lists(tmp_path: Path) -> None:
    people, told = tmp_path / "people", []
    people.write_text("# staff\n\nAnna@List.test\n  bob@list.test  \nno address\n")
    config = Config(hostname="h.test", data_dir="/d", domain=(Domain(name="list.test", recipients=f"list:{people}"),))
    lists = FileRecipientLists(config, lambda path, text: told.append(path))
    assert lists.contains(str(people), "anna@list.test")
    assert lists.contains(f"list:{people}", "bob@list.test")
    assert not lists.contains(str(people), "carol@list.test")
    assert not lists.contains("/other", "anna@list.test")
    people.unlink()
    again = FileRecipientLists(config, lambda path, text: told.append(path), lists)
    assert told == [str(people)]
    assert again.contains(str(people), "anna@list.test")


def test_a_beat_is_never_seen_half_written() -> None:
    """A reader that saw the moment between clearing and writing would take a healthy worker for a silent one."""
    heartbeats = Heartbeats(1)
    heartbeats.begin(0)
    child = os.fork()
    if not child:
        for _ in range(200_000):
            heartbeats.beat(0, ready=True)
        os._exit(0)
    lowest = min(heartbeats.last(0) for _ in range(200_000))
    assert os.waitpid(child, 0)[1] == 0
    assert lowest > 0
