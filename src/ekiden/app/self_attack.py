"""The self-attack: before a configuration is used, strangers try to relay through it.

Rules
1. The attempts (`policy.relay_attempts`) are said to the real sessions with the new configuration, by strangers: an
   IPv4, an IPv6 and an IPv4-mapped address that no entry of `trusted_networks` holds, and the default gateways unless
   they are listed themselves. So by each proxy of a door, whose PROXY header is read as at the door; and by the proxy
   itself, when it names nobody.
2. The worst is assumed of what is not known: every mailbox of ours exists, is on its list, and its next hop takes it.
3. What counts is what would leave: a recipient whose letter does not end in a mailbox of ours, and who is not in a
   domain of ours, or names another way in his local part. So a rule that lies is found, too.
4. One that would be relayed refuses the configuration, at start and at reload, with the attempt and the key.

It sends and stores nothing (`app.rehearsal`), and takes about a quarter of a second with four kinds of domains. Called
by `app.config_check`, so by `ekiden config check`, `ekiden serve` and every reload.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ekiden.app.config_lines import KeyPath
from ekiden.app.rehearsal import Believing, Stage
from ekiden.config.model import Config
from ekiden.model.account import DirectoryEntry, Standing
from ekiden.model.door import DOORS, Door
from ekiden.model.envelope import LOCAL, NewLeg
from ekiden.model.mailbox import Mailbox, domain_key
from ekiden.model.reply import Reply
from ekiden.policy.relay_attempts import Attempt, attempts
from ekiden.policy.route_match import mailbox_of
from ekiden.policy.trusted import Neighbourhood, entries_with, net_of
from ekiden.proto.haproxy import HeaderReader
from ekiden.storage.memory.directory import MemoryDirectory

#: Public and documentation addresses; the first that no entry holds is the stranger.
_IPV4: Final = ("203.0.113.77", "198.51.100.77", "192.0.2.77", "9.9.9.77", "100.128.0.77", "45.77.77.77")
_IPV6: Final = ("2001:db8:77::77", "2620:fe::77", "2a00:77::77", "fd77::77")
#: Where the door is, for the strangers.
_LOCAL: Final = "192.0.2.25"
_TAKEN: Final = Reply(250, "2.1.5", "assumed")
#: Without a proxy, and by the first one; the others differ in their addresses alone, so one attempt each will do.
_TRIED_IN_FULL: Final = 2
_CONTENT: Final = b"Subject: relay test\r\n\r\n.\r\n"


class Viewpoint(NamedTuple):
    """From where an attempt is made. `proxy`: the one that it comes by, '' for none."""

    client: str
    proxy: str = ""

    def __str__(self) -> str:
        if not self.proxy:
            return f"a stranger from {self.client}"
        if self.proxy == self.client:
            return f"a stranger by the proxy {self.proxy}, which does not name him,"
        return f"a stranger from {self.client} by the proxy {self.proxy}"


class Breach(NamedTuple):
    """An attempt that would be relayed. `key`: what let it, as far as that can be said."""

    key: KeyPath
    door: Door
    viewpoint: Viewpoint
    attempt: Attempt
    rule: str
    next_hop: str

    def __str__(self) -> str:
        rule = f" (rule {self.rule})" if self.rule else ""
        return (
            f"would make an open relay: {self.viewpoint} at the door {self.door.value} "
            f"says {self.attempt}, and the letter would go to {self.next_hop}{rule}"
        )


class _EverybodyHere(MemoryDirectory):
    """Rule 2."""

    def peek(self, mailbox: Mailbox) -> DirectoryEntry | None:
        return DirectoryEntry(Standing.ACCOUNT, mailbox.key)

    async def find(self, mailbox: Mailbox) -> DirectoryEntry:
        return DirectoryEntry(Standing.ACCOUNT, mailbox.key)


class _EverybodyListed:
    def contains(self, path: str, mailbox_key: str) -> bool:
        return True


class _EverybodyTaken:
    def peek(self, mailbox: Mailbox) -> Reply | None:
        return _TAKEN

    async def ask(self, mailbox: Mailbox) -> Reply:
        return _TAKEN


def strangers(config: Config, neighbourhood: Neighbourhood) -> list[str]:
    """Rule 1."""
    entries = config.relay.trusted_networks
    ipv4 = next((address for address in _IPV4 if not entries_with(entries, address)), "")
    ipv6 = next((address for address in _IPV6 if not entries_with(entries, address)), "")
    listed = {net_of(entry).removesuffix("/32").removesuffix("/128") for entry in entries}
    gateways = sorted(address for address in neighbourhood.gateways if address not in listed)
    return [address for address in (ipv4, ipv6, f"::ffff:{ipv4}" if ipv4 else "", *gateways) if address]


def behind_proxies(config: Config, door: Door, clients: Sequence[str]) -> Iterator[Viewpoint]:
    """Rule 1: one address of each network of proxies."""
    for net in config.doors.of(door).proxies:
        network = ipaddress.ip_network(net, strict=False)
        proxy = str(network[min(1, network.num_addresses - 1)])
        yield Viewpoint(proxy, proxy)
        for client in clients:
            address = ipaddress.ip_address(client)
            family, here = ("TCP4", "192.0.2.25") if address.version == 4 else ("TCP6", "2001:db8::25")
            header = HeaderReader().feed(f"PROXY {family} {address} {here} 40000 25\r\n".encode())
            if header is not None and header.source is not None:
                yield Viewpoint(header.source.address, proxy)


def attack(config: Config, neighbourhood: Neighbourhood) -> list[Breach]:
    """The first breach of each stranger and door; [] is what one hopes for. Not to be called on a running loop."""
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(_attack(config, neighbourhood))
    finally:
        loop.close()


async def _attack(config: Config, neighbourhood: Neighbourhood) -> list[Breach]:
    directory = _EverybodyHere(domains=[domain.name for domain in config.domain])
    stage = Stage(
        config,
        directory=directory,
        authenticator=Believing(directory),  # which has no accounts
        lists=_EverybodyListed(),
        probe=_EverybodyTaken(),
        gateways=neighbourhood.gateways,
    )
    breaches = []
    clients = strangers(config, neighbourhood)
    for door, tls in _states():
        tried: set[str] = set()
        for viewpoint in (*map(Viewpoint, clients), *behind_proxies(config, door, clients)):
            attempts_made = _attempts(config, all_of_them=len(tried | {viewpoint.proxy}) <= _TRIED_IN_FULL)
            tried.add(viewpoint.proxy)
            found = await _first_breach(stage, config, door, viewpoint, attempts_made, tls=tls)
            breaches += [found] if found is not None else []
    return breaches


def _attempts(config: Config, *, all_of_them: bool) -> list[tuple[str, Attempt]]:
    """With the domain of ours that each is made with."""
    made = [(own, one) for own in _domains(config) for one in attempts(own, config.hostname, f"[{_LOCAL}]")]
    return made if all_of_them else made[:1]


def _states() -> Iterator[tuple[Door, bool]]:
    for door, facts in DOORS.items():
        if facts.speaks == "SMTP":
            yield from ((door, tls) for tls in ((True,) if facts.implicit_tls else (False, True)))


async def _first_breach(
    stage: Stage, config: Config, door: Door, viewpoint: Viewpoint, made: Sequence[tuple[str, Attempt]], *, tls: bool
) -> Breach | None:
    ours = {domain_key(domain.name): index for index, domain in enumerate(config.domain)}
    for own, attempt in made:
        for leg in await _try(stage, door, viewpoint.client, attempt, tls=tls):
            for recipient in leg.recipients:
                if leg.next_hop != LOCAL and _leaves(recipient.forward_path, ours):
                    key = _culprit(recipient.rule, config, viewpoint.client, ours.get(domain_key(own)))
                    return Breach(key, door, viewpoint, attempt, recipient.rule, leg.next_hop)
    return None


def _domains(config: Config) -> list[str]:
    """One of each kind of recipients: they differ in nothing else."""
    kinds = {domain.recipients.partition(":")[0]: domain.name for domain in reversed(config.domain)}
    return list(kinds.values()) or [config.hostname]


async def _try(stage: Stage, door: Door, client: str, attempt: Attempt, *, tls: bool) -> list[NewLeg]:
    """The legs that would be in the queue."""
    stage.spool.taken.clear()
    play = await stage.enter(door, client=client, local=_LOCAL, tls=tls)
    try:
        for line in (*attempt.before, f"EHLO {attempt.helo}"):
            await play.say(line.encode() + b"\r\n")
        mail = f"MAIL FROM:<{attempt.reverse_path}>{attempt.parameters} SMTPUTF8\r\n"
        for command in (mail, f"RCPT TO:{attempt.forward_path}\r\n", "DATA\r\n"):
            if not (await play.say(command.encode())).startswith(("250", "354")):
                return []
        await play.say(_CONTENT)
    finally:
        play.end()
    return [leg for _, legs in stage.spool.taken for leg in legs]


def _leaves(forward_path: str, ours: dict[str, int]) -> bool:
    """Rule 3, of a letter that goes to another server."""
    mailbox = mailbox_of(forward_path)
    return mailbox.domain_key not in ours or any(character in mailbox.local_key for character in "%!@")


def _culprit(rule: str, config: Config, client: str, domain: int | None) -> KeyPath:
    if rule == "trusted-network" and (entries := entries_with(config.relay.trusted_networks, client)):
        return ("relay", "trusted_networks", entries[0])
    if rule.startswith("own-domain") and domain is not None:
        return ("domain", domain, "recipients")
    return ("relay",)
