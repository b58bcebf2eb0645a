"""Which letters and legs a `Selection` means; the same answer from every engine. Pure.

Rules
1. All conditions must hold. A letter is meant if at least one of its legs is; a listing shows only the legs meant.
2. `domain` is compared with the recipients' domains, `sender` with the whole reverse-path (`@domain` means all of
   that domain, `<>` the null reverse-path), `account` with the login; letter case and A-/U-labels do not matter.
3. How old a letter is, its id tells: so an engine need not read letters that are too old or too young.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ekiden.model.envelope import Envelope, Leg, LegState, Recipient
from ekiden.model.ids import first_id
from ekiden.model.mailbox import domain_key
from ekiden.ports.spool import Selection, Steer

#: Larger than every id.
_END: Final = 1 << 63


def id_range(selection: Selection) -> tuple[int, int]:
    """The ids that may be meant: from the first to below the second."""
    first, end = 0, _END
    if selection.after is not None:
        first = selection.after + 1
    if selection.arrived_after is not None:
        first = max(first, first_id(selection.arrived_after))
    if selection.arrived_before is not None:
        end = first_id(selection.arrived_before)
    if selection.letter is not None:
        first, end = max(first, selection.letter), min(end, selection.letter + 1)
    return first, end


def asks_for_envelope(selection: Selection) -> bool:
    """Whether `means_envelope` has anything to decide."""
    return bool(selection.account or selection.sender)


def asks_for_recipients(selection: Selection) -> bool:
    """Whether `means_recipients` has anything to decide."""
    return bool(selection.domain or selection.error)


def means_letter(selection: Selection, letter: int, envelope: Envelope) -> bool:
    """The conditions that a letter fulfils as a whole, without its legs."""
    first, end = id_range(selection)
    return first <= letter < end and means_envelope(selection, envelope)


def means_envelope(selection: Selection, envelope: Envelope) -> bool:
    """The same of a letter whose id is in `id_range`."""
    if selection.account and envelope.origin.account.lower() != selection.account.lower():
        return False
    return not selection.sender or _is_sender(selection.sender, envelope.reverse_path)


def means_leg(selection: Selection, leg: Leg) -> bool:
    """The conditions that a leg fulfils by itself."""
    if selection.state and leg.state != selection.state:
        return False
    if selection.next_hop and leg.next_hop != selection.next_hop:
        return False
    if not leg.hold_reason.startswith(selection.hold):
        return False
    return means_recipients(selection, leg.recipients)


def means_recipients(selection: Selection, recipients: Sequence[Recipient]) -> bool:
    """The conditions on a leg's recipients: each is fulfilled by one of them at least."""
    if selection.domain:
        wanted = domain_key(selection.domain)
        if not any(_domain(recipient.forward_path) == wanted for recipient in recipients):
            return False
    if not selection.error:
        return True
    part = selection.error.lower()
    return any(part in recipient.last_error.lower() for recipient in recipients)


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
