"""The address book's rules: which names and aliases may be, and how an account is made.

Rules
1. An account's name is an unquoted dot-string at one of our domains, in key form: people must be able to type it, and
   it names a folder. What strangers may use as local part (quotes, dots in a row, `/`) an account may not.
2. Which passwords may be stands in `accounts.password_policy`.
3. An alias is a mailbox of ours or `@domain` (catch-all); its targets are mailboxes anywhere, but never the alias. A
   granted sender (`send_as`) may be of any domain, too.

A refusal names the argument, says what was wrong and what would be right. Called by `admin.accounts`. Stores nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

import msgspec

from ekiden.accounts.refusal import Malformed, Refused
from ekiden.accounts.verifier import ITERATIONS, SALT_OCTETS, scram_verifier
from ekiden.model.account import Account
from ekiden.model.mailbox import Mailbox, domain_key
from ekiden.model.path import PathError, parse_path
from ekiden.ports.clock import Random
from ekiden.ports.passwords import PasswordHasher
from ekiden.proto.sasl import prepare

#: RFC 5321 §4.5.3.1.1; also keeps a mailbox's folder name within what file systems take.
MAX_LOCAL_PART_OCTETS: Final = 64


def account_name(address: str, domains: Sequence[str]) -> str:
    """The name under which an account of `address` is kept. Raises Refused."""
    mailbox = _our_mailbox("ADDRESS", address, domains)
    local_part = mailbox.local_part
    if local_part.startswith('"') or "/" in local_part or "" in local_part.split("."):
        raise Malformed("ADDRESS", f"the name before the @ may not have quotes, / or stray dots: {address}")
    return mailbox.key


def alias_name(address: str, domains: Sequence[str]) -> str:
    """The name of an alias; `@domain` is the catch-all of a domain. Raises Refused."""
    if address.startswith("@"):
        _check_ours("ALIAS", address, address[1:], domains)
        return f"@{domain_key(address[1:])}"
    return _our_mailbox("ALIAS", address, domains).key


def alias_target(address: str, name: str) -> Mailbox:
    """A target of the alias `name`, as written. Raises Refused."""
    mailbox = _mailbox("TARGET", address)
    if mailbox.key == name:
        raise Refused("TARGET", f"{address} is the alias itself; mail to it would go round in circles")
    return mailbox


def sender_name(address: str) -> str:
    """A granted sender in key form: a mailbox of any domain, or `@domain`. Raises Malformed."""
    if address.startswith("@"):
        return f"@{_mailbox('OTHER', f'any{address}').domain_key}"
    return _mailbox("OTHER", address).key


def recipient_key(address: str) -> str:
    """Whom somebody writes to: any mailbox, in key form. Raises Malformed."""
    return _mailbox("RECIPIENT", address).key


async def make_account(name: str, password: str, hasher: PasswordHasher, random: Random, now: float) -> Account:
    """An account that is not stored yet; `PasswordPolicy` has seen the password. `now`: seconds since 1970. Raises
    HasherBusy."""
    return Account(
        name=name,
        argon2=await hasher.hash(prepare(password)),
        scram=scram_verifier(password, random.token(SALT_OCTETS), ITERATIONS),
        created=now,
        changed=now,
        password_changed=now,
    )


async def with_password(
    account: Account, password: str, hasher: PasswordHasher, now: float, *, history: tuple[str, ...] = ()
) -> Account:
    """The account with a new password; SCRAM salt and count stay (`accounts.verifier`, rule 2). `history`: what is
    kept of past ones. Raises HasherBusy."""
    return msgspec.structs.replace(
        account,
        argon2=await hasher.hash(prepare(password)),
        scram=scram_verifier(password, account.scram.salt, account.scram.iterations),
        changed=now,
        password_changed=now,
        password_history=history,
    )


def _mailbox(argument: str, address: str) -> Mailbox:
    try:
        octets = unicodedata.normalize("NFC", address).encode()
        mailbox, rest = parse_path(octets, utf8=True, lenient=True)
    except (PathError, UnicodeEncodeError) as error:
        raise Malformed(argument, f"{address!r} is no address ({error}); write it like you@example.org") from None
    if mailbox is None or not mailbox.domain or rest:
        raise Malformed(argument, f"{address!r} is no address; write it like you@example.org")
    if len(mailbox.local_part.encode()) > MAX_LOCAL_PART_OCTETS:
        raise Malformed(argument, f"{address} has more than {MAX_LOCAL_PART_OCTETS} octets before the @")
    return mailbox


def _our_mailbox(argument: str, address: str, domains: Sequence[str]) -> Mailbox:
    mailbox = _mailbox(argument, address)
    _check_ours(argument, address, mailbox.domain, domains)
    return mailbox


def _check_ours(argument: str, address: str, domain: str, domains: Sequence[str]) -> None:
    if domain_key(domain) in {domain_key(ours) for ours in domains}:
        return
    known = f"ours: {', '.join(domains)}" if domains else "there is none yet"
    raise Refused(argument, f"{address}: {domain} is no [[domain]] of the configuration ({known}); add it there first")
