"""DNS lists (RFC 5782): how they are asked, what their answers mean, and whether a list can be believed at all. Pure.

Rules
1. Only the codes of the entry count; the greatest number of points, if there are several.
2. 127.255.255.x and 127.0.0.255 say that the list does not answer us (a public resolver, too many questions), and what
   is not in 127.0.0.0/8 is no answer of a list at all (a parked domain): such answers speak against the list, never
   against the client.
3. A list is healthy if it lists 127.0.0.2 and does not list 127.0.0.1; for IPv6 ::FFFF:7F00:2 and ::FFFF:7F00:1
   (RFC 5782 §5).

Called by `session.blocklists`; the patterns of codes also by the check of the configuration.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from ekiden.config.model import Dnsbl
from ekiden.ports.resolver import AddressAnswer, Status

#: By IP version (RFC 5782 §5).
TEST_LISTED: Final = {4: "127.0.0.2", 6: "::ffff:7f00:2"}
TEST_UNLISTED: Final = {4: "127.0.0.1", 6: "::ffff:7f00:1"}
ANY_NUMBER: Final = "*"


class Listing(NamedTuple):
    """A client is on a list. `points`: negative on a list of good ones. `page`: for this client, '' if there is
    none."""

    zone: str
    code: str
    points: int
    page: str = ""

    def __str__(self) -> str:
        return f"{self.zone}={self.code}"


def question(address: str, zone: str) -> str:
    """The name to ask for (RFC 5782 §2.1, §2.4). `address` as written: a mapped one is asked for as IPv6."""
    reverse = ipaddress.ip_address(address).reverse_pointer
    return f"{reverse.removesuffix('.in-addr.arpa').removesuffix('.ip6.arpa')}.{zone}"


def is_refusal(code: str) -> bool:
    """Rule 2."""
    return not code.startswith("127.") or code.startswith("127.255.255.") or code == "127.0.0.255"


def find_listing(entry: Dnsbl, client: str, codes: Iterable[str]) -> Listing | None:
    """Rule 1. `codes`: the list's answer."""
    best: Listing | None = None
    for code in codes:
        points = 0 if is_refusal(code) else points_of(entry.codes, code, entry.weight)
        if points and (best is None or points > abs(best.points)):
            page = entry.page.replace("{ip}", client)
            best = Listing(entry.zone, code, -points if entry.allow else points, page)
    return best


def points_of(codes: Mapping[str, int], code: str, weight: int) -> int:
    """0: the code is not named. The code itself goes before patterns, and these in the order of the entry."""
    if code in codes:
        return codes[code] or weight
    numbers = code.split(".")
    for pattern, points in codes.items():
        if ANY_NUMBER in pattern and all(
            wanted in (ANY_NUMBER, number) for wanted, number in zip(pattern.split("."), numbers, strict=True)
        ):
            return points or weight
    return 0


def fault_of(listed: AddressAnswer, unlisted: AddressAnswer, version: int) -> str:
    """Rule 3: '' if the list is healthy, else what is wrong. The answers to the two questions."""
    for answer in (listed, unlisted):
        if answer.status is Status.FAILED:
            return f"it does not answer: {answer.detail}"
        if refusal := next(filter(is_refusal, answer.addresses), ""):
            return f"it answers {refusal}, which is no listing: it does not want our questions, or is no list any more"
    if listed.status is Status.NOT_FOUND:
        return f"{TEST_LISTED[version]} is not listed, which each list must have: it is empty, or gone"
    if unlisted.status is Status.OK:
        return f"{TEST_UNLISTED[version]} is listed, which no list may have: it lists everybody"
    return ""


def check_code(text: str) -> None:
    """A code of an entry: raises ValueError that says what would be right."""
    numbers = text.split(".")
    good = len(numbers) == 4 and all(n == ANY_NUMBER or (n.isascii() and n.isdigit() and len(n) < 4) for n in numbers)
    if not good or any(n != ANY_NUMBER and (int(n) > 255 or str(int(n)) != n) for n in numbers):
        raise ValueError(f'"{text}" is no code; write an answer such as "127.0.0.2", or "127.0.*.3"')
    if numbers[0] != "127":
        raise ValueError(f'"{text}" is no code: the answers of lists begin with 127 (RFC 5782 §2.1)')
    if is_refusal(text):
        raise ValueError(f'"{text}" is how lists say that they do not answer you; it cannot stand for a listing')
