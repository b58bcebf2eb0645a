"""The supervisor's certificates: taken up when their files change, kept when those are wrong, and told before they
expire."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ekiden.app.certificates import LOOK_SECONDS, Certificates
from ekiden.app.refusal import StartRefused
from ekiden.config.model import Config, ExtraCertificate, Tls
from ekiden.model.events import CertificateExpiring, CertificateLoaded, CertificateRefused
from ekiden.net.certificates import Pair, load_certificate
from tests.fakes.clock import FakeClock
from tests.fakes.events import CollectingSink
from tests.unit.net.test_certificates import START, make

DAY = 86400.0


class House:
    """A folder with a certificate in [tls] and one more, and who looks after them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock(now=START.timestamp() + DAY)
        self.sink = CollectingSink()
        self.first, self.second = folder / "first", folder / "second"
        self.changes = 0
        for place, name in ((self.first, "mail.example.test"), (self.second, "mail.example.org")):
            place.mkdir()
            self.renew(place, name)
        self.config = Config(
            hostname="mail.example.test",
            data_dir="data",
            tls=Tls(certificate=f"{self.first}/c.pem", private_key=f"{self.first}/k.pem"),
            extra_certificate=(
                ExtraCertificate(certificate=f"{self.second}/c.pem", private_key=f"{self.second}/k.pem"),
            ),
        )
        self.kept = Certificates(self.config, self.sink.emit, self.clock.now, self.clock.monotonic)

    def renew(self, place: Path, name: str) -> Pair:
        pair = load_certificate(*make(place, name)).pair
        for file in ("c.pem", "k.pem"):
            self.touch(place / file)
        return pair

    def touch(self, file: Path) -> None:
        """A time of its own: two writes may fall into one tick of the file system's clock."""
        self.changes += 1
        os.utime(file, ns=(self.changes, self.changes))

    def look(self) -> tuple[Pair, ...] | None:
        self.clock.advance(LOOK_SECONDS)
        return self.kept.look()

    def loaded(self) -> list[tuple[str, list[str]]]:
        return [(event.key, event.names) for event in self.sink.of(CertificateLoaded)]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_told_at_the_start(house: House) -> None:
    assert house.loaded() == [("tls", ["mail.example.test"]), ("extra_certificate[1]", ["mail.example.org"])]
    assert len(house.kept.pairs) == 2
    assert house.look() is None


def test_renewed_files_are_taken_up(house: House) -> None:
    old = house.kept.pairs
    fresh = house.renew(house.second, "mail.example.org")
    assert house.look() == (old[0], fresh)
    assert house.kept.pairs == (old[0], fresh)
    assert house.loaded()[2:] == [("extra_certificate[1]", ["mail.example.org"])]
    assert house.look() is None


def test_files_are_not_looked_at_more_often_than_needed(house: House) -> None:
    house.look()
    house.renew(house.first, "mail.example.test")
    assert house.kept.look() is None
    assert house.look() is not None


def test_a_renewal_half_written_is_waited_for(house: House) -> None:
    before = house.kept.pairs
    key = (house.first / "k.pem").read_bytes()
    house.renew(house.first, "mail.example.test")
    new_key = (house.first / "k.pem").read_bytes()
    (house.first / "k.pem").write_bytes(key)
    assert house.look() is None
    assert house.kept.pairs == before
    (house.first / "k.pem").write_bytes(new_key)
    house.touch(house.first / "k.pem")
    pairs = house.look()
    assert pairs is not None
    assert pairs[0].private_key == new_key
    assert not house.sink.of(CertificateRefused)


def test_a_broken_renewal_keeps_the_old_one_and_says_so_once(house: House) -> None:
    before = house.kept.pairs
    (house.second / "c.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    house.touch(house.second / "c.pem")
    assert [house.look() for _ in range(4)] == [None] * 4
    refused = house.sink.one(CertificateRefused)
    assert refused.key == "extra_certificate[1].certificate"
    assert "is damaged" in refused.reason
    assert house.kept.pairs == before
    fresh = house.renew(house.second, "mail.example.org")
    assert house.look() == (before[0], fresh)


def test_files_that_vanish_keep_the_old_one(house: House) -> None:
    before = house.kept.pairs
    (house.first / "k.pem").unlink()
    assert [house.look() for _ in range(3)] == [None] * 3
    assert "No such file" in house.sink.one(CertificateRefused).reason
    assert house.kept.pairs == before


def test_warned_at_21_7_and_1_days_and_at_the_end_once_each(house: House) -> None:
    end = START.timestamp() + 90 * DAY
    told = []
    for left in (30.0, 21.5, 20.9, 15.0, 7.1, 6.9, 2.0, 0.9, 0.5, -0.1, -3.0):
        house.clock.jump(end - left * DAY - house.clock.now())
        before = len(house.sink.of(CertificateExpiring))
        house.look()
        house.look()
        told += [(left, e.key, e.days, e.level) for e in house.sink.of(CertificateExpiring)[before:]]
    assert told == [
        (left, key, days, level)
        for left, days, level in ((20.9, 21, "warning"), (6.9, 7, "warning"), (0.9, 1, "error"), (-0.1, 0, "error"))
        for key in ("tls", "extra_certificate[1]")
    ]


def test_late_to_look_only_the_last_warning_is_told(house: House) -> None:
    house.clock.jump(START.timestamp() + 84 * DAY - house.clock.now())
    house.look()
    assert [event.days for event in house.sink.of(CertificateExpiring)] == [7, 7]


def test_a_certificate_of_a_few_days_is_not_always_close_to_its_end(house: House) -> None:
    short = load_certificate(f"{house.first}/c.pem", f"{house.first}/k.pem")
    from ekiden.app.certificates import days_left

    short = short._replace(not_after=short.not_before + 7 * DAY)
    found = [days_left(short, short.not_before + days * DAY) for days in (0.0, 5.5, 6.5, 7.0)]
    assert found == [None, None, 1, 0]


def test_a_reload_takes_what_the_configuration_names_or_changes_nothing(house: House) -> None:
    before = house.kept.pairs
    (house.first / "c.pem").write_text("nothing")
    with pytest.raises(StartRefused, match=r"^tls\.certificate: .*holds no PEM certificate"):
        house.kept.take(house.config)
    assert house.kept.pairs == before
    fresh = house.renew(house.first, "new.example.test")
    house.kept.take(house.config)
    assert house.kept.pairs == (fresh, before[1])
    assert house.loaded()[2:] == [("tls", ["new.example.test"])]
