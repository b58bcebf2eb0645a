"""Raw TOML tables -> the configuration model, with every error instead of the first one.

msgspec's own conversion stops at the first error, so this walks the model's fields itself. What is wrong is reported
and replaced by an empty value, so that the rules after it can still look at the rest; `Report` keeps quiet about keys
that already have an error. Called by `app.config_file`.
"""

from __future__ import annotations

import difflib
import os
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin, get_type_hints

import msgspec

from ekiden.app.config_lines import KeyPath
from ekiden.app.config_values import check_address, parse_duration, parse_size
from ekiden.config.model import Config, Section, Tls, WideNetwork

#: Lists that may also be written as one string.
_ONE_OR_MANY: Final[frozenset[KeyPath]] = frozenset(
    {("route", key) for key in ("to", "sender", "account", "source")}
    | {("site", "source"), ("delivery", "source"), ("delivery", "detour", "to"), ("delivery", "detour", "source")}
    | {("content_rule", key) for key in ("door", "account", "except_account", "header")}
    | {("content_rule", f"attachment_{what}") for what in ("name", "kind", "type")}
)
#: Values of a path key that are no path.
_NO_PATH: Final = frozenset({"", "-"})


class Report:
    """Collects (path, message); a path that has one already, or lies within such a path, gets no second."""

    def __init__(self) -> None:
        self.found: list[tuple[KeyPath, str]] = []
        self._bad: set[KeyPath] = set()

    def add(self, path: KeyPath, message: str) -> None:
        if not self.is_bad(path):
            self.found.append((path, message))
            self._bad.add(path)

    def is_bad(self, path: KeyPath) -> bool:
        return any(path[:length] in self._bad for length in range(len(path) + 1))

    def accepts(self, path: KeyPath, check: Callable[[str], object], value: str) -> bool:
        """Whether `value` is good; the text of the ValueError that `check` raises is reported."""
        if self.is_bad(path):
            return False
        try:
            check(value)
        except ValueError as error:
            self.add(path, str(error))
            return False
        return True


def read(raw: Mapping[str, Any], folder: str, report: Report) -> Config:
    """`folder`: what relative paths are relative to. The result is only good if `report` found nothing."""
    return cast(Config, _Reader(folder, report).section(Config, raw, ()))


class _Reader:
    def __init__(self, folder: str, report: Report) -> None:
        self._folder = folder
        self._report = report

    def section(self, kind: type[Section], table: Mapping[str, Any], path: KeyPath) -> Section:
        hints = get_type_hints(kind, include_extras=True)
        for key in table:
            if key not in hints:
                self._report.add((*path, key), _unknown(key, kind, hints))
        values: dict[str, Any] = {}
        for field in msgspec.structs.fields(kind):
            if field.name in table:
                values[field.name] = self._value(hints[field.name], table[field.name], (*path, field.name))
            elif field.required:
                self._report.add((*path, field.name), f"is missing. {_description(hints[field.name])}".rstrip())
                values[field.name] = _blank(hints[field.name])
        return kind(**values)

    def _value(self, hint: Any, value: Any, path: KeyPath) -> Any:
        bare, kind = _strip(hint)
        if kind in _KINDS:
            return self._kind(kind, value, path)
        origin = get_origin(bare)
        if origin is tuple:
            return self._list(get_args(bare)[0], value, path)
        if origin in (Union, types.UnionType):
            return self._union(value, path)
        if origin is dict:
            return self._numbers(value, path)
        if isinstance(bare, type) and issubclass(bare, Section):
            if isinstance(value, dict):
                return self.section(bare, value, path)
            self._report.add(path, f"must be a table: write [{_name(path)}] above its keys")
            return _blank(hint)
        return self._scalar(bare, value, path)

    def _kind(self, kind: str, value: Any, path: KeyPath) -> Any:
        try:
            if kind == "duration":
                return _positive(parse_duration(value))
            if kind == "optional-duration":
                return _not_negative(parse_duration(value))
            if kind == "optional-size":
                return _not_negative(parse_size(value))
            if kind == "size":
                return _positive(parse_size(value))
            if not isinstance(value, str):
                raise ValueError(f"must be a string, not {_shown(value)}")
            if kind == "address":
                check_address(value)
                return value
            return value if value in _NO_PATH else os.path.join(self._folder, value)
        except ValueError as error:
            self._report.add(path, str(error))
            return 1 if kind in _NUMBERS else ""

    def _list(self, element: Any, value: Any, path: KeyPath) -> tuple[Any, ...]:
        if isinstance(value, str) and tuple(p for p in path if isinstance(p, str)) in _ONE_OR_MANY:
            value = [value]
        if not isinstance(value, list):
            if _is_section(element):
                self._report.add(path, f"must be a list of tables: write [[{_name(path)}]] above its keys")
            else:
                shown = f'"{value}"' if isinstance(value, str) else "…"
                self._report.add(path, f"must be a list: write [{shown}]")
            return ()
        return tuple(self._value(element, item, (*path, index)) for index, item in enumerate(value))

    def _numbers(self, value: Any, path: KeyPath) -> dict[str, int]:
        """Only `dict[str, int]` exists."""
        if not isinstance(value, dict):
            self._report.add(path, f'must be a table such as {{"127.0.0.2" = 5}}, not {_shown(value)}')
            return {}
        return {key: self._scalar(int, number, (*path, key)) for key, number in value.items()}

    def _union(self, value: Any, path: KeyPath) -> Any:
        """Only `str | WideNetwork` exists."""
        if isinstance(value, str):
            return value
        if isinstance(value, dict):
            return self.section(WideNetwork, value, path)
        self._report.add(path, f'must be a network such as "10.0.0.7/32", not {_shown(value)}')
        return ""

    def _scalar(self, bare: Any, value: Any, path: KeyPath) -> Any:
        if bare is bool and isinstance(value, bool):
            return value
        if bare is int and isinstance(value, int) and not isinstance(value, bool):
            return value
        if bare is float and isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
        if bare is str and isinstance(value, str):
            return value
        wanted = {str: "a string", int: "a whole number", float: "a number", bool: "true or false"}[bare]
        self._report.add(path, f"must be {wanted}, not {_shown(value)}")
        return _blank(bare)


_NUMBERS: Final = frozenset({"duration", "optional-duration", "size", "optional-size"})
_KINDS: Final = _NUMBERS | {"address", "path"}


def _strip(hint: Any) -> tuple[Any, str]:
    """The bare type and its kind, or ''."""
    kind = ""
    while get_origin(hint) is Annotated:
        for meta in get_args(hint)[1:]:
            if isinstance(meta, msgspec.Meta) and meta.extra:
                kind = str(meta.extra.get("kind", kind))
        hint = get_args(hint)[0]
    return hint, kind


def _description(hint: Any) -> str:
    for meta in getattr(hint, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.description:
            return meta.description
    return ""


def _is_section(hint: Any) -> bool:
    bare, _ = _strip(hint)
    return isinstance(bare, type) and issubclass(bare, Section)


def _blank(hint: Any) -> Any:
    """A stand-in of the right type for a value that could not be read."""
    bare, _ = _strip(hint)
    if get_origin(bare) is tuple:
        return ()
    if get_origin(bare) is dict:
        return {}
    if isinstance(bare, type) and issubclass(bare, Section):
        hints = get_type_hints(bare, include_extras=True)
        return bare(**{f.name: _blank(hints[f.name]) for f in msgspec.structs.fields(bare) if f.required})
    return bare() if bare in (str, int, float, bool) else ""


def _positive(number: float) -> float:
    if number <= 0:
        raise ValueError("must be more than 0")
    return number


def _not_negative(number: float) -> float:
    if number < 0:
        raise ValueError("must be 0 or more")
    return number


def _unknown(key: str, kind: type[Section], hints: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key, hints, n=1, cutoff=0.6)
    if close and not (kind is Config and key in _keys(Tls)):  # "certificate" is no slip of "extra_certificate"
        return f'is no key here; did you mean "{close[0]}"?'
    for section, hint in get_type_hints(Config, include_extras=True).items():
        bare, _ = _strip(hint)
        inner = get_args(bare)[0] if get_origin(bare) is tuple else bare
        if isinstance(inner, type) and issubclass(inner, Section) and inner is not kind and key in _keys(inner):
            brackets = f"[[{section}]]" if get_origin(bare) is tuple else f"[{section}]"
            return f'is no key here; "{key}" belongs into {brackets}'
    if kind is not Config and key in _keys(Config):
        return f'is no key here; "{key}" belongs to the top of the file, above the first [section]'
    return f"is no key here; the keys are {', '.join(hints)}"


def _keys(kind: type[Section]) -> frozenset[str]:
    return frozenset(field.name for field in msgspec.structs.fields(kind))


def _name(path: KeyPath) -> str:
    return ".".join(str(part) for part in path if isinstance(part, str))


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return f'the string "{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    return "a list" if isinstance(value, list) else "a table" if isinstance(value, dict) else f"{value}"
