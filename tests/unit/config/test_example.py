"""docs/ekiden.example.toml is what the model says: every key, its sentence, and the true default.

The walk over the model is written anew here, so that a mistake in tools/example_config.py does not excuse itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
import pytest
from tools.example_config import ONLY_SHOWN, main, render_value

from ekiden.app.config_file import ConfigErrors, load
from ekiden.config.model import Config, Section, WideNetwork

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "ekiden.example.toml"
TEXT = EXAMPLE.read_text(encoding="utf-8")
#: Commented out, but no defaults: what every [[route]] and [[site]] must have.
EXAMPLES = (
    "dnsbl.codes",
    "dnsbl.page",
    "dnsbl.zone",
    "extra_certificate.certificate",
    "extra_certificate.private_key",
    "route.match",
    "route.to",
    "profile.name",
    "restrict.name",
    "content_rule.name",
    "content_rule.action",
    "content_rule.attachment_kind",
    "restrict.allow",
    "site.match",
    "source.address",
    "source.helo",
)
_OPENING = re.compile(r"#?\[\[?([\w.]+)\]\]?$")
_KEY = re.compile(r"(#?)(\w+) = (.*)$")


class Shown(NamedTuple):
    """A key as it stands in the file. `line` from 0."""

    path: str
    commented: bool
    line: int
    comment: str


def shown() -> Iterator[Shown]:
    table, comment = "", ""
    for number, line in enumerate(TEXT.splitlines()):
        if match := _OPENING.match(line):
            table, comment = match[1], ""
        elif match := _KEY.match(line):
            path = f"{table}.{match[2]}" if table else match[2]
            yield Shown(path, bool(match[1]), number, comment.strip())
            comment = ""
        else:
            comment = f"{comment} {line.removeprefix('#').strip()}" if line else ""


def model_keys(section: type[Section] = Config, table: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(path, hint, default) of every key; of tables that are alike (the doors') only those of the first."""
    hints = get_type_hints(section, include_extras=True)
    fields = msgspec.structs.fields(section)
    alike = len(set(hints.values())) == 1 < len(fields) and issubclass(hints[fields[0].name], Section)
    for field in fields[:1] if alike else fields:
        hint = hints[field.name]
        inner = get_args(hint)[0] if get_origin(hint) is tuple else hint
        if isinstance(inner, type) and issubclass(inner, Section):
            yield from model_keys(inner, f"{table}.{field.name}" if table else field.name)
        else:
            yield f"{table}.{field.name}" if table else field.name, hint, field.default


def uncommented(*wanted: int) -> str:
    """The example with the # taken from these lines."""
    lines = TEXT.splitlines()
    for number in wanted:
        assert lines[number].startswith("#")
        lines[number] = lines[number][1:]
    return "\n".join(lines) + "\n"


def opened(table: str) -> list[int]:
    """The lines that open a table which is commented out, and its required keys."""
    if table not in ONLY_SHOWN:
        return []
    lines = TEXT.splitlines()
    opening = lines.index(f"#[{table}]" if f"#[{table}]" in lines else f"#[[{table}]]")
    required = [path for path in EXAMPLES if path.startswith(f"{table}.")]
    return [opening, *(key.line for key in shown() if key.path in required)]


def load_text(folder: Path, text: str) -> Config:
    path = folder / "ekiden.toml"
    path.write_text(text, encoding="utf-8")
    return load(str(path))


def test_every_key_stands_there_once_and_no_other() -> None:
    assert sorted(key.path for key in shown()) == sorted(path for path, _, _ in model_keys())


def test_the_keys_of_a_wide_network_are_told() -> None:
    told = next(key.comment for key in shown() if key.path == "relay.trusted_networks")
    assert all(f"{field.name} = " in told for field in msgspec.structs.fields(WideNetwork))


@pytest.mark.parametrize(("path", "hint"), [(path, hint) for path, hint, _ in model_keys()])
def test_the_sentence_of_each_key_stands_above_it(path: str, hint: Any) -> None:
    sentence = next(m.description for m in hint.__metadata__ if isinstance(m, msgspec.Meta) and m.description)
    assert next(key.comment for key in shown() if key.path == path).startswith(sentence)


def test_it_loads_as_it_is(tmp_path: Path) -> None:
    config = load_text(tmp_path, TEXT)
    assert (config.hostname, config.domain[0].name, config.route) == ("mail.example.org", "example.org", ())


@pytest.mark.parametrize(
    "key", [key for key in shown() if key.commented and key.path not in EXAMPLES], ids=lambda key: key.path
)
def test_what_is_commented_out_is_the_default(key: Shown, tmp_path: Path) -> None:
    before = opened(key.path.rpartition(".")[0])
    without = load_text(tmp_path, uncommented(*before))
    assert load_text(tmp_path, uncommented(*{*before, key.line})) == without


def test_a_wrong_default_would_be_seen(tmp_path: Path) -> None:
    text = uncommented(next(key.line for key in shown() if key.path == "limits.hops"))
    assert load_text(tmp_path, text.replace("hops = 100", "hops = 99")) != load_text(tmp_path, TEXT)
    with pytest.raises(ConfigErrors, match="is no key here"):
        load_text(tmp_path, text.replace("hops = 100", "hop = 100"))


def test_check_says_whether_the_file_is_current(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"]) == 0
    stale = tmp_path / "ekiden.example.toml"
    monkeypatch.setattr("tools.example_config.EXAMPLE", stale)
    assert main(["--check"]) == 1
    stale.write_text(TEXT.replace("hops = 100", "hops = 99"), encoding="utf-8")
    assert main(["--check"]) == 1
    assert "run tools/example_config.py" in capsys.readouterr().err
    assert main([]) == 0
    assert stale.read_text(encoding="utf-8") == TEXT
    assert main(["--wrong"]) == 2


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (432000.0, "duration", '"5d"'),
        (5400.0, "duration", '"90m"'),
        (0.5, "duration", "0.5"),
        (0.0, "optional-duration", "0"),
        (600.0, "optional-duration", '"10m"'),
        (64 * 1024 * 1024, "size", '"64MiB"'),
        (1000, "size", '"1000B"'),
        (False, "", "false"),
        (("a", "b"), "", '["a", "b"]'),
        (1.6, "", "1.6"),
    ],
)
def test_values_are_rendered_as_people_write_them(value: Any, kind: str, text: str) -> None:
    assert render_value(value, kind) == text
