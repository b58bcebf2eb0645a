"""Authenticator: is this login and password right, and is a session that logged in still allowed to go on?

Rules
1. Unknown login, disabled account and wrong password get the same answer after the same work (`verify_nobody`);
   only the event tells the postmaster which it was.
2. A recent success is remembered for five minutes, so that a program which polls every minute costs one Argon2 in
   five. What is kept is an HMAC over name, epoch and password under a key that this process drew at random: it is
   useless in another process, and a new epoch makes it match no more. The password itself is never kept.
3. A change of the account while its password is being checked (passwd, disable, remove) wins over the check.
4. When no check can be made now (`try_later`), the client is told so with 454 4.7.0 (RFC 4954 §6) and not that its
   password is wrong: mail programs answer that by asking people for a new one.
5. The login is the whole address. Without `@` it means the first configured domain; letter case does not matter; the
   domain may be written in Unicode; the local part is composed (NFC).
6. A login that is nobody's is told to the postmaster only where it is an address of ours: people type their password
   into the wrong field, and it must not end in the log (invariant 4).

Called by session/ (submission, pop3). Sessions ask `still_valid` when the directory says that it changed.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from ekiden.model.account import Account
from ekiden.model.mailbox import Mailbox, domain_key
from ekiden.ports.clock import Clock, Random
from ekiden.ports.directory import Directory, DirectoryFailed
from ekiden.ports.passwords import HasherBusy, PasswordHasher
from ekiden.proto.sasl import MAX_LOGIN_OCTETS, MAX_PASSWORD_OCTETS, prepare

#: How long a success is remembered, counted from the last Argon2 check and not prolonged by use.
REMEMBER_SECONDS: Final = 300.0
#: 100 octets or so each: a megabyte.
REMEMBER_AT_MOST: Final = 10_000
#: Wrong logins on one connection, then it ends. A person mistypes once or twice; more is guessing.
FAILED_LOGINS: Final = 3


class LoginReason(StrEnum):
    """For events; the client learns no more than right, wrong, or try later."""

    OK = "ok"
    UNKNOWN_USER = "unknown-user"
    DISABLED = "disabled"
    WRONG_PASSWORD = "wrong-password"  # noqa: S105 - a word, not a secret
    CHANGED = "changed-meanwhile"
    BUSY = "busy"
    STORE_FAILED = "store-failed"


class LoginResult(NamedTuple):
    """`account`: set if, and only if, the login is right. `name`: the account name that was meant, for events; ''
    if that could be something else, such as a password (rule 6)."""

    account: Account | None
    reason: LoginReason
    name: str = ""

    @property
    def try_later(self) -> bool:
        """Nothing was decided: SMTP 454 4.7.0, POP3 `-ERR [SYS/TEMP]` (RFC 3206)."""
        return self.reason in {LoginReason.BUSY, LoginReason.STORE_FAILED}


class Authenticator:
    """One a worker. `domains`: ours, in configured order."""

    def __init__(
        self,
        directory: Directory,
        hasher: PasswordHasher,
        clock: Clock,
        random: Random,
        domains: Sequence[str] = (),
    ) -> None:
        self._directory = directory
        self._hasher = hasher
        self._clock = clock
        self._default_domain = domains[0] if domains else ""
        self._domains = frozenset(map(domain_key, domains))
        self._key = random.token(32)
        self._recent: dict[bytes, float] = {}  # MAC -> until when (monotonic), oldest first

    def account_name(self, login: str) -> str:
        """The account name (mailbox key) that a login means; '' if it can not be one."""
        login = unicodedata.normalize("NFC", login.strip())
        local_part, at, domain = login.rpartition("@")
        if not at:
            local_part, domain = login, self._default_domain
        if not local_part or not domain or len(login.encode("utf-8", "replace")) > MAX_LOGIN_OCTETS:
            return ""
        return Mailbox(local_part, domain).key

    async def check(self, login: str, password: str) -> LoginResult:
        """Never raises for what a client or a store may do. Takes as long for a login nobody has as for a wrong
        password. May be cancelled; the check under way then ends by itself."""
        name = self.account_name(login)
        if len(password) > MAX_PASSWORD_OCTETS:
            password = ""  # wrong, at the usual price: no password of ours is longer
        prepared = prepare(password)
        try:
            return await self._check(login, name, prepared)
        except HasherBusy:
            return LoginResult(None, LoginReason.BUSY, self._tellable(login, name))
        except DirectoryFailed:
            return LoginResult(None, LoginReason.STORE_FAILED, self._tellable(login, name))

    def _tellable(self, login: str, name: str) -> str:
        """Rule 6."""
        return name if "@" in login and name.rpartition("@")[2] in self._domains else ""

    async def _check(self, login: str, name: str, prepared: str) -> LoginResult:
        account = await self._directory.account(name) if name else None
        if account is None or not account.enabled:
            await self._hasher.verify_nobody(prepared)
            if account is None:
                return LoginResult(None, LoginReason.UNKNOWN_USER, self._tellable(login, name))
            return LoginResult(None, LoginReason.DISABLED, name)
        mac = self._mac(account, prepared)
        if self._remembers(mac):
            return LoginResult(account, LoginReason.OK, name)
        if not await self._hasher.verify(account.argon2, prepared):
            return LoginResult(None, LoginReason.WRONG_PASSWORD, name)
        now = await self._directory.account(name)  # rule 3
        if now is None or not now.enabled or now.epoch != account.epoch:
            return LoginResult(None, LoginReason.CHANGED, name)
        self._remember(mac)
        return LoginResult(now, LoginReason.OK, name)

    async def still_valid(self, account_name: str, epoch: int) -> bool:
        """May a session that logged in as `account_name` with that epoch go on?

        False when the account was removed, disabled or changed, and also when the store can not say (its session is
        then closed with a temporary reply: it may come again, a revoked one must not stay).
        """
        try:
            account = await self._directory.account(account_name)
        except DirectoryFailed:
            return False
        return account is not None and account.enabled and account.epoch == epoch

    def _mac(self, account: Account, prepared: str) -> bytes:
        name = account.name.encode()
        message = b"%d:%s%d:%s" % (len(name), name, account.epoch, prepared.encode("utf-8", "surrogatepass"))
        return hmac.digest(self._key, message, "sha256")

    def _remembers(self, mac: bytes) -> bool:
        until = self._recent.get(mac)
        if until is None:
            return False
        if self._clock.monotonic() < until:
            return True
        del self._recent[mac]
        return False

    def _remember(self, mac: bytes) -> None:
        self._recent.pop(mac, None)
        while len(self._recent) >= REMEMBER_AT_MOST:
            del self._recent[next(iter(self._recent))]
        self._recent[mac] = self._clock.monotonic() + REMEMBER_SECONDS
