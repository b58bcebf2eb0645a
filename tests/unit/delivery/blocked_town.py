"""A post office in a network that can block port 25, with well-known hosts, far sites and a provider."""

from __future__ import annotations

from typing import Any

from ekiden.config.model import Config, Detour, Probe, Route
from ekiden.config.model import Delivery as DeliverySection
from ekiden.delivery.road import Credentials
from ekiden.policy.detour import DETOUR
from ekiden.ports.wire import ConnectFailed, Endpoint
from tests.fakes.smtp_server import EXTENSIONS, FakeSmtpServer
from tests.unit.delivery import post_office
from tests.unit.delivery.post_office import PostOffice

SILENT = ConnectFailed("timeout", "no connection within 30 s")
HOSTS = ("mx.one.test", "mx.two.test", "mx.three.test")
CONTROL = Endpoint("1.1.1.1", 443)
PROVIDER = Endpoint("9.9.9.9", 465)
#: Letters go to sites in networks of their own, as they do in the world.
FAR = ("a.test", "b.test", "c.test")


def config(
    *routes: Route,
    detour: Detour | None = None,
    hosts: tuple[str, ...] | None = None,
    every: float = 180.0,
    **more: Any,
) -> Config:
    asked = tuple(f"{host}:25" for host in HOSTS) if hosts is None else hosts
    probe = Probe(hosts=asked, control=("control.test:443",), every=every)
    settings = post_office.config(*routes)
    delivery = DeliverySection(probe=probe, detour=detour or Detour(), **more)
    return Config(hostname=settings.hostname, data_dir="/d", domain=settings.domain, route=routes, delivery=delivery)


class Town(PostOffice):
    """`well_known`: the servers that probes ask, by name. `far`: those of FAR."""

    def __init__(self, settings: Config | None = None, **more: Any) -> None:
        super().__init__(settings or config(), {DETOUR: Credentials("us", "secret")}, **more)
        self.provider = FakeSmtpServer({"AUTH": "235 2.7.0 welcome"}, extensions=(*EXTENSIONS, "AUTH PLAIN"))
        self.far = {name: FakeSmtpServer() for name in FAR}

    def build(self, *, control: bool = True) -> None:
        for number, name in enumerate(HOSTS):
            self.resolver.address_records[name] = [f"30.0.{number}.1"]
        self.resolver.address_records |= {"control.test": [CONTROL.address], "smtp.provider.test": [PROVIDER.address]}
        for number, name in enumerate(FAR):
            self.resolver.mx_records[name] = [(1, f"mx.{name}")]
            self.resolver.address_records[f"mx.{name}"] = [f"40.0.{number}.1"]
        if control:
            self.connector.targets[CONTROL] = lambda wire: None
        self.connector.targets[PROVIDER] = self.provider
        self.open()

    @property
    def _well_known(self) -> list[Endpoint]:
        return [Endpoint(f"30.0.{number}.1", 25) for number in range(len(HOSTS))]

    @property
    def _far(self) -> list[Endpoint]:
        return [Endpoint(f"40.0.{number}.1", 25) for number in range(len(FAR))]

    def block(self, how: ConnectFailed = SILENT) -> None:
        for where in (*self._well_known, *self._far):
            self.connector.targets[where] = how

    def open(self) -> None:
        for where, name in zip(self._well_known, HOSTS, strict=True):
            script = {"EHLO": f"250-{name}\n250 STARTTLS", "CONNECT": f"220 {name} ESMTP"}
            self.connector.targets[where] = FakeSmtpServer(script)
        for where, name in zip(self._far, FAR, strict=True):
            self.connector.targets[where] = self.far[name]

    async def write_to_all(self) -> None:
        for name in FAR:
            await self.send(f"bob@{name}")
        await self.settle()
        await self.pass_time(2)

    @property
    def probes(self) -> int:
        """Connections to well-known hosts so far."""
        return sum(where in self._well_known for where, _ in self.connector.calls)

    @property
    def direct(self) -> int:
        return sum(where in self._far for where, _ in self.connector.calls)

    async def attempts_counted(self) -> list[int]:
        return sorted(leg.attempts for queued in await self.queued() for leg in queued.legs)


def detour(to: str = "smtps://smtp.provider.test:465", username: str = "us") -> Detour:
    return Detour(to=(to,), username=username, password_env="P" if username else "")


async def blocked_town(office: Town) -> None:
    office.build()
    office.block()
    await office.write_to_all()
