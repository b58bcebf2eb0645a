"""HttpsPolicyFetcher: an MTA-STS policy from a domain's web server (RFC 8461 §3.3). The port is `ports.sts`.

Rules
1. HTTPS on 443 with a certificate proven for `mta-sts.DOMAIN` by the system's authorities, or those in `$SSL_CERT_FILE`
   (labs). No redirects, no proxies, no cookies; the media type must be text/plain.
2. The name leads to a public address only (invariant 10): who names a host of our own network in his DNS must not make
   us ask it.
3. `WITHIN` seconds for all of it, and never more octets than a policy may have.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Final

import h11

from ekiden.ports.resolver import Resolver
from ekiden.ports.sts import MOST_OCTETS, FetchFailed

WITHIN: Final = 20.0
PATH: Final = "/.well-known/mta-sts.txt"
HTTPS: Final = 443
#: Addresses tried.
MOST_ADDRESSES: Final = 2


class HttpsPolicyFetcher:
    """One a worker; `configure` comes first, and again with each reload."""

    def __init__(self, resolver: Resolver, *, within: float = WITHIN) -> None:
        self._resolver = resolver
        self._may_ask: Callable[[str], bool] = _nobody
        self._port = HTTPS
        self._within = within
        self._context: ssl.SSLContext | None = None

    def configure(self, may_ask: Callable[[str], bool], port: int = HTTPS) -> None:
        """`may_ask`: whether an address that a name from outside leads to may be asked; `port`: other than 443 in labs
        only."""
        self._may_ask, self._port = may_ask, port

    async def fetch(self, domain: str) -> bytes:
        host = f"mta-sts.{domain}"
        try:
            async with asyncio.timeout(self._within):
                return await self._fetch(host)
        except TimeoutError:
            raise FetchFailed(f"https://{host}{PATH}: no answer within {self._within:g} s") from None
        except (OSError, h11.ProtocolError) as error:
            text = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
            raise FetchFailed(f"https://{host}{PATH}: {text}") from None

    async def _fetch(self, host: str) -> bytes:
        answer = await self._resolver.addresses(host)
        addresses = [address for address in answer.addresses if self._may_ask(address)]
        if not addresses:
            raise FetchFailed(f"{host} has no address that may be asked {answer.detail}".rstrip())
        reader, writer = await self._connect(host, addresses[:MOST_ADDRESSES])
        try:
            return await _get(reader, writer, host)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _connect(self, host: str, addresses: list[str]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._context = self._context or ssl.create_default_context()
        failed: OSError | None = None
        for address in addresses:
            try:
                return await asyncio.open_connection(address, self._port, ssl=self._context, server_hostname=host)
            except ssl.SSLError:
                raise
            except OSError as error:
                failed = error
        assert failed is not None
        raise failed


async def _get(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> bytes:
    """Raises FetchFailed, OSError, h11.ProtocolError."""
    talk = h11.Connection(h11.CLIENT)
    head = [("Host", host), ("User-Agent", "ekiden"), ("Accept", "text/plain"), ("Connection", "close")]
    writer.write(_sent(talk, h11.Request(method="GET", target=PATH, headers=head)))
    writer.write(_sent(talk, h11.EndOfMessage()))
    body = bytearray()
    while True:
        event = talk.next_event()
        if event is h11.NEED_DATA:
            talk.receive_data(await reader.read(16_384))
        elif isinstance(event, h11.Response):
            _check(event, host)
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MOST_OCTETS:
                raise FetchFailed(f"https://{host}{PATH} has more than {MOST_OCTETS} octets")
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return bytes(body)


def _nobody(_: str) -> bool:
    return False


def _sent(talk: h11.Connection, event: h11.Event) -> bytes:
    return talk.send(event) or b""


def _check(response: h11.Response, host: str) -> None:
    if response.status_code != 200:
        raise FetchFailed(f"https://{host}{PATH} answers {response.status_code}, not 200; redirects are not followed")
    kind = next((value for name, value in response.headers if name == b"content-type"), b"")
    if kind.partition(b";")[0].strip().lower() != b"text/plain":
        raise FetchFailed(f"https://{host}{PATH} is not text/plain")
