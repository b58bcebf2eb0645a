"""Is the road to port 25 of other servers blocked? From what connections came to, to a suspicion, to a judgement. Pure.

Many networks stop connections that leave them towards port 25 (outbound port 25 blocking, OP25B). One server that does
not answer says nothing of that; so it is judged in two steps, for each family of addresses apart.

Rules
1. Suspicion: connections to the port of `ENOUGH` unrelated sites failed alike in a row, and none has succeeded for
   `QUIET_BEFORE` seconds. Unrelated: neither site, network (/24, /48) nor domain of the host is the same. A server that
   names itself by another domain than its host's is usual (hosting); only the same name from unrelated sites is odd.
2. Judgement: well-known MX hosts are asked. Blocked: `ENOUGH` of them or more were asked, none of them answered as a
   mail server of its own, and a control port elsewhere works over the same family. Where that does not work either,
   the network is down and nothing is known of port 25; so it is with a family that has no route.
3. A refusal in SMTP (a 554 greeting) is an answer: the road is open. So is one without STARTTLS; when not a single host
   offers that, something on the way takes the word out, and people are told.
4. Blocked stays blocked until one host answers as a mail server, and not by the name that stood in for all.

Called by `delivery.road_watch`.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from ekiden.model.road_block import Trouble

#: Sites that must fail alike, and hosts that must be asked.
ENOUGH: Final = 3
#: Seconds without a success before failures mean anything.
QUIET_BEFORE: Final = 3600.0
#: Labels that registries put before the domains of people, as in `co.jp`, are no longer than this.
_REGISTRY_LABEL: Final = 3

#: Kinds of `ports.wire.ConnectFailed`, and `not-smtp`.
_TROUBLES: Final = {
    "timeout": Trouble.DROPPED,
    "refused": Trouble.RESET,
    "reset": Trouble.RESET,
    "unreachable": Trouble.PROHIBITED,
    "prohibited": Trouble.PROHIBITED,
    "not-smtp": Trouble.NOT_SMTP,
}


def trouble_of(kind: str) -> Trouble | None:
    """None: it says nothing of the road."""
    return _TROUBLES.get(kind)


class Contact(NamedTuple):
    """What a connection to an MX host came to. `kind`: '' if an SMTP server answered, else as `trouble_of` takes it.
    `banner`: how that server calls itself, '' if it did not say."""

    site: str
    host: str
    address: str
    kind: str = ""
    banner: str = ""


class _Failure(NamedTuple):
    site: str
    network: str
    domain: str
    trouble: Trouble
    banner: str

    def is_like(self, other: _Failure) -> bool:
        return self.trouble is other.trouble and self.banner == other.banner

    def is_related_to(self, other: _Failure) -> bool:
        return self.site == other.site or self.network == other.network or self.domain == other.domain


class Suspicion:
    """Of one family (rule 1). Times: monotonic seconds."""

    __slots__ = ("_answered", "_answered_as_itself", "_row")

    def __init__(self) -> None:
        self._row: list[_Failure] = []
        self._answered: float | None = None
        self._answered_as_itself: float | None = None

    def note(self, contact: Contact, now: float) -> bool:
        """True: the road must be looked at."""
        failure = self._failure(contact)
        if not contact.kind:
            self._answered = now
        if failure is None:
            if not contact.kind:
                self._answered_as_itself = now
                self._row.clear()
            return False
        row = self._row
        if row and not row[0].is_like(failure):
            row.clear()
        if len(row) < ENOUGH and not any(one.is_related_to(failure) for one in row):
            row.append(failure)
        last = self._answered_as_itself if failure.trouble is Trouble.FOREIGN else self._answered
        return len(row) >= ENOUGH and (last is None or now - last >= QUIET_BEFORE)

    def clear(self) -> None:
        """It was looked at."""
        self._row.clear()

    @staticmethod
    def _failure(contact: Contact) -> _Failure | None:
        banner = ""
        trouble = trouble_of(contact.kind)
        if not contact.kind and contact.banner and not is_own_name(contact.host, contact.banner):
            trouble, banner = Trouble.FOREIGN, contact.banner.lower()
        if trouble is None:
            return None
        return _Failure(contact.site, _network(contact.address), domain_of(contact.host), trouble, banner)


class Probe(NamedTuple):
    """What a well-known host answered. `kind`, `banner`: as of `Contact`. `text`: for people."""

    host: str
    address: str
    kind: str = ""
    banner: str = ""
    starttls: bool = False
    text: str = ""

    def __str__(self) -> str:
        return f"{self.host} ({self.address}): {self.text}"


class Finding(NamedTuple):
    """`trouble`: None unless it is blocked. `known`: False if nothing could be found out. `banner`: of the server that
    stands in for all. `stripped`: no host offers STARTTLS. `text`: for people."""

    trouble: Trouble | None
    text: str
    known: bool = True
    banner: str = ""
    stripped: bool = False


def judge(probes: Sequence[Probe], controls: Sequence[Probe]) -> Finding:
    """Rules 2 and 3. All of one family."""
    hosts = {probe.host for probe in probes}
    if len(hosts) < ENOUGH:
        return Finding(None, f"only {len(hosts)} of the hosts to ask have an address, {ENOUGH} are needed", known=False)
    answers = [probe for probe in probes if not probe.kind]
    names = {probe.banner.lower() for probe in answers}
    if len(answers) == len(probes) and len(names) == 1 and "" not in names and _are_unrelated(probes):
        return Finding(Trouble.FOREIGN, "all hosts answer by one name", banner=names.pop())
    if answers:
        stripped = len(answers) == len(probes) and not any(probe.starttls for probe in answers)
        taken = "; none of them offers STARTTLS, so something on the way takes it out" if stripped else ""
        return Finding(None, f"{len(answers)} of {len(probes)} hosts answer{taken}", stripped=stripped)
    if not any(not control.kind for control in controls):
        return Finding(None, "the control port does not answer either: the network is down", known=False)
    troubles = Counter(trouble for probe in probes if (trouble := trouble_of(probe.kind)) is not None)
    if not troubles:
        return Finding(None, "what the hosts did says nothing of the road", known=False)
    return Finding(troubles.most_common(1)[0][0], "no host answers, and the control port does")


def shows_open(probe: Probe, banner: str) -> bool:
    """Rule 4. `banner`: by which the road was found blocked, '' if it was something else."""
    return not probe.kind and (not banner or probe.banner.lower() != banner.lower())


def is_own_name(host: str, banner: str) -> bool:
    """The server calls itself by a name of its host's domain."""
    return domain_of(host) == domain_of(banner)


def domain_of(name: str) -> str:
    """The part of a host name that somebody registered, as far as that can be told without a list."""
    labels = name.lower().rstrip(".").split(".")
    registry = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= _REGISTRY_LABEL
    return ".".join(labels[-3 if registry else -2 :])


def _are_unrelated(probes: Sequence[Probe]) -> bool:
    return len({domain_of(probe.host) for probe in probes}) >= ENOUGH


def _network(address: str) -> str:
    try:
        prefix = 48 if ":" in address else 24
        return str(ipaddress.ip_network(f"{address}/{prefix}", strict=False))
    except ValueError:
        return address
