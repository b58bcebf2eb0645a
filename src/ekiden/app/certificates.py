"""The certificates of our doors as the supervisor keeps them: read at start and reload, looked after meanwhile.

Rules
1. The supervisor reads the files and gives the octets to its workers: all have the same, and a worker that is made
   anew gets what is in use, whatever lies in the files by then.
2. Files that changed (a renewal) are taken up by themselves, no reload needed, when each certificate fits its key.
   What does not fit is given until the next look, since a renewal writes one file after the other; then
   `certificate.refused` says why, and what is in use stays.
3. When 21, 7 and 1 days are left, and when none is, `certificate.expiring` says so: once each a certificate. One that
   lives less than twice as long as such a warning gets none of it: it is renewed later than that.

`app.serving` makes it, `app.supervisor` calls `look`, `app.config_check` asks `days_left`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from ekiden.app.config_file import render_key
from ekiden.app.config_lines import KeyPath
from ekiden.app.refusal import StartRefused
from ekiden.config.model import Config
from ekiden.model.events import CertificateExpiring, CertificateLoaded, CertificateRefused, Event
from ekiden.net.certificates import Certificate, Pair, TlsFailed, load_certificate
from ekiden.net.tls import door_side

#: Seconds between two looks; each is two stat(2) a certificate.
LOOK_SECONDS: Final = 5.0
#: Days before the end at which somebody should hear of it. Renewal is usual at a third of 90 days: 21 means that it has
#: failed for nine days.
WARN_DAYS: Final = (21, 7, 1)
_DAY: Final = 86400.0
_WIDTH_OF_NAMES: Final = 20

Stamp = tuple[tuple[int, int, int], ...]


class Place(NamedTuple):
    """Where a certificate is configured, and its files."""

    path: KeyPath
    certificate: str
    private_key: str

    @property
    def key(self) -> str:
        """`tls` or `extra_certificate[1]`."""
        return render_key(self.path)


def places(config: Config) -> list[Place]:
    """The first is the one for clients that name nothing."""
    if not config.tls.certificate:
        return []
    extra = [
        Place(("extra_certificate", index), entry.certificate, entry.private_key)
        for index, entry in enumerate(config.extra_certificate)
    ]
    return [Place(("tls",), config.tls.certificate, config.tls.private_key), *extra]


def read_certificate(place: Place) -> Certificate:
    """Reads and tries it. Raises TlsFailed, and nothing else: the supervisor must not die of a strange file."""
    try:
        certificate = load_certificate(place.certificate, place.private_key)
        door_side([certificate])
    except TlsFailed:
        raise
    except Exception as error:
        raise TlsFailed("certificate", f"{place.certificate} or its key cannot be used: {error}") from None
    return certificate


def days_left(certificate: Certificate, now: float) -> int | None:
    """The smallest of `WARN_DAYS` that it has less than, 0 if it has expired, None if all is well."""
    left = certificate.not_after - now
    if left <= 0:
        return 0
    life = certificate.not_after - certificate.not_before
    reached = [days for days in WARN_DAYS if left < days * _DAY and days * _DAY * 2 <= life]
    return min(reached, default=None)


class Certificates:
    """Those in use. `emit`: where events go; `now`: seconds since 1970; `monotonic`: for the pause between looks."""

    def __init__(
        self, config: Config, emit: Callable[[Event], None], now: Callable[[], float], monotonic: Callable[[], float]
    ) -> None:
        """Raises StartRefused."""
        self._emit = emit
        self._now = now
        self._monotonic = monotonic
        self._places: list[Place] = []
        self._used: list[Certificate] = []
        self._stamp: Stamp = ()
        self._failed: Stamp = ()
        self._told: dict[str, int] = {}
        self._due = 0.0
        self.take(config)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """For the workers."""
        return tuple(certificate.pair for certificate in self._used)

    def take(self, config: Config) -> None:
        """What `config` names, now. Raises StartRefused, and then changes nothing."""
        wanted = places(config)
        stamp = _stamp(wanted)
        fresh = []
        for place in wanted:
            try:
                fresh.append(read_certificate(place))
            except TlsFailed as error:
                raise StartRefused(f"{place.key}.{error.key}: {error}") from None
        self._places = wanted
        self._exchange(fresh, stamp)

    def look(self) -> tuple[Pair, ...] | None:
        """As often as you like. The workers' new pairs if there are new ones."""
        now = self._monotonic()
        if now < self._due:
            return None
        self._due = now + LOOK_SECONDS
        changed = self._look_at_files()
        self._look_at_days()
        return self.pairs if changed else None

    def _look_at_files(self) -> bool:
        stamp = _stamp(self._places)
        if stamp == self._stamp:
            return False
        faults = []
        fresh = []
        for place in self._places:
            try:
                fresh.append(read_certificate(place))
            except TlsFailed as error:
                faults.append(CertificateRefused(key=f"{place.key}.{error.key}", reason=str(error)))
        if not faults:
            return self._exchange(fresh, stamp)
        if stamp == self._failed:  # it was the same at the last look: nobody is in the middle of writing
            self._stamp = stamp
            for event in faults:
                self._emit(event)
        self._failed = stamp
        return False

    def _exchange(self, fresh: list[Certificate], stamp: Stamp) -> bool:
        before = [certificate.fingerprint for certificate in self._used]
        pairs = self.pairs
        self._used, self._stamp, self._failed = fresh, stamp, ()
        for place, certificate in zip(self._places, fresh, strict=True):
            if certificate.fingerprint not in before:
                self._emit(
                    CertificateLoaded(
                        key=place.key,
                        names=_names(certificate),
                        until=certificate.not_after,
                        fingerprint=certificate.fingerprint,
                    )
                )
        self._told = {one.fingerprint: self._told[one.fingerprint] for one in fresh if one.fingerprint in self._told}
        return self.pairs != pairs

    def _look_at_days(self) -> None:
        for place, certificate, days in self._expiring():
            self._told[certificate.fingerprint] = days
            self._emit(
                CertificateExpiring(
                    key=place.key,
                    names=_names(certificate),
                    until=certificate.not_after,
                    days=days,
                    fingerprint=certificate.fingerprint,
                    level="error" if days <= 1 else "warning",
                )
            )

    def _expiring(self) -> Iterator[tuple[Place, Certificate, int]]:
        now = self._now()
        for place, certificate in zip(self._places, self._used, strict=True):
            days = days_left(certificate, now)
            if days is not None and days < self._told.get(certificate.fingerprint, WARN_DAYS[0] + 1):
                yield place, certificate, days


def _names(certificate: Certificate) -> list[str]:
    """The first few: a certificate may hold a hundred."""
    return list(certificate.names[:_WIDTH_OF_NAMES])


def _stamp(wanted: list[Place]) -> Stamp:
    """Changes when a file does."""
    return tuple(_stamp_of(path) for place in wanted for path in (place.certificate, place.private_key))


def _stamp_of(path: str) -> tuple[int, int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
