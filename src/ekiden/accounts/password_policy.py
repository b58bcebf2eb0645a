"""Which main passwords may be: not too short, not known, not easily guessed, not used before.

Rules
1. Every refusal says in plain words why, and what would be right; it never repeats the password.
2. Length before anything: `min_length` characters at least. No classes of characters are asked for, and nothing expires
   by default: NIST SP 800-63B §3.1.1 and its reasons.
3. No password that many people had when it was stolen: zxcvbn's list of the 30,000 most common ones, which comes with
   it, in any letter case, and the postmaster's own list (`ports.breached`).
4. Strength as zxcvbn estimates it, 0 to 4: it tries words, names, keyboard rows, dates, repeats, and what an attacker
   knows: the address, the domain, the server's name. It looks at the first 40 characters, because its time
   grows steeply with the length.
   Beside the words of the address there must be `OWN` letters or digits: zxcvbn takes `alice-example` for strong.
5. Not the current password, nor one of the last few: those are kept as Argon2id hashes only. This costs one check each
   and comes last.
6. With `max_age_days` a password is over so many days after it was set; app passwords go on: nobody chose them, and
   they have dates of their own.

Passwords of app passwords are made by us and never come here. Called by `admin.accounts` (`check`) and `accounts.login`
(`expires`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any, Final

from ekiden.accounts.refusal import Refused
from ekiden.config.model import Passwords
from ekiden.model.account import Account
from ekiden.ports.breached import BreachedPasswords
from ekiden.ports.passwords import PasswordHasher
from ekiden.proto.sasl import MAX_PASSWORD_OCTETS, prepare

DAY: Final = 86_400.0
#: So long before a password is over, each login with it says so to the postmaster.
WARN_SECONDS: Final = 14 * DAY
#: zxcvbn tries each way to read signs as letters: 72 characters full of them take 2.3 s, 40 take 0.65 s at worst.
#: What is good in 40 characters is good.
MEASURED: Final = 40

#: A word of the address this short stands in other words, too.
SHORTEST_WORD: Final = 4
#: Letters and digits that must be there beside the words of the address.
OWN: Final = 6

_ADVICE: Final = "three or four words that have nothing to do with each other are good, or let a program make one"

#: Why zxcvbn thinks little of a password, by the kind of its longest part.
_WHY: Final = {
    "passwords": "it is mostly a password that many people have",
    "user_inputs": "it is mostly the address or the name of the server, which guessers try first",
    "female_names": "it is mostly a name",
    "male_names": "it is mostly a name",
    "surnames": "it is mostly a name",
    "english_wikipedia": "it is mostly one common word",
    "us_tv_and_film": "it is mostly one common word",
    "spatial": "it is mostly keys in a row",
    "repeat": "it is mostly the same again and again",
    "sequence": "it is mostly letters or digits in their order, such as abc or 6543",
    "date": "it is mostly a date",
    "regex": "it is mostly a year",
}


class PasswordPolicy:
    """`rules`: `[passwords]` of the configuration. `server_name`: its `hostname`. `breached`: the postmaster's own
    list, if there is one."""

    def __init__(
        self,
        rules: Passwords,
        hasher: PasswordHasher,
        *,
        server_name: str = "",
        breached: BreachedPasswords | None = None,
    ) -> None:
        self._rules = rules
        self._hasher = hasher
        self._server_name = server_name
        self._breached = breached

    async def check(self, password: str, name: str, account: Account | None = None) -> None:
        """May the account `name` have it? `account`: as it is, if there is one. Takes up to a second of CPU where
        nobody waits for the loop. Raises Refused, HasherBusy, BreachedFailed."""
        prepared = prepare(password)
        check_form(prepared, name, self._rules.min_length)
        if is_common(prepared) or (self._breached is not None and await self._breached.holds(prepared)):
            raise Refused(
                "password", f"is one of those that were stolen elsewhere and are tried everywhere since; {_ADVICE}"
            )
        if why := weakness(prepared, self._rules.strength, name, self._server_name):
            raise Refused("password", f"is too easy to guess: {why}; {_ADVICE}")
        if account is not None:
            await self._check_history(prepared, account)

    def history_of(self, account: Account) -> tuple[str, ...]:
        """What to keep of past passwords once the account has a new one."""
        return (account.argon2, *account.password_history)[: max(self._rules.history - 1, 0)]

    def until(self, account: Account) -> float:
        """When its password is over (rule 6), in seconds since 1970; 0 for never."""
        return expires(account, self._rules.max_age_days)

    async def _check_history(self, prepared: str, account: Account) -> None:
        if not self._rules.history:
            return
        if await self._hasher.verify(account.argon2, prepared):
            raise Refused("password", "is the one that the account has now; take another one")
        for past in account.password_history[: self._rules.history - 1]:
            if await self._hasher.verify(past, prepared):
                raise Refused("password", f"was used before; take one that is not among the last {self._rules.history}")


def check_form(prepared: str, name: str, min_length: int) -> None:
    """Raises Refused for what could not be typed everywhere, is too short, or is the address itself."""
    if any(unicodedata.category(character) == "Cc" for character in prepared):
        raise Refused("password", "has a control character or a second line; use letters, digits, signs and blanks")
    if any(unicodedata.category(character) == "Cs" for character in prepared):
        raise Refused("password", "is not UTF-8; check the terminal's or the file's encoding")
    if len(prepared) < min_length:
        raise Refused(
            "password",
            f"has {len(prepared)} characters and needs {min_length} at least: mail servers are tried with millions "
            "of short ones every day. Three or four words in a row are good",
        )
    if len(prepared.encode()) > MAX_PASSWORD_OCTETS:
        raise Refused("password", f"is longer than {MAX_PASSWORD_OCTETS} octets")
    if prepared.casefold() in {name, name.partition("@")[0]}:
        raise Refused("password", "is the address itself, which is the first that anybody tries; take another one")


def is_common(prepared: str) -> bool:
    """Among the most common of breached passwords, in any letter case (rule 3)."""
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # 100 ms and some megabytes: only where passwords are set

    return prepared.casefold() in FREQUENCY_LISTS["passwords"]


def weakness(prepared: str, strength: int, name: str, server_name: str) -> str:
    """Why it is weaker than `strength` (0 to 4), or ''. `name`: the account's."""
    if not strength:
        return ""
    from zxcvbn import zxcvbn  # as above

    local_part, _, domain = name.partition("@")
    known = {name, local_part, domain, *domain.split("."), server_name, *server_name.split(".")}
    if _is_made_of(prepared, known):
        return _WHY["user_inputs"]
    found = zxcvbn(prepared[:MEASURED], user_inputs=sorted(word for word in known if word))
    return "" if found["score"] >= strength else _why(found["sequence"])


def _is_made_of(prepared: str, known: Iterable[str]) -> bool:
    """Of the words of the address, with little beside them."""
    left = folded = prepared.casefold()
    for word in sorted((word for word in known if len(word) >= SHORTEST_WORD), key=len, reverse=True):
        left = left.replace(word, " ")
    return left != folded and sum(map(str.isalnum, left)) < OWN


def expires(account: Account, max_age_days: int) -> float:
    """When the main password is over (rule 6), in seconds since 1970; 0 for never."""
    return account.password_changed + max_age_days * DAY if max_age_days else 0.0


def _why(parts: list[dict[str, Any]]) -> str:
    """`parts`: zxcvbn's matches. The longest one that it knew says most."""
    known = [part for part in parts if part["pattern"] != "bruteforce"]
    if not known:
        return "it is short, and a few characters more would do"
    longest = max(known, key=lambda part: len(part["token"]))
    return _WHY.get(longest.get("dictionary_name") or longest["pattern"], "it follows a pattern that guessers know")
