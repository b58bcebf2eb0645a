"""Which letters and legs a `Selection` means; the same answer from every engine. Pure.

Rules
1. All conditions must hold. A letter is meant if at least one of its legs is; a listing shows only the legs meant.
2. `domain` is compared with the recipients' domains, `sender` with the whole reverse-path (`@domain` means all of
   that domain, `<>` the null reverse-path), `account` with the login; letter case and A-/U-labels do not matter.
"""

from __future__ import annotations

from ekiden.model.envelope import Envelope, Leg, LegState
from ekiden.model.mailbox import domain_key
from ekiden.ports.spool import Selection, Steer


def means_letter(selection: Selection, letter: int, envelope: Envelope) -> bool:
    """The conditions that a letter fulfils as a whole, without its legs."""
    if selection.letter is not None and letter != selection.letter:
        return False
    if selection.after is not None and letter <= selection.after:
        return False
    if selection.account and envelope.origin.account.lower() != selection.account.lower():
        return False
    return not selection.sender or _is_sender(selection.sender, envelope.reverse_path)


def means_leg(selection: Selection, leg: Leg) -> bool:
    """The conditions that a leg fulfils by itself."""
    if selection.state and leg.state != selection.state:
        return False
    if not selection.domain:
        return True
    wanted = domain_key(selection.domain)
    return any(_domain(recipient.forward_path) == wanted for recipient in leg.recipients)


def steered(steer: Steer, state: LegState) -> bool:
    """Whether `steer` changes a leg in this state. Claimed legs are left alone; a held one waits for RELEASE."""
    return state is (LegState.HELD if steer is Steer.RELEASE else LegState.WAITING)


def _is_sender(wanted: str, reverse_path: str) -> bool:
    if wanted == "<>":
        return reverse_path == ""
    if wanted.startswith("@"):
        return _domain(reverse_path) == domain_key(wanted[1:])
    return wanted.lower() == reverse_path.lower()


def _domain(path: str) -> str:
    return domain_key(path.rpartition("@")[2]) if "@" in path else ""
