"""What must hold within `[delivery.detour]` and `[delivery.probe]`. Called by `app.config_rules`."""

from __future__ import annotations

from typing import Final

from ekiden.app.config_lines import KeyPath
from ekiden.app.config_reader import Report
from ekiden.app.config_routes import check_login, check_tls
from ekiden.app.config_values import check_host_name, split_host_port
from ekiden.config.model import Config, Detour
from ekiden.policy.detour import check_detour_target, detour_route
from ekiden.policy.road_block import ENOUGH
from ekiden.policy.target import is_address

DETOUR: Final[KeyPath] = ("delivery", "detour")
PROBE: Final[KeyPath] = ("delivery", "probe")


def check_detour(config: Config, report: Report) -> None:
    _check_probe(config, report)
    if config.delivery.detour == Detour():
        return
    path: KeyPath = DETOUR
    route = detour_route(config)
    if route is None:
        report.add((*path, "to"), "must name your provider's server, such as smtps://smtp.provider.example:465")
        return
    for index, to in enumerate(route.to):
        report.accepts((*path, "to", index), check_detour_target, to)
    check_tls(route, path, report)
    check_login(route, path, report)


def _check_probe(config: Config, report: Report) -> None:
    probe = config.delivery.probe
    good = _check_hosts(probe.hosts, (*PROBE, "hosts"), report)
    _check_hosts(probe.control, (*PROBE, "control"), report)
    hosts = {split_host_port(text).host.lower() for text in probe.hosts} if good else set()
    if good and probe.hosts and len(hosts) < ENOUGH:
        report.add(
            (*PROBE, "hosts"),
            f"must name {ENOUGH} different hosts or more, or none: fewer prove nothing of the network",
        )
    if probe.hosts and not probe.control:
        report.add((*PROBE, "control"), 'must name one host and port at least, such as "one.one.one.one:443"')


def _check_hosts(hosts: tuple[str, ...], path: KeyPath, report: Report) -> bool:
    """Whether all are good; each that is not is reported."""
    bad = [index for index, text in enumerate(hosts) if not report.accepts((*path, index), _check_host, text)]
    return not bad


def _check_host(text: str) -> None:
    host, port = split_host_port(text)
    if not port:
        raise ValueError(f'"{text}": a port is a number from 1 to 65535')
    if not is_address(host):
        check_host_name(host)
