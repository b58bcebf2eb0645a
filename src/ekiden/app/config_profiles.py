"""What must hold within the `[[profile]]` tables. Called by `app.config_rules`."""

from __future__ import annotations

import re
from typing import Final

from ekiden.app.config_lines import KeyPath
from ekiden.app.config_reader import Report
from ekiden.config.model import Config, Profile
from ekiden.policy.limits import profiles_of

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)


def check_profiles(config: Config, report: Report) -> None:
    seen: set[str] = set()
    for index, profile in enumerate(config.profile):
        path: KeyPath = ("profile", index)
        if report.is_bad(path):
            continue
        if not _NAME.fullmatch(profile.name):
            message = f'"{profile.name}" is no name of a profile; write small letters, digits and hyphens'
            report.add((*path, "name"), message)
        elif profile.name in seen:
            report.add((*path, "name"), f'"{profile.name}" is there twice; leave one out')
        seen.add(profile.name)
        _check_numbers(profile, path, report)
    if config.relay.profile not in profiles_of(config):
        names = ", ".join(f'"{name}"' for name in profiles_of(config))
        report.add(("relay", "profile"), f'"{config.relay.profile}" is no [[profile]]; there are {names}')


def _check_numbers(profile: Profile, path: KeyPath, report: Report) -> None:
    for key in profile.__struct_fields__:
        value = getattr(profile, key)
        if isinstance(value, int) and value < 0:
            report.add((*path, key), f"must be 0 (no limit) or more, not {value}")
