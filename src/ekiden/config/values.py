"""How values of the configuration are written, and the base of its tables. Called by `config.model` and its parts."""

from __future__ import annotations

from typing import Annotated

import msgspec


def doc(text: str) -> msgspec.Meta:
    """The comment of a key, for the example configuration and the docs."""
    return msgspec.Meta(description=text)


def _kind(name: str) -> msgspec.Meta:
    """How a value is written, for the reader of the file (`app.config_reader`) and the docs."""
    return msgspec.Meta(extra={"kind": name})


#: Written as "30s", "5m", "4h", "5d" or a number of seconds; held in seconds.
Duration = Annotated[float, _kind("duration")]
#: The same, and 0 for what another key decides.
OptionalDuration = Annotated[float, _kind("optional-duration")]
#: Written as 1000, "64KiB", "50MiB"; held in octets.
Size = Annotated[int, _kind("size")]
#: The same, and 0 for no limit.
OptionalSize = Annotated[int, _kind("optional-size")]
#: Written as "ADDRESS:PORT" or "[IPV6]:PORT".
Address = Annotated[str, _kind("address")]
#: Written as a path; relative ones are relative to the configuration file.
Path = Annotated[str, _kind("path")]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all tables."""
