"""FakeResolver: the Resolver port out of dictionaries.

Names that nobody mentioned do not exist. `fail(name)` makes every question about a name FAILED (temporary);
`hold(name)` lets askers wait until `let_go(name)`, for a resolver that stalls. `asked` lists ("mx", "example.org")
in the order of the questions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from ekiden.model.mailbox import domain_key
from ekiden.model.tlsa import Tlsa
from ekiden.ports.resolver import AddressAnswer, MxAnswer, MxRecord, NameAnswer, Status, TextAnswer, TlsaAnswer


class FakeResolver:
    """`mx`: domain -> [(preference, host)]; `addresses`, `reverse`: name -> [text]; `txt`: name -> [bytes]; `tlsa`.

    `secure`: names whose answers are proven by DNSSEC.

    A name with an empty list exists but has no such record; `mx={"x.test": [(0, "")]}` is a null MX.
    """

    def __init__(
        self,
        *,
        mx: Mapping[str, Sequence[tuple[int, str]]] | None = None,
        addresses: Mapping[str, Sequence[str]] | None = None,
        txt: Mapping[str, Sequence[bytes]] | None = None,
        reverse: Mapping[str, Sequence[str]] | None = None,
        tlsa: Mapping[str, Sequence[Tlsa]] | None = None,
        failing: Sequence[str] = (),
        secure: Sequence[str] = (),
    ) -> None:
        self.mx_records = dict(mx or {})
        self.address_records = dict(addresses or {})
        self.txt_records = dict(txt or {})
        self.reverse_records = dict(reverse or {})
        self.tlsa_records = dict(tlsa or {})
        self.failing = set(failing)
        self.secure = set(secure)
        self.asked: list[tuple[str, str]] = []
        self._held: dict[str, asyncio.Event] = {}

    def fail(self, name: str) -> None:
        self.failing.add(name)

    def recover(self, name: str) -> None:
        self.failing.discard(name)

    def hold(self, name: str) -> None:
        self._held[name] = asyncio.Event()

    def let_go(self, name: str) -> None:
        self._held.pop(name).set()

    async def mx(self, domain: str) -> MxAnswer:
        domain = await self._begin("mx", domain)
        if domain in self.failing:
            return MxAnswer(Status.FAILED, detail=f"{domain} MX: SERVFAIL")
        if records := self.mx_records.get(domain):
            return MxAnswer(Status.OK, tuple(MxRecord(*record) for record in records), secure=domain in self.secure)
        return MxAnswer(
            Status.NOT_FOUND,
            exists=self._exists(domain),
            detail=f"{domain} has no MX",
            secure=domain in self.secure,
        )

    async def addresses(self, host: str) -> AddressAnswer:
        host = await self._begin("addresses", host)
        if host in self.failing:
            return AddressAnswer(Status.FAILED, detail=f"{host}: SERVFAIL")
        if found := self.address_records.get(host):
            return AddressAnswer(Status.OK, tuple(found), secure=host in self.secure)
        return AddressAnswer(Status.NOT_FOUND, detail=f"{host} has no address")

    async def ipv4(self, host: str) -> AddressAnswer:
        host = await self._begin("ipv4", host)
        if host in self.failing:
            return AddressAnswer(Status.FAILED, detail=f"{host} A: SERVFAIL")
        found = tuple(text for text in self.address_records.get(host, ()) if ":" not in text)
        return AddressAnswer(Status.OK, found) if found else AddressAnswer(Status.NOT_FOUND)

    async def txt(self, name: str) -> TextAnswer:
        name = await self._begin("txt", name)
        if name in self.failing:
            return TextAnswer(Status.FAILED, detail=f"{name} TXT: SERVFAIL")
        if found := self.txt_records.get(name):
            return TextAnswer(Status.OK, tuple(found))
        return TextAnswer(Status.NOT_FOUND)

    async def tlsa(self, name: str) -> TlsaAnswer:
        name = await self._begin("tlsa", name)
        if name in self.failing:
            return TlsaAnswer(Status.FAILED, detail=f"{name} TLSA: SERVFAIL")
        if found := self.tlsa_records.get(name):
            return TlsaAnswer(Status.OK, tuple(found), secure=name in self.secure)
        return TlsaAnswer(Status.NOT_FOUND)

    async def reverse(self, address: str) -> NameAnswer:
        address = await self._begin("reverse", address)
        if address in self.failing:
            return NameAnswer(Status.FAILED, detail=f"{address} PTR: SERVFAIL")
        if found := self.reverse_records.get(address):
            return NameAnswer(Status.OK, tuple(found))
        return NameAnswer(Status.NOT_FOUND)

    def _exists(self, name: str) -> bool:
        return any(name in records for records in (self.mx_records, self.address_records, self.txt_records))

    async def _begin(self, kind: str, name: str) -> str:
        name = domain_key(name)
        self.asked.append((kind, name))
        if event := self._held.get(name):
            await event.wait()
        return name
