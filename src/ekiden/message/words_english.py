"""A report's text in English."""

from __future__ import annotations

from typing import Final

from ekiden.message.wording import Advice, Wording

_CHECK: Final = "Check the address for typing errors, and ask the recipient another way if it looks right."
_POSTMASTER: Final = "If it goes on, tell your own postmaster and attach this report."

_ADVICE: Final[dict[str, Advice]] = {
    "": Advice(
        "the other mail system gave no reason that has a name.",
        "Ask the recipient another way, or tell your own postmaster.",
    ),
    "1": Advice("the recipient's address was not accepted.", _CHECK),
    "1.0": Advice("the recipient's address was not accepted.", _CHECK),
    "1.1": Advice("there is no mailbox of that name.", _CHECK),
    "1.2": Advice("the domain behind the @ does not exist or has no mail server.", _CHECK),
    "1.3": Advice("the address is not written as an address must be.", _CHECK),
    "1.4": Advice("the address fits more than one mailbox.", _CHECK),
    "1.6": Advice("the mailbox has moved, and its new address is not known.", "Ask the recipient for the new address."),
    "1.7": Advice(
        "your own address, as the sender, is not written as an address must be.",
        "Check the sender address in your mail program's settings.",
    ),
    "1.8": Advice(
        "the domain of your own address, as the sender, does not exist or has no mail server.",
        "Check the sender address in your mail program's settings; if it is right, tell your postmaster.",
    ),
    "1.10": Advice("the domain behind the @ says that it receives no mail at all.", _CHECK),
    "2": Advice(
        "something is wrong with the recipient's mailbox.", "Try again later, or ask the recipient another way."
    ),
    "2.1": Advice("the mailbox is disabled.", "Ask the recipient another way."),
    "2.2": Advice("the mailbox is full.", "Ask the recipient to make room, then send the letter again."),
    "2.3": Advice(
        "the letter is larger than this mailbox accepts.",
        "Send it smaller: leave attachments out, or share them by a link.",
    ),
    "3": Advice("the other mail system has a problem of its own.", f"Send the letter again later. {_POSTMASTER}"),
    "3.1": Advice("the other mail system has no room left.", "Send the letter again later."),
    "3.2": Advice("the other mail system takes no mail at the moment.", "Send the letter again later."),
    "3.4": Advice(
        "the letter is larger than the other mail system accepts.",
        "Send it smaller: leave attachments out, or share them by a link.",
    ),
    "4": Advice(
        "there is no working way to the recipient's mail server.", f"Send the letter again later. {_POSTMASTER}"
    ),
    "4.1": Advice(
        "the recipient's mail server did not answer.",
        f"Send the letter again later, and check the domain. {_POSTMASTER}",
    ),
    "4.2": Advice(
        "the connection to the recipient's mail server broke.", f"Send the letter again later. {_POSTMASTER}"
    ),
    "4.3": Advice(
        "the recipient's domain could not be looked up.", f"Check the domain behind the @, and try later. {_POSTMASTER}"
    ),
    "4.4": Advice("no mail server could be found for the recipient's domain.", _CHECK),
    "4.5": Advice("the recipient's mail server is too busy.", "Send the letter again later."),
    "4.6": Advice(
        "the letter went round in a circle between mail servers.", "Tell your own postmaster and attach this report."
    ),
    "4.7": Advice(
        "it could not be delivered in the time that is allowed, although it was tried many times.",
        f"Send it again later, or reach the recipient another way. {_POSTMASTER}",
    ),
    "5": Advice(
        "the two mail servers did not understand each other.", "Tell your own postmaster and attach this report."
    ),
    "5.3": Advice("the letter has too many recipients.", "Send it to fewer people at once."),
    "6": Advice(
        "the recipient's mail system cannot take a letter of this form.",
        "Send it as plain text, or ask your postmaster.",
    ),
    "6.3": Advice(
        "the recipient's mail system cannot take 8-bit text.",
        "Send it as plain text in English letters, or attach the text.",
    ),
    "6.7": Advice(
        "the address has letters other than English ones, and the recipient's mail system cannot handle them.",
        "Ask the recipient for an address in English letters.",
    ),
    "7": Advice(
        "the other mail system refuses this letter by its rules.",
        "Read its answer above: it often says why. Ask the recipient another way, or tell your postmaster.",
    ),
    "7.1": Advice(
        "the other mail system refuses this letter by its rules (spam suspicion, a block of our server, or a list of "
        "permitted senders).",
        "Read its answer above: it often says why. Ask the recipient another way, or tell your postmaster.",
    ),
    "7.2": Advice("you are not allowed to write to this list.", "Ask the list's owner."),
    "7.4": Advice(
        "the connection to the other mail system could not be protected, and it must be.",
        "Send the letter again later. If it goes on, tell your own postmaster and attach this report.",
    ),
    "7.5": Advice(
        "the other mail server did not prove that it is the right one; somebody may be in the line.",
        "Send the letter again later. If it goes on, tell your own postmaster and attach this report.",
    ),
    "7.10": Advice(
        "the other mail system wants a connection more secure than could be made.",
        "Tell your own postmaster and attach this report.",
    ),
}

ENGLISH: Final = Wording(
    language="en",
    subjects={
        "failed": "Not delivered: your letter came back",
        "delayed": "Delayed: your letter has not been delivered yet",
        "delivered": "Delivered: your letter has arrived",
        "relayed": "Passed on: your letter is on its way",
    },
    openings={
        "failed": (
            "Your letter could not be delivered to {whom}, and will not be tried again. What the reason is, and what "
            "you can do, stands below each address."
        ),
        "delayed": (
            "Your letter has not been delivered yet to {whom}. This is only to let you know: you need not do anything, "
            "and need not send it again."
        ),
        "delivered": "As you asked, we confirm: your letter was delivered to {whom}.",
        "relayed": (
            "Your letter was passed on to {whom}. The next mail system took it, but sends no confirmations: you will "
            "hear no more of it, unless it fails there."
        ),
    },
    phrases={
        "greeting": "This is the mail system at {hostname}.",
        "one": "this address",
        "several": "these {count} addresses",
        "until": "We go on trying until {date}. If it fails, you will be told.",
        "arrived": "The letter arrived here on {date}.",
        "subject": "Its subject: {subject}",
        "number": "Its number, for a postmaster who is asked for help: {letter}",
        "attached-whole": "Attached: details for mail programs, and your letter.",
        "attached-header": "Attached: details for mail programs, and the header of your letter.",
        "answered": "The mail server {remote} answered:",
        "reason": "Reason: {text}",
        "before": "The attempt before ended with: {text}",
        "means": "That means: {text}",
        "cure": "What you can do: {text}",
        "in-mailbox": "It is in the mailbox.",
        "expanded": "This address stands for others; the letter goes on to them.",
        "taken": "Taken over by {remote}.",
        "next-system": "the next mail system",
    },
    advice=_ADVICE,
    width=76,
)
