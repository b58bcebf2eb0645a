"""App passwords: a secret that we make for one device or program, and how one that comes back is known.

Rules
1. A secret is 24 letters and digits in groups of four, `abcd-efgh-jkmn-pqrs-tuvw-xyz2`: 118 bits of chance, none of
   them easily mistaken for another (no i, l, o, 0, 1). It is shown once; only its verifiers are kept.
2. Where the program sends us the secret itself (PLAIN, LOGIN), blanks, hyphens and letter case do not matter. A SCRAM
   client proves what was typed, letter by letter: there it must be typed as it was shown.
3. Each has a name that its owner knows the device by, one scope at least, and may be bound to networks and to a time.

Called by `admin.app_passwords` (making) and `accounts.login` (checking).
"""

from __future__ import annotations

import hashlib
import ipaddress
import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple

from ekiden.accounts.refusal import Malformed, Refused
from ekiden.accounts.verifier import scram_verifier
from ekiden.model.account import SCOPES, Account, AppPassword
from ekiden.ports.clock import Random

#: 31 of them.
ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
GROUPS: Final = 6
GROUP: Final = 4
LENGTH: Final = GROUPS * GROUP

#: 31 ** 4 are nearly a million, for a hundred at most.
ID_LENGTH: Final = 4
#: Columns of a list, not a rule of anybody's.
MAX_NAME: Final = 64
#: A person's home, office and provider; a login is compared with each.
MAX_NETWORKS: Final = 32

_SPACERS: Final = str.maketrans("", "", "- \t")


def secret_digest(prepared: str) -> bytes | None:
    """What `AppPassword.digest` of this secret is; None for what can not be one of ours. `prepared`:
    `proto.sasl.prepare`. Costs a microsecond."""
    bare = prepared.translate(_SPACERS).lower()
    if len(bare) != LENGTH or not bare.isascii():
        return None
    return hashlib.sha256(bare.encode()).digest()


class NewAppPassword(NamedTuple):
    """`secret` exists here and on the owner's screen alone."""

    app_password: AppPassword
    secret: str

    def __repr__(self) -> str:
        return f"NewAppPassword({self.app_password.id!r}, secret=…)"


class Wish(NamedTuple):
    """What somebody asks of an app password. `scopes`: () for all. `expires`: seconds since 1970, 0 for never."""

    name: str
    scopes: Sequence[str] = ()
    networks: Sequence[str] = ()
    expires: float = 0.0


def make_app_password(account: Account, wish: Wish, random: Random, now: float) -> NewAppPassword:
    """One that is not stored yet. Takes tens of milliseconds of CPU. Raises Refused."""
    name = _name(wish.name)
    scopes, networks = _scopes(wish.scopes), _networks(wish.networks)
    if wish.expires and wish.expires <= now:
        raise Refused("--expires", "is in the past; name a later day, or a time from now on such as 90d")
    secret = "-".join(_letters(random, GROUP) for _ in range(GROUPS))
    digest = secret_digest(secret)
    assert digest is not None, "a secret of ours has the form of one"
    scram = scram_verifier(secret, account.scram.salt, account.scram.iterations)
    app_password = AppPassword(
        id=_free_id(account, name, random),
        name=name,
        digest=digest,
        stored_key=scram.stored_key,
        server_key=scram.server_key,
        scopes=scopes,
        networks=networks,
        created=now,
        expires=wish.expires,
    )
    return NewAppPassword(app_password, secret)


def chosen(account: Account, id_or_name: str) -> AppPassword | None:
    """The one that a person means, by id or by name in any letter case."""
    word = unicodedata.normalize("NFC", id_or_name.strip()).casefold()
    return next((there for there in account.app_passwords if word in (there.id, there.name.casefold())), None)


def _name(text: str) -> str:
    name = unicodedata.normalize("NFC", text.strip())
    if not name:
        raise Malformed("--name", "is empty; name the device or program that will use it, such as Phone")
    if len(name) > MAX_NAME or not name.isprintable():
        raise Malformed("--name", f"has more than {MAX_NAME} characters, or one that cannot be shown; try Phone")
    return name


def _scopes(wished: Sequence[str]) -> tuple[str, ...]:
    for scope in wished:
        if scope not in SCOPES:
            raise Malformed("--scope", f"{scope!r} is none; there are submit (send mail) and fetch (read mail)")
    return tuple(scope for scope in SCOPES if scope in wished or not wished)


def _networks(wished: Sequence[str]) -> tuple[str, ...]:
    if len(wished) > MAX_NETWORKS:
        raise Refused("--network", f"there are {len(wished)}, and {MAX_NETWORKS} at most are kept; name larger ones")
    found = [_network(text) for text in wished]
    return tuple(dict.fromkeys(found))


def _network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise Malformed(
            "--network", f"{text!r} is none; write it like 192.0.2.0/24, 2001:db8::/48 or 192.0.2.7"
        ) from None
    address = ipaddress.ip_address(text.strip().partition("/")[0])
    if address != network.network_address:
        raise Malformed("--network", f"{text}: the network of that size is {network}; write that, or {address} for one")
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise Malformed("--network", f"{text} carries an IPv4 address; write {network.network_address.ipv4_mapped}")
    return str(network)


def _free_id(account: Account, name: str, random: Random) -> str:
    taken = {word for there in account.app_passwords for word in (there.id, there.name.casefold())} | {name.casefold()}
    while (key := _letters(random, ID_LENGTH)) in taken:
        pass
    return key


def _letters(random: Random, count: int) -> str:
    """Octets of 248 and more are left out, or the first letters of the alphabet would come more often."""
    found = ""
    while len(found) < count:
        found += "".join(ALPHABET[octet % len(ALPHABET)] for octet in random.token(2 * count) if octet < 248)
    return found[:count]
