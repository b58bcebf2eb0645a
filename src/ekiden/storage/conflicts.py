"""What a directory engine says when a change contradicts what is there: the same sentences from every engine."""

from __future__ import annotations

from ekiden.model.account import MAX_APP_PASSWORDS, Account, AppPassword
from ekiden.model.mailbox import address_key
from ekiden.ports.directory import DirectoryConflict


def account_exists(name: str) -> DirectoryConflict:
    return DirectoryConflict(f"there is already an account {name}; `ekiden account passwd` changes its password")


def no_account(name: str) -> DirectoryConflict:
    return DirectoryConflict(f"there is no account {name}; `ekiden account list` shows those there are")


def changed_meanwhile(name: str) -> DirectoryConflict:
    return DirectoryConflict(f"{name} was changed by somebody else at the same moment; look at it and try again")


def no_app_password(name: str, app_password: str) -> DirectoryConflict:
    what = f"no app password {app_password}" if app_password else "no app passwords"
    return DirectoryConflict(f"{name} has {what}; `ekiden account app-password list {name}` shows those there are")


def check_app_password(account: Account, added: AppPassword) -> None:
    """Raises DirectoryConflict if the account may not have `added` beside those it has."""
    if len(account.app_passwords) >= MAX_APP_PASSWORDS:
        raise DirectoryConflict(f"{account.name} has {MAX_APP_PASSWORDS} app passwords; revoke what is not used first")
    taken = {word.casefold() for there in account.app_passwords for word in (there.id, there.name)}
    if added.id.casefold() in taken or added.name.casefold() in taken:
        raise DirectoryConflict(
            f"{account.name} has an app password {added.name} already; give this one another name, or revoke that one"
        )


def alias_in_the_way(name: str) -> DirectoryConflict:
    return DirectoryConflict(f"{name} is an alias, which would take the account's mail; remove the alias first")


def account_in_the_way(name: str) -> DirectoryConflict:
    return DirectoryConflict(f"{name} is an account; an alias of that name would take its mail away")


def no_alias(name: str) -> DirectoryConflict:
    return DirectoryConflict(f"there is no alias {name}; `ekiden alias list` shows those there are")


def no_target(name: str, target: str) -> DirectoryConflict:
    return DirectoryConflict(f"the alias {name} does not lead to {target}; `ekiden alias list` shows where it leads")


def added(targets: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """`targets` with those of `more` that are new, in order."""
    seen = {address_key(target) for target in targets}
    out = list(targets)
    for target in more:
        if (key := address_key(target)) not in seen:
            seen.add(key)
            out.append(target)
    return tuple(out)


def removed(name: str, targets: tuple[str, ...], target: str) -> tuple[str, ...]:
    """`targets` without `target`. Raises DirectoryConflict if it is not among them."""
    left = tuple(t for t in targets if address_key(t) != address_key(target))
    if len(left) == len(targets):
        raise no_target(name, target)
    return left
