"""Content rules: what a letter's size, header section and attachments say, held against `[[content_rule]]`.

Rules
1. A rule matches if each of its conditions holds; of one condition any value. What is asked of attachments must hold of
   one and the same attachment, or member of an archive.
2. All rules of the door and login are asked. `refuse` is stronger than `hold`, that than `mark`; of equals the first in
   the configuration decides.
3. What cannot be examined (`blind`) is for rules that ask of attachments, when nothing else decides them: they do with
   it what `unexaminable` says.
4. A rule that has matched is not asked again: a letter with ten thousand attachments costs as many looks, no memory.

Called by `session.examination` (a letter) and built once a configuration and door.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from ekiden.config.model import Config, ContentRule
from ekiden.message.attachment import Item
from ekiden.message.encoded_words import decode_words
from ekiden.message.glob import Glob, fold
from ekiden.message.header import HeaderSection
from ekiden.message.magic import SAYS, Kind
from ekiden.model.decision import Decision, Verdict
from ekiden.model.door import Door
from ekiden.model.reply import Reply

#: With which the reason of a held letter begins.
HOLD_PREFIX: Final = "content rule "
#: The field that a rule with `mark` puts on top, whatever it found: who reads it can tell "no" from "not asked".
MARK_FIELD: Final = "X-Ekiden-Content-Rule"
#: A name in a reply.
_LONGEST_SHOWN: Final = 80


class Action(StrEnum):
    PASS = "pass"  # noqa: S105 - no password
    MARK = "mark"
    HOLD = "hold"
    REFUSE = "refuse"


_STRENGTH: Final = {Action.PASS: 0, Action.MARK: 1, Action.HOLD: 2, Action.REFUSE: 3}


class Result(StrEnum):
    """Of a rule that marks. Equally long: the field is written before the letter was read to its end."""

    MATCHED = "matched"
    CLEARED = "cleared"
    UNKNOWN = "unknown"


class CompiledRule:
    """A `[[content_rule]]` with its patterns ready."""

    __slots__ = (
        "_accounts",
        "_endings",
        "_excepted",
        "_names",
        "_types",
        "action",
        "headers",
        "kinds",
        "rule",
        "unseen",
    )

    def __init__(self, rule: ContentRule) -> None:
        self.rule = rule
        self.action = Action(rule.action)
        self.unseen = Action(rule.unexaminable or rule.action)
        self.kinds = frozenset(Kind(kind) for kind in rule.attachment_kind)
        patterns = [fold(pattern) for pattern in rule.attachment_name]
        self._endings = frozenset(pattern[2:] for pattern in patterns if _is_ending(pattern))
        self._names = tuple(Glob(pattern) for pattern in patterns if not _is_ending(pattern))
        self._types = tuple(Glob(pattern) for pattern in rule.attachment_type)
        self._accounts = tuple(Glob(account) for account in rule.account)
        self._excepted = tuple(Glob(account) for account in rule.except_account)
        self.headers = tuple((name, Glob(pattern)) for name, pattern in map(split_header, rule.header))

    @property
    def asks_attachments(self) -> bool:
        return bool(self.kinds or self._endings or self._names or self._types)

    def is_for(self, account: str) -> bool:
        """`account`: the login, '' for nobody."""
        folded = fold(account)
        if self._accounts and not (account and any(glob.matches(folded) for glob in self._accounts)):
            return False
        return not any(glob.matches(folded) for glob in self._excepted) or not account

    def header_says(self, section: HeaderSection) -> str | None:
        """Which field is meant; '' if nothing is asked of the header section; None if no field matches."""
        if not self.headers:
            return ""
        wanted = {name for name, _ in self.headers}
        for field in section:
            if field.name in wanted:
                value = fold(decode_words(field.value))
                for name, glob in self.headers:
                    if name == field.name and glob.matches(value):
                        return f"its field {name.decode().title()} is like {glob.text}"
        return None

    def item_says(self, item: Item) -> str | None:
        """What is to be said about the item, or None if it is none of those that are meant."""
        said = ""
        if self.kinds:
            if not (found := self.kinds & item.kinds):
                return None
            said = SAYS[min(found)]
        if self._types:
            glob = next((glob for glob in self._types if glob.matches(item.type)), None)
            if glob is None or not item.type:
                return None
            said = said or f"is declared as {item.type}"
        if self._endings or self._names:
            if not any(self._is_meant(name) for name in item.compared):
                return None
            said = said or "has a name that is not taken"
        return f"the attachment {_shown(item)} {said}"

    def _is_meant(self, name: str) -> bool:
        return name.rpartition(".")[2] in self._endings or any(glob.matches(name) for glob in self._names)


class Ruling(NamedTuple):
    """What the rules come to. `refusal`: a rejecting decision, or None. `hold_reason`: '' if it goes its way.
    `rules`: those that held or marked it. `marks`: of the rules that mark, in order, what they found."""

    refusal: Decision | None
    hold_reason: str
    rules: tuple[str, ...]
    marks: tuple[Result, ...]


class Inquiry:
    """One letter before the rules of its door and login: `mime_walk` and `attachment` tell it what they find."""

    __slots__ = ("_blind", "_open", "_said", "_wanting", "rules")

    def __init__(self, rules: Sequence[CompiledRule], section: HeaderSection) -> None:
        self.rules = rules
        self._said: dict[CompiledRule, str] = {}  # of those whose header conditions hold, what was found
        self._blind = ""
        for rule in rules:
            if (said := rule.header_says(section)) is not None:
                self._said[rule] = said
        self._open = [rule for rule in self._said if rule.asks_attachments]
        self._wanting = frozenset(self._open)

    @property
    def wants_attachments(self) -> bool:
        return bool(self._open)

    def item(self, item: Item) -> None:
        for rule in self._open:
            if (said := rule.item_says(item)) is not None:
                self._said[rule] = said
                self._open = [other for other in self._open if other is not rule]

    def blind(self, reason: str) -> None:
        self._blind = self._blind or reason

    def decide(self, size: int) -> Ruling:
        """`size`: of the letter as it was sent."""
        acts: list[tuple[CompiledRule, Action, str]] = []
        marks: list[Result] = []
        for rule in self.rules:
            action, result, said = self._judge(rule, size)
            if action is not Action.PASS:
                acts.append((rule, action, said))
            if is_marking(rule):
                marks.append(result)
        acts.sort(key=lambda act: -_STRENGTH[act[1]])  # stable: rule 2
        if not acts:
            return Ruling(None, "", (), tuple(marks))
        (rule, action, said), name = acts[0], acts[0][0].rule.name
        if action is Action.REFUSE:
            return Ruling(refusal(name, said), "", (), ())
        reason = f"{HOLD_PREFIX}{name}: {said}" if action is Action.HOLD else ""
        return Ruling(None, reason, tuple(rule.rule.name for rule, _, _ in acts), tuple(marks))

    def _judge(self, rule: CompiledRule, size: int) -> tuple[Action, Result, str]:
        limit = rule.rule.size_over
        said = self._said.get(rule)
        if said is None or (limit and size <= limit):
            return Action.PASS, Result.CLEARED, ""
        if rule in self._wanting and rule in self._open:
            if self._blind:
                return rule.unseen, Result.UNKNOWN, f"it cannot be examined: {self._blind}"
            return Action.PASS, Result.CLEARED, ""
        return rule.action, Result.MATCHED, said or f"it is larger than {limit} octets"


def rules_of(config: Config, door: Door) -> tuple[CompiledRule, ...]:
    """Of a door, in the order of the configuration."""
    return tuple(CompiledRule(rule) for rule in config.content_rule if not rule.door or door.value in rule.door)


def is_marking(rule: CompiledRule) -> bool:
    return Action.MARK in (rule.action, rule.unseen)


def refusal(name: str, said: str) -> Decision:
    text = "".join(c if c.isascii() and c.isprintable() else "?" for c in said)
    return Decision(
        Verdict.REJECT, f"content-rule {name}", said, Reply(550, "5.7.1", f"Refused by the content rule {name}: {text}")
    )


def split_header(text: str) -> tuple[bytes, str]:
    """`Subject: *lottery*` -> name in lower case and pattern. Raises ValueError."""
    name, colon, pattern = text.partition(":")
    name = name.strip().lower()
    if not colon or not name or not pattern.strip() or not all(33 <= ord(c) <= 126 for c in name):
        raise ValueError(
            f'"{text}" is no condition; write a field, a colon and a pattern, such as "Subject: *lottery*"'
        )
    return name.encode(), pattern.strip()


def _is_ending(pattern: str) -> bool:
    """`*.exe`: looked up, not tried."""
    return pattern.startswith("*.") and not set("*.").intersection(pattern[2:])


def _shown(item: Item) -> str:
    if not item.names:
        return "without a name"
    name = item.names[0]
    return name if len(name) <= _LONGEST_SHOWN else f"…{name[-_LONGEST_SHOWN:]}"
