"""The second look at a configuration: what stands outside the file, on this machine, now.

`ekiden config check` prints all of it; `ekiden serve` refuses to start on what `stops`, and so does a reload.
"""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from ekiden.app import data_folder
from ekiden.app.certificates import Place, days_left, places, read_certificate
from ekiden.app.config_doors import door_findings
from ekiden.app.config_file import ConfigError, Loaded
from ekiden.app.config_lines import KeyPath
from ekiden.app.config_sources import source_lists
from ekiden.app.doors import bind_doors, close_doors
from ekiden.app.neighbourhood import read_neighbourhood
from ekiden.app.privileges import Identity, resolve
from ekiden.app.refusal import StartRefused
from ekiden.app.self_attack import attack
from ekiden.config.model import Config, Route
from ekiden.model.door import Door
from ekiden.model.mailbox import domain_key
from ekiden.net.certificates import ByName, Certificate, TlsFailed, render_day
from ekiden.policy.detour import detour_route
from ekiden.policy.route_match import never_reached, route_name
from ekiden.policy.trusted import Neighbourhood, is_everybody, net_of, shared_alone, shared_within
from ekiden.session.rehearsal import NoAnswer


class Weight(StrEnum):
    STOPS = "error"  # the server does not start with it
    WRONG = "problem"  # it starts, and something will not work
    NOTE = "note"  # worth knowing


class Finding(NamedTuple):
    weight: Weight
    error: ConfigError


def inspect(loaded: Loaded, *, ports: bool = True, neighbourhood: Neighbourhood | None = None) -> list[Finding]:
    """In the order of the file. `ports`: try to bind the doors, too (unless our own server has them).
    `neighbourhood`: this machine's, unless given. Changes nothing."""
    config, neighbourhood = loaded.config, neighbourhood or read_neighbourhood()
    try:
        identity = resolve(config.user)
    except StartRefused as error:
        return [_stops(loaded, ("user",), str(error).removeprefix("user: "))]
    found = [
        *_certificates(loaded, identity),
        *_secrets(loaded, identity),
        *_files(loaded, identity),
        *_issuer(loaded),
        *_unused_routes(loaded),
        *_sources(loaded),
        *(Finding(Weight.WRONG, loaded.error(path, message)) for path, message in door_findings(config)),
        *_trusted(loaded, neighbourhood),
        *_self_attack(loaded, neighbourhood),
        *_notes(loaded),
    ]
    if ports and not data_folder.is_in_use(config.data_dir):
        found += _ports(loaded)
    return sorted(found, key=lambda finding: finding.error.line)


def _stops(loaded: Loaded, path: KeyPath, message: str) -> Finding:
    return Finding(Weight.STOPS, loaded.error(path, message))


def _certificates(loaded: Loaded, identity: Identity) -> Iterator[Finding]:
    good = []
    for place in places(loaded.config):
        try:
            certificate = read_certificate(place)
        except TlsFailed as error:
            yield _stops(loaded, (*place.path, error.key), str(error))
            continue
        good.append((place, certificate))
        if fault := _secrecy(place.private_key, identity):
            yield _stops(loaded, (*place.path, "private_key"), fault)
        if not identity.can_read(place.certificate):
            message = f"{place.certificate} cannot be read by {identity.name}"
            yield _stops(loaded, (*place.path, "certificate"), message)
        yield from _validity(loaded, place, certificate)
    by_name = ByName([certificate for _, certificate in good])
    for index, (place, certificate) in enumerate(good):
        path = (*place.path, "certificate")
        if place.path == ("tls",):
            if not certificate.covers(loaded.config.hostname):
                names = ", ".join(certificate.names) or "no name at all"
                message = f"is for {names}, not for {loaded.config.hostname}: mail programs will warn or refuse"
                yield Finding(Weight.NOTE, loaded.error(path, message))
        elif index and not any(by_name.find(name) == index for name in certificate.names):
            message = "is never used: it holds no name that a certificate above does not hold, too; leave it out"
            yield Finding(Weight.WRONG, loaded.error(path, message))


def _validity(loaded: Loaded, place: Place, certificate: Certificate) -> Iterator[Finding]:
    now, path = time.time(), (*place.path, "certificate")
    days = days_left(certificate, now)
    if days == 0:
        message = f"expired on {render_day(certificate.not_after)}; renew it: a running server takes it up by itself"
        yield Finding(Weight.WRONG, loaded.error(path, message))
    elif now < certificate.not_before:
        message = f"is not valid before {render_day(certificate.not_before)}; is the clock right?"
        yield Finding(Weight.WRONG, loaded.error(path, message))
    elif days:
        message = f"expires on {render_day(certificate.not_after)}; renew it"
        yield Finding(Weight.NOTE, loaded.error(path, message))


def _secrecy(path: str, identity: Identity) -> str:
    """What is wrong with the permissions of a secret file, or ''."""
    mode = os.stat(path).st_mode
    if mode & stat.S_IRWXO:
        return f"{path} can be read by everybody on this machine; chmod 600 {path}"
    if not identity.can_read(path):
        return f"{path} cannot be read by {identity.name}; chown {identity.name} {path}"
    return ""


def _secrets(loaded: Loaded, identity: Identity) -> Iterator[Finding]:
    routes: list[tuple[KeyPath, Route]] = [(("route", index), route) for index, route in enumerate(loaded.config.route)]
    if (detour := detour_route(loaded.config)) is not None:
        routes.append((("delivery", "detour"), detour))
    for where, route in routes:
        path: KeyPath = (*where, "password_file")
        if route.password_file:
            try:
                fault = _secrecy(route.password_file, identity)
                if not fault and not os.path.getsize(route.password_file):
                    fault = f"{route.password_file} is empty"
            except OSError as error:
                fault = f"{route.password_file} cannot be read: {error.strerror}"
            if fault:
                yield _stops(loaded, path, fault)
        elif route.password_env and not os.environ.get(route.password_env):
            message = f"the environment has no variable {route.password_env}"
            yield _stops(loaded, (*where, "password_env"), message)


def _issuer(loaded: Loaded) -> Iterator[Finding]:
    oauth = loaded.config.oauth
    if oauth.jwks_file:
        from ekiden.app.tokens import keys_fault

        if fault := keys_fault(oauth):
            yield _stops(loaded, ("oauth", "jwks_file"), fault)


def _files(loaded: Loaded, identity: Identity) -> Iterator[Finding]:
    config = loaded.config
    if fault := data_folder.problem(config.data_dir, identity):
        yield _stops(loaded, ("data_dir",), fault)
    for index, domain in enumerate(config.domain):
        if domain.recipients.startswith("list:"):
            file = domain.recipients.removeprefix("list:")
            if not os.path.isfile(file) or not identity.can_read(file):
                message = f"{file} cannot be read by {identity.name}, or is no file"
                yield _stops(loaded, ("domain", index, "recipients"), message)
    if (file := config.passwords.breached_file) and not (os.path.isfile(file) and identity.can_read(file)):
        message = f"{file} cannot be read by {identity.name}, or is no file; no password could be set"
        yield _stops(loaded, ("passwords", "breached_file"), message)
    if fault := _log_fault(config.log.file, identity):
        yield _stops(loaded, ("log", "file"), fault)


def _log_fault(file: str, identity: Identity) -> str:
    if file == "-":
        return ""
    folder = os.path.dirname(file)
    if not os.path.isdir(folder):
        return f"there is no folder {folder}; make it"
    if not identity.changes and not os.access(file if os.path.exists(file) else folder, os.W_OK):
        return f"{file} cannot be written by {identity.name}"
    return ""


def _unused_routes(loaded: Loaded) -> Iterator[Finding]:
    config = loaded.config
    ours = {domain_key(domain.name) for domain in config.domain if domain.recipients == "accounts"}
    for index, above in never_reached(config.route, ours):
        name = route_name(config.route[above])
        message = f'is never used: the first match wins, and "{name}" above takes all its letters; put it above that'
        yield Finding(Weight.WRONG, loaded.error(("route", index), message))


def _sources(loaded: Loaded) -> Iterator[Finding]:
    """Addresses come and go (DHCP, failover), so one that is missing now stops nothing; its letters wait."""
    used = {address for _, addresses in source_lists(loaded.config) for address in addresses}
    for index, source in enumerate(loaded.config.source):
        if source.address not in used:
            message = f"no `source` names {source.address}: write it into [delivery], a [[route]] or a [[site]]"
            yield Finding(Weight.WRONG, loaded.error(("source", index, "address"), message))
    for path, addresses in source_lists(loaded.config):
        for index, address in enumerate(addresses):
            try:
                with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
                    probe.bind((address, 0))
            except OSError as error:
                message = f"this machine cannot send from {address}: {error.strerror}; see `ip address`"
                yield Finding(Weight.WRONG, loaded.error((*path, index), message))


def _trusted(loaded: Loaded, neighbourhood: Neighbourhood) -> Iterator[Finding]:
    for index, entry in enumerate(loaded.config.relay.trusted_networks):
        path: KeyPath = ("relay", "trusted_networks", index)
        net = net_of(entry)
        if found := shared_within(entry, neighbourhood):
            message = (
                f'"{net}" contains {found.address}, {found.what}: clients from anywhere may come with that address, '
                f'and would relay; list the hosts themselves, or if that is meant write {{net = "{net}", wide = true}}'
            )
            yield _stops(loaded, path, message)
        elif is_everybody(entry):
            message = f'"{net}" is everybody: whoever reaches this server can send anywhere through it'
            yield Finding(Weight.WRONG, loaded.error(path, message))
        elif itself := shared_alone(entry, neighbourhood):
            message = f"is {itself.what}: if clients come by it, all of them may relay"
            yield Finding(Weight.NOTE, loaded.error(path, message))


def _self_attack(loaded: Loaded, neighbourhood: Neighbourhood) -> Iterator[Finding]:
    """What cannot be tried is refused, too: nobody would know."""
    try:
        for breach in attack(loaded.config, neighbourhood):
            yield _stops(loaded, breach.key, str(breach))
    except NoAnswer as error:
        yield _stops(loaded, ("relay",), f"the self-attack could not be made: {error}")


def _notes(loaded: Loaded) -> Iterator[Finding]:
    config = loaded.config
    if config.delivery.mta_sts_port != 443:
        port = config.delivery.mta_sts_port
        message = f"MTA-STS policies are fetched from port {port}, not 443: for labs and tests only"
        yield Finding(Weight.NOTE, loaded.error(("delivery", "mta_sts_port"), message))
    if config.delivery.mx_port != 25:
        message = f"mail goes to port {config.delivery.mx_port} of other servers, not 25: for labs and tests only"
        yield Finding(Weight.NOTE, loaded.error(("delivery", "mx_port"), message))
    if os.geteuid() == 0 and not config.user:
        message = 'is missing: the server would run as root; name a user of its own, such as user = "ekiden"'
        yield Finding(Weight.NOTE, loaded.error(("user",), message))
    if not any(config.listen.addresses(door) for door in Door):
        yield Finding(Weight.NOTE, loaded.error(("listen",), "names no address: no door is open"))
    if config.listen.relay and not config.domain:
        message = "is open, but there is no [[domain]]: it takes mail from trusted_networks only"
        yield Finding(Weight.NOTE, loaded.error(("listen", "relay"), message))


def _ports(loaded: Loaded) -> Iterator[Finding]:
    config: Config = loaded.config
    try:
        close_doors(bind_doors(config, listen=False))
    except StartRefused as error:
        for line in str(error).splitlines():
            key, _, message = line.partition(": ")
            yield _stops(loaded, tuple(key.split(".")), message)
