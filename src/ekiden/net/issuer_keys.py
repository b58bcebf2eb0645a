"""IssuerKeys: the public keys that an issuer signs its tokens with, from a file or from its server (JWKS, RFC 7517).

Rules
1. Read when the first token comes, again after `FRESH` seconds, and when a token names a key that we do not have; never
   more often than once in `PAUSE` seconds: strangers may show any token they like.
2. Keys that we have go on while the issuer does not answer, for `STALE` seconds. Who has none waits for the reading.
3. Reading happens in a thread of its own, which nobody has to wait for at the end.
4. HTTPS alone, the certificate proven, no redirects, `MOST_OCTETS` at most, `WITHIN` seconds in all.
5. Keys that cannot verify one of our algorithms (symmetric ones, those for encryption, RSA below 2048 bits) are not
   there.

`net.tokens` asks for keys; `app.config_check` tries a file.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from joserfc import jwk

from ekiden.ports.clock import Clock

FRESH: Final = 3600.0
STALE: Final = 86400.0
PAUSE: Final = 60.0
WITHIN: Final = 10.0
MOST_OCTETS: Final = 256 * 1024
_LEAST_RSA_BITS: Final = 2048

Key = jwk.RSAKey | jwk.ECKey | jwk.OKPKey


class KeysFailed(Exception):
    """They cannot be read; `str()`: one sentence."""


class KeySet(NamedTuple):
    keys: tuple[Key, ...] = ()

    def find(self, kid: str) -> Key | None:
        """By its id. A token without one is meant for the only key there is."""
        if not kid:
            return self.keys[0] if len(self.keys) == 1 else None
        return next((key for key in self.keys if key.kid == kid), None)


class IssuerKeys:
    """`read` blocks and may raise KeysFailed; `failed` is told why."""

    def __init__(self, read: Callable[[], KeySet], clock: Clock, failed: Callable[[str], None]) -> None:
        self._read = read
        self._clock = clock
        self._failed = failed
        self._keys = KeySet()
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._reading: asyncio.Future[None] | None = None

    async def find(self, kid: str) -> Key | None:
        """None: there is no such key. Raises KeysFailed if there are none at all."""
        now = self._clock.monotonic()
        if now - self._read_at > FRESH:
            reading = self._read_again(now)
            if reading is not None and now - self._read_at > STALE:
                await asyncio.shield(reading)
        key = self._keys.find(kid)
        if key is None and (reading := self._read_again(now)) is not None:
            await asyncio.shield(reading)
            key = self._keys.find(kid)
        if self._clock.monotonic() - self._read_at > STALE:
            raise KeysFailed("the issuer's keys cannot be had")
        return key

    def _read_again(self, now: float) -> asyncio.Future[None] | None:
        """What is under way, or was begun; None: it is too early (rule 1)."""
        if self._reading is None and now - self._tried_at >= PAUSE:
            self._tried_at = now
            loop = asyncio.get_running_loop()
            self._reading = loop.create_future()
            threading.Thread(target=self._work, args=(loop,), name="issuer-keys", daemon=True).start()
        return self._reading

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        found: KeySet | str
        try:
            found = self._read()
        except KeysFailed as error:
            found = str(error)
        except Exception as error:  # a thread's error would be told to nobody
            found = repr(error)
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._arrived, found)

    def _arrived(self, found: KeySet | str) -> None:
        reading, self._reading = self._reading, None
        if isinstance(found, str):
            self._failed(found)
        else:
            self._keys, self._read_at = found, self._clock.monotonic()
        if reading is not None and not reading.done():
            reading.set_result(None)


def read_file(path: str) -> KeySet:
    """Raises KeysFailed."""
    try:
        with open(path, "rb") as file:
            return parse_keys(file.read(MOST_OCTETS + 1), path)
    except OSError as error:
        raise KeysFailed(f"{path} cannot be read: {error.strerror}") from None


def fetch(url: str) -> KeySet:
    """Blocks. Raises KeysFailed."""
    parts = urlsplit(url)
    assert parts.scheme == "https", "app.config_rules lets nothing else pass"
    deadline = time.monotonic() + WITHIN
    connection = http.client.HTTPSConnection(
        parts.hostname or "", parts.port or 443, timeout=WITHIN / 2, context=ssl.create_default_context()
    )
    try:
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request("GET", path, headers={"Accept": "application/json", "User-Agent": "ekiden"})
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise KeysFailed(f"{url} answers {answer.status}, not 200; redirects are not followed")
        octets = b""
        while len(octets) <= MOST_OCTETS and (part := answer.read1(65536)):
            octets += part
            if time.monotonic() > deadline:
                raise KeysFailed(f"{url} takes longer than {WITHIN:.0f} s")
    except (OSError, http.client.HTTPException) as error:
        raise KeysFailed(f"{url} cannot be fetched: {error}") from None
    finally:
        connection.close()
    return parse_keys(octets, url)


def parse_keys(octets: bytes, source: str) -> KeySet:
    """Raises KeysFailed if there is no key of use."""
    if len(octets) > MOST_OCTETS:
        raise KeysFailed(f"{source} has more than {MOST_OCTETS} octets: that is no set of keys")
    try:
        entries = json.loads(octets)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise KeysFailed(f'{source} is no JSON Web Key Set ({{"keys": […]}})') from None
    if not isinstance(entries, list):
        entries = []
    found = tuple(key for entry in entries if (key := _parse_key(entry)) is not None)
    if not found:
        raise KeysFailed(f"{source} holds no key that signs with RS256, PS256, ES256 or EdDSA")
    return KeySet(found)


def _parse_key(entry: Any) -> Key | None:
    """Rule 5. An issuer may have keys of kinds that are unknown today."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    try:
        key = jwk.import_key(entry)
        if isinstance(key, jwk.RSAKey):
            return key if key.public_key.key_size >= _LEAST_RSA_BITS else None
        return key if isinstance(key, jwk.ECKey | jwk.OKPKey) else None
    except Exception:  # whatever the library says of it, it is none of ours
        return None
