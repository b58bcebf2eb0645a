"""What must hold within the `[[content_rule]]` tables. Called by `app.config_rules`."""

from __future__ import annotations

from typing import Final

from ekiden.app.config_lines import KeyPath
from ekiden.app.config_reader import Report
from ekiden.app.config_values import check_domain
from ekiden.config.model import Config, ContentRule
from ekiden.message.magic import Kind
from ekiden.model.door import DOORS, Door
from ekiden.policy.content_rules import Action, split_header

_DOORS: Final = tuple(door.value for door in Door if DOORS[door].speaks == "SMTP")
_ACTIONS: Final = (Action.REFUSE, Action.HOLD, Action.MARK)
_CONDITIONS: Final = ("size_over", "header", "attachment_name", "attachment_kind", "attachment_type")
_ATTACHMENTS: Final = ("attachment_name", "attachment_kind", "attachment_type")
#: As names of routes: they stand in replies, fields and commands.
_IN_NAMES: Final = "._-"
_LONGEST_NAME: Final = 64


def check_content_rules(config: Config, report: Report) -> None:
    names: set[str] = set()
    for index, rule in enumerate(config.content_rule):
        path: KeyPath = ("content_rule", index)
        if report.is_bad(path):
            continue
        report.accepts((*path, "name"), _check_name, rule.name)
        if rule.name in names:
            report.add(
                (*path, "name"), f'"{rule.name}" is what another rule is called; give this one a name of its own'
            )
        names.add(rule.name)
        _check_words(rule, path, report)
        _check_conditions(rule, path, report)
        for key in ("account", "except_account"):
            for number, text in enumerate(getattr(rule, key)):
                report.accepts((*path, key, number), _check_account, text)


def _check_words(rule: ContentRule, path: KeyPath, report: Report) -> None:
    _check_word(rule.action, _ACTIONS, (*path, "action"), report)
    if rule.unexaminable:
        _check_word(rule.unexaminable, (*_ACTIONS, Action.PASS), (*path, "unexaminable"), report)
        if not any(getattr(rule, key) for key in _ATTACHMENTS):
            report.add((*path, "unexaminable"), f"is for rules that ask of attachments: {', '.join(_ATTACHMENTS)}")
    for number, door in enumerate(rule.door):
        _check_word(door, _DOORS, (*path, "door", number), report)
    for number, kind in enumerate(rule.attachment_kind):
        _check_word(kind, tuple(Kind), (*path, "attachment_kind", number), report)


def _check_word(word: str, known: tuple[str, ...], path: KeyPath, report: Report) -> None:
    if word not in known:
        words = ", ".join(f'"{one}"' for one in known)
        report.add(path, f'"{word}" is not known; write one of {words}')


def _check_conditions(rule: ContentRule, path: KeyPath, report: Report) -> None:
    if not any(getattr(rule, key) for key in _CONDITIONS):
        report.add(path, f'"{rule.name}" would match every letter; set one of {", ".join(_CONDITIONS)}')
    for number, text in enumerate(rule.header):
        report.accepts((*path, "header", number), split_header, text)
    for key in ("attachment_name", "attachment_type"):
        for number, text in enumerate(getattr(rule, key)):
            if not text.strip("*"):
                report.add((*path, key, number), f'"{text}" matches every attachment; write a pattern such as "*.exe"')


def _check_name(text: str) -> None:
    good = all(c.isascii() and (c.isalnum() or c in _IN_NAMES) for c in text)
    if not text or len(text) > _LONGEST_NAME or not good:
        raise ValueError(f'"{text}" is no name; write up to {_LONGEST_NAME} letters, digits, dots and hyphens')


def _check_account(text: str) -> None:
    local, at, domain = text.rpartition("@")
    if text == "*":
        return
    if not at or not local:
        raise ValueError(f'"{text}" is no login; write "you@example.org", "*@example.org" or "*"')
    check_domain(domain)
