"""CurrentResolver: a Resolver that a reload can exchange, for rooms that were given theirs for life."""

from __future__ import annotations

from ekiden.ports.resolver import AddressAnswer, MxAnswer, NameAnswer, Resolver, TextAnswer, TlsaAnswer


class CurrentResolver:
    """Questions that are under way stay with the resolver they were asked of."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver

    async def mx(self, domain: str) -> MxAnswer:
        return await self.resolver.mx(domain)

    async def addresses(self, host: str) -> AddressAnswer:
        return await self.resolver.addresses(host)

    async def ipv4(self, host: str) -> AddressAnswer:
        return await self.resolver.ipv4(host)

    async def txt(self, name: str) -> TextAnswer:
        return await self.resolver.txt(name)

    async def tlsa(self, name: str) -> TlsaAnswer:
        return await self.resolver.tlsa(name)

    async def reverse(self, address: str) -> NameAnswer:
        return await self.resolver.reverse(address)
