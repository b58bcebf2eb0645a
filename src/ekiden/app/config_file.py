"""The configuration file: TOML in, the frozen model out, or every error with its line.

    config = load("/etc/ekiden/ekiden.toml")        # raises ConfigErrors

Rules
1. All errors at once, in the order of the file: key, line, what was wrong, what would be right.
2. Nothing outside the file is looked at; that is `app.config_check`.
3. Relative paths become relative to the file's folder, so that it does not matter where a command was started.

Called by the commands and by the supervisor, at start and at each reload.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from ekiden.app.config_lines import KeyPath, Lines, line_of, locate
from ekiden.app.config_reader import Report, read
from ekiden.app.config_rules import check_rules
from ekiden.config.model import Config

#: Where a command looks when it is not told (DESIGN §7); `$EKIDEN_CONFIG` comes first.
DEFAULT_PATHS: Final = ("ekiden.toml", "/etc/ekiden/ekiden.toml")
#: A configuration is written by a person; more than this is the wrong file.
LARGEST_FILE: Final = 4 * 1024 * 1024


class ConfigError(NamedTuple):
    """`key`: such as `listen.relay` or `route[2].tls` (counted from 1), '' for the file itself; `line` 0: none."""

    key: str
    line: int
    message: str

    def render(self, path: str) -> str:
        where = f"{path}:{self.line}" if self.line else path
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class ConfigErrors(Exception):
    """`str()` is one line an error: `ekiden.toml:12: listen.relay: …`."""

    def __init__(self, path: str, errors: list[ConfigError]) -> None:
        super().__init__(path, errors)
        self.path = path
        self.errors = errors

    def __str__(self) -> str:
        return "\n".join(error.render(self.path) for error in self.errors)


class Loaded(NamedTuple):
    """A configuration with where its keys stand, for checks that come later."""

    config: Config
    path: str
    lines: Lines

    def error(self, path: KeyPath, message: str) -> ConfigError:
        return ConfigError(render_key(path), line_of(self.lines, path), message)


def load(path: str) -> Config:
    """Raises ConfigErrors."""
    return load_with_lines(path).config


def load_with_lines(path: str) -> Loaded:
    """Raises ConfigErrors."""
    text = _read_text(path)
    raw = _parse(path, text)
    lines = locate(text)
    report = Report()
    folder = os.path.dirname(os.path.abspath(path))
    config = read(raw, folder, report)
    check_rules(config, raw, report)
    if report.found:
        errors = [ConfigError(render_key(where), line_of(lines, where), message) for where, message in report.found]
        raise ConfigErrors(path, sorted(errors, key=lambda error: error.line))
    return Loaded(_with_list_paths(config, folder), path, lines)


def find_config(given: str = "", environ: Mapping[str, str] = os.environ) -> str:
    """The file a command means: `given`, `$EKIDEN_CONFIG`, `./ekiden.toml`, `/etc/ekiden/ekiden.toml`.

    Raises ConfigErrors if none of them is there."""
    chosen = given or environ.get("EKIDEN_CONFIG", "")
    if chosen:
        return chosen
    for path in DEFAULT_PATHS:
        if os.path.exists(path):
            return path
    tried = ", ".join(("$EKIDEN_CONFIG", *(f"./{p}" if "/" not in p else p for p in DEFAULT_PATHS)))
    raise ConfigErrors(
        "ekiden.toml", [ConfigError("", 0, f"there is no configuration: tried {tried}; name it with -c")]
    )


def render_key(path: KeyPath) -> str:
    """`("route", 1, "to", 0)` -> `route[2].to[1]`; counted from 1, as people count."""
    out = ""
    for part in path:
        out += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def _read_text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            octets = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise _failed(path, 0, f"cannot be read: {error.strerror}") from None
    if len(octets) > LARGEST_FILE:
        raise _failed(path, 0, "is larger than 4 MiB; is this the right file?")
    try:
        return octets.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise _failed(path, line, "is not UTF-8; save the file as UTF-8") from None


def _parse(path: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        message = re.sub(r"\s*\(at [^)]*\)", "", str(error))
        line, column = (int(found[1]), f" (column {found[2]})") if found else (text.count("\n") + 1, "")
        raise _failed(path, line, f"is not TOML: {message}{column}; strings stand in quotes, lists in [ ]") from None


def _failed(path: str, line: int, message: str) -> ConfigErrors:
    return ConfigErrors(path, [ConfigError("", line, message)])


def _with_list_paths(config: Config, folder: str) -> Config:
    """`list:FILE` relative to the file's folder, like every other path."""
    domains = tuple(
        msgspec.structs.replace(domain, recipients="list:" + os.path.join(folder, domain.recipients[5:]))
        if domain.recipients.startswith("list:")
        else domain
        for domain in config.domain
    )
    return msgspec.structs.replace(config, domain=domains)
