"""Authenticator: is this login right, and is a session that logged in still allowed to go on?

Rules
1. Unknown login, disabled account, wrong password and a secret that is right but may not be used here (too old,
   expired, other scope, other network) get the same answer after the same work; only the event tells the postmaster
   which it was.
2. A recent success is remembered (`accounts.remembered`); a change of the account makes it match no more.
3. A change of the account while its password is being checked (passwd, disable, remove) wins over the check.
4. When no check can be made now (`try_later`), the client is told so with 454 4.7.0 (RFC 4954 §6) and not that its
   password is wrong: mail programs answer that by asking people for a new one.
5. The login is the whole address. Without `@` it means the first configured domain; letter case does not matter; the
   domain may be written in Unicode; the local part is composed (NFC).
6. A login that is nobody's is told to the postmaster only where it is an address of ours: people type their password
   into the wrong field, and it must not end in the log (invariant 4).
7. Under a storm of guesses, clients whose network the account came from before are checked first (`ports.known_pairs`).
8. SCRAM (RFC 5802): a login that nobody has gets a salt that is the same at every try, made of the installation's
   secret, and the usual count. A proof is judged when it comes, and the account is looked at once more afterwards: a
   client that takes its time with the last message gets no further than its account allows then.

Called by `accounts.exchange`. Sessions ask `still_valid` when the directory says that it changed.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple

from ekiden.accounts import app_login, password_policy
from ekiden.accounts.remembered import Remembered
from ekiden.accounts.result import LoginReason, LoginResult, Scope
from ekiden.accounts.verifier import ITERATIONS, SALT_OCTETS
from ekiden.model.account import Account, AppPassword
from ekiden.model.mailbox import Mailbox, domain_key
from ekiden.policy.login_network import login_network
from ekiden.ports.clock import Clock, Random
from ekiden.ports.directory import Directory, DirectoryFailed
from ekiden.ports.known_pairs import KnownPairs
from ekiden.ports.passwords import HasherBusy, PasswordHasher
from ekiden.ports.tokens import TokenFault, TokenVerifier
from ekiden.proto.sasl import (
    MAX_LOGIN_OCTETS,
    MAX_PASSWORD_OCTETS,
    PASSWORD_MECHANISMS,
    TOKEN_MECHANISMS,
    ScramKeys,
    prepare,
)

#: Wrong logins on one connection, then it ends. A person mistypes once or twice; more is guessing.
FAILED_LOGINS: Final = 3
NONCE_OCTETS: Final = 18


class ScramOffer(NamedTuple):
    """What a SCRAM exchange goes on with. `keys`: of `account`'s own password, then of its app passwords in their
    order; for nobody, none."""

    salt: bytes
    iterations: int
    keys: Sequence[ScramKeys]
    nonce: bytes
    account: Account | None
    name: str


class Authenticator:
    """One a worker. `domains`: ours, in configured order. `max_age_days`: as in `[passwords]`."""

    def __init__(
        self,
        directory: Directory,
        hasher: PasswordHasher,
        clock: Clock,
        random: Random,
        pairs: KnownPairs,
        domains: Sequence[str] = (),
        *,
        max_age_days: int = 0,
        tokens: TokenVerifier | None = None,
    ) -> None:
        """`tokens` None: no issuer is configured, and no mechanism for tokens is offered."""
        self._directory = directory
        self._hasher = hasher
        self._clock = clock
        self._random = random
        self._pairs = pairs
        self._max_age_days = max_age_days
        self.tokens = tokens
        self.mechanisms = PASSWORD_MECHANISMS + (TOKEN_MECHANISMS if tokens is not None else ())
        self._default_domain = domains[0] if domains else ""
        self._domains = frozenset(map(domain_key, domains))
        self._recent = Remembered(random.token(32), clock)

    def account_name(self, login: str) -> str:
        """The account name (mailbox key) that a login means; '' if it can not be one."""
        login = unicodedata.normalize("NFC", login.strip())
        local_part, at, domain = login.rpartition("@")
        if not at:
            local_part, domain = login, self._default_domain
        if not local_part or not domain or len(login.encode("utf-8", "replace")) > MAX_LOGIN_OCTETS:
            return ""
        return Mailbox(local_part, domain).key

    async def check(self, login: str, password: str, *, client: str, scope: Scope) -> LoginResult:
        """`client`: its address. Never raises for what a client or a store may do. Takes as long for a login nobody
        has as for a wrong password. May be cancelled; the check under way then ends by itself."""
        name = self.account_name(login)
        if len(password) > MAX_PASSWORD_OCTETS:
            password = ""  # wrong, at the usual price: no password of ours is longer
        prepared = prepare(password)
        try:
            return await self._check(login, name, prepared, client, scope)
        except HasherBusy:
            return LoginResult(None, LoginReason.BUSY, self._tellable(login, name))
        except DirectoryFailed:
            return LoginResult(None, LoginReason.STORE_FAILED, self._tellable(login, name))

    def _tellable(self, login: str, name: str) -> str:
        """Rule 6."""
        return name if "@" in login and name.rpartition("@")[2] in self._domains else ""

    async def _check(self, login: str, name: str, prepared: str, client: str, scope: Scope) -> LoginResult:
        account = await self._directory.account(name) if name else None
        app_password = None if account is None else app_login.shown(account, prepared)
        network = login_network(client)
        known = await self._pairs.knows(name, network)
        if account is None or not account.enabled:
            await self._hasher.verify_nobody(prepared, known=known)
            if account is None:
                return LoginResult(None, LoginReason.UNKNOWN_USER, self._tellable(login, name))
            return LoginResult(None, LoginReason.DISABLED, name)
        if app_password is not None:
            result = self._with_app_password(account, app_password, client=client, scope=scope)
            if result.account is None:
                await self._hasher.verify_nobody(prepared, known=known)  # rule 1: as dear as a wrong password
                return result
            return await self.let_in(result, client)
        result = self._with_own_password(account)
        mac = self._recent.mac(account, prepared)
        if result.account is None or mac not in self._recent:  # rule 1: a password that is too old costs as much
            if not await self._hasher.verify(account.argon2, prepared, known=known):
                return LoginResult(None, LoginReason.WRONG_PASSWORD, name)
            if not await self.still_valid(name, account.epoch):  # rule 3
                return LoginResult(None, LoginReason.CHANGED, name)
            if result.account is None:
                return result
            self._recent.add(mac)
        return await self.let_in(result, client)

    def _with_own_password(self, account: Account) -> LoginResult:
        """If it is right: is it too old?"""
        until = password_policy.expires(account, self._max_age_days)
        left = until - self._clock.now()
        if until and left <= 0:
            return LoginResult(None, LoginReason.TOO_OLD, account.name)
        soon = until if left < password_policy.WARN_SECONDS else 0
        return LoginResult(account, LoginReason.OK, account.name, password_until=soon)

    def _with_app_password(
        self, account: Account, app_password: AppPassword, *, client: str, scope: Scope
    ) -> LoginResult:
        reason = app_login.refusal(app_password, client=client, scope=scope, now=self._clock.now())
        if reason is not None:
            return LoginResult(None, reason, account.name, app_password.id)
        return LoginResult(account, LoginReason.OK, account.name, app_password.id)

    async def let_in(self, result: LoginResult, client: str) -> LoginResult:
        """Notes a login that is right, where it came from and with what; the same result."""
        self._pairs.succeeded(result.name, login_network(client))
        if result.app_password:
            await self._directory.app_password_used(result.name, result.app_password, self._clock.now(), client)
        return result

    async def check_token(self, login: str, token: str, *, client: str) -> LoginResult:
        """A token of the configured issuer. It names the account; `login`, if there is one, must name the same. Whether
        the account exists is told only to who holds a token for it."""
        assert self.tokens is not None, "no mechanism for tokens is offered"
        claims = await self.tokens.verify(token)
        if isinstance(claims, TokenFault):
            return LoginResult(None, LoginReason(claims.value), self._tellable(login, self.account_name(login)))
        name = self.account_name(claims.login)
        if login and self.account_name(login) != name:
            return LoginResult(None, LoginReason.TOKEN_OTHER, name)
        try:
            account = await self._directory.account(name) if name else None
        except DirectoryFailed:
            return LoginResult(None, LoginReason.STORE_FAILED, name)
        if account is None:
            return LoginResult(None, LoginReason.UNKNOWN_USER, name)
        if not account.enabled:
            return LoginResult(None, LoginReason.DISABLED, name)
        return await self.let_in(LoginResult(account, LoginReason.OK, name), client)

    # --- SCRAM ------------------------------------------------------------------------------------------------

    async def scram_offer(self, login: str, client: str) -> ScramOffer | LoginResult:
        """What the client's proof will be tried against. A LoginResult: nothing is decided now."""
        name = self.account_name(login)
        try:
            account = await self._directory.account(name) if name else None
        except DirectoryFailed:
            return LoginResult(None, LoginReason.STORE_FAILED, self._tellable(login, name))
        salt = hmac.digest(self._pairs.secret, (name or login).encode("utf-8", "surrogatepass"), "sha256")[:SALT_OCTETS]
        nonce = self._random.token(NONCE_OCTETS)
        if account is None or not account.scram.salt:
            return ScramOffer(salt, ITERATIONS, (), nonce, account, self._tellable(login, name))
        scram = account.scram
        keys = [ScramKeys(scram.stored_key, scram.server_key)]
        keys += (ScramKeys(each.stored_key, each.server_key) for each in account.app_passwords)
        return ScramOffer(scram.salt, scram.iterations, keys, nonce, account, name)

    async def scram_judge(self, offer: ScramOffer, matched: int | None, *, client: str, scope: Scope) -> LoginResult:
        """`matched`: which of `offer.keys` the client proved. To be asked when the proof comes, and once more before
        the client is let in (rule 8); `let_in` comes after it."""
        account = offer.account
        if account is None:
            return LoginResult(None, LoginReason.UNKNOWN_USER, offer.name)
        if not account.enabled:
            return LoginResult(None, LoginReason.DISABLED, offer.name)
        if matched is None:
            return LoginResult(None, LoginReason.WRONG_PASSWORD, offer.name)
        if not await self.still_valid(account.name, account.epoch):
            return LoginResult(None, LoginReason.CHANGED, offer.name)
        if matched == 0:
            return self._with_own_password(account)
        return self._with_app_password(account, account.app_passwords[matched - 1], client=client, scope=scope)

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
