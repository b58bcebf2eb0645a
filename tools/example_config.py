"""Makes docs/ekiden.example.toml: every key of the configuration with its sentence, its default and an example.

The model (src/ekiden/config/model.py) is the source of keys, sentences and defaults; what is only an example stands
here. A line `#key = value` shows a default and can be uncommented as it is; a line `# text` is for people.

    python tools/example_config.py            writes docs/ekiden.example.toml
    python tools/example_config.py --check    exit 1 if it is not what the model says
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from ekiden.config.model import RESTART_KEYS, Config, Section

EXAMPLE = Path(__file__).resolve().parent.parent / "docs" / "ekiden.example.toml"
WIDTH = 110
HEAD = f"""\
Ekiden's configuration: every key. Made by tools/example_config.py from src/ekiden/config/model.py; do not edit it here,
copy it. `ekiden config check` reports every mistake at once, each with its line and what would be right.

Lines such as "#workers = 0" show the default: leave them as they are, or take the # away and change the value. What
stands without # is an example for the domain example.org; so is [[route]].

Durations: "500ms", "30s", "5m", "4h", "5d", "1w" or a number of seconds. Sizes: "64KiB", "50MiB", "2GiB" or a number
of octets. Relative paths are relative to the folder of this file.

A reload (systemctl reload ekiden, or SIGHUP) takes every change, except for {", ".join(RESTART_KEYS)}: those need a
restart."""

#: What a household with the domain example.org would write. Keys that are not here are shown with their default.
VALUES: dict[str, Any] = {
    "hostname": "mail.example.org",
    "data_dir": "/var/lib/ekiden",
    "user": "ekiden",
    "tls.certificate": "/etc/ekiden/cert.pem",
    "tls.private_key": "/etc/ekiden/key.pem",
    "extra_certificate.certificate": "/etc/ekiden/other.cert.pem",
    "extra_certificate.private_key": "/etc/ekiden/other.key.pem",
    "listen.relay": ["0.0.0.0:25", "[::]:25"],
    "listen.submission": ["0.0.0.0:587", "[::]:587"],
    "listen.submissions": ["0.0.0.0:465", "[::]:465"],
    "listen.pop3s": ["0.0.0.0:995", "[::]:995"],
    "dnsbl.zone": "dnsbl.example.net",
    "dnsbl.codes": {"127.0.0.2": 5, "127.0.0.10": 2},
    "dnsbl.page": "https://dnsbl.example.net/?ip={ip}",
    "domain.name": "example.org",
    "profile.name": "shop",
    "restrict.name": "only in the house",
    "restrict.allow": ["example.org"],
    "route.match": "*.partner.example",
    "source.address": "192.0.2.1",
    "source.helo": "mx1.example.org",
    "site.match": "*.big-provider.example",
    "content_rule.name": "no-programs",
    "content_rule.action": "refuse",
    "content_rule.attachment_kind": ["program", "program-name"],
    "route.to": ["smtp://mx1.partner.example:25", "smtp://mx2.partner.example:25"],
}
#: One sentence above each table; `[[...]]` may be repeated.
TABLES = {
    "tls": "The certificate that mail programs and other servers see. People's doors need one.",
    "extra_certificate": "Further certificates: a client that asks for one of their names (SNI) "
    "gets it, everybody else the one in [tls]. Changed files are taken up without a reload. Default: none.",
    "listen": "The doors, as address and port. 0.0.0.0 is every IPv4 address, [::] every IPv6 address of this machine. "
    "A door that is left out is closed.",
    "doors.relay": "Who may come in at a door: one [doors.NAME] each, for relay, submission, submissions, pop3, pop3s. "
    "Default: everybody.",
    "relay": "Who may send through port 25 without a login. Everybody else reaches only the domains below.",
    "callers": "What is asked about other mail servers that call on port 25. Never about logins, trusted networks, or "
    "private and loopback addresses.",
    "dnsbl": "Lists of bad or good clients in the DNS: one [[dnsbl]] each. Default: none.",
    "oauth": "Logins with tokens (OAUTHBEARER, XOAUTH2) of an issuer such as Keycloak, beside passwords.",
    "domain": "Our domains: one [[domain]] each.",
    "profile": "How much an account may send: one [[profile]] each. Default: person, newsletter, application and "
    "network, as docs/limits.md lists them.",
    "restrict": "Where some accounts or networks may send: one [[restrict]] each. Default: none.",
    "route": "Ways that are not the MX of the domain, such as a smarthost: one [[route]] each. Default: none.",
    "site": "What a site is spared or allowed: one [[site]] each. A site is a set of MX hosts, or the "
    "targets of a route. Default: none.",
    "source": "By which name each of our addresses is known, when letters leave from several: one [[source]] each. "
    "Default: none.",
    "content_rule": "What letters are refused, held or marked for what they hold: one [[content_rule]] each, see "
    "content-rules.md. Default: none.",
    "dns": "How names are looked up.",
    "delivery": "How letters leave, and how long it is tried.",
    "delivery.detour": "Where letters go while this network blocks port 25 (docs/op25b.md). Default: they wait.",
    "delivery.probe": "How it is found out that this network blocks port 25, and that it does no longer.",
    "passwords": "What a new password of an account must be. App passwords are made by Ekiden and are always good.",
    "limits": "What one letter, session or worker may take.",
    "brake": "What becomes of a login that suddenly sends as if its password were stolen: its letters are held.",
    "history": "What `ekiden trace` can tell about letters that are gone.",
    "events": "What `ekiden events` can tell: logins, refusals, changes.",
    "watch": "What `ekiden watch` shows needs no keys; this is about hours that are far from usual.",
    "log": "One JSON object a line.",
}
#: Tables that are shown commented out as a whole.
ONLY_SHOWN = frozenset(
    {"extra_certificate", "dnsbl", "doors.relay", "profile", "restrict", "route", "site", "source", "content_rule"}
)


class Key(NamedTuple):
    """`kind` is duration, optional-duration, size, address, path or ''; `default` is msgspec.NODEFAULT if the key is
    required."""

    table: str
    name: str
    sentence: str
    kind: str
    default: Any

    @property
    def path(self) -> str:
        return f"{self.table}.{self.name}" if self.table else self.name


class Table(NamedTuple):
    name: str
    repeated: bool
    keys: list[Key]


def tables() -> Iterator[Table]:
    """The keys at the top (a table without a name), then every table in the order of the model."""
    hints = get_type_hints(Config, include_extras=True)
    inner = {name: _section(hint) for name, hint in hints.items()}
    yield Table("", repeated=False, keys=[key for key in _keys("", Config) if inner[key.name] is None])
    for name, section in inner.items():
        if section is None:
            continue
        inside = _tables_within(section)
        keys = [key for key in _keys(name, section) if key.name not in inside]
        if keys:
            yield Table(name, repeated=get_origin(hints[name]) is tuple, keys=keys)
        alike = not keys  # the doors: the first stands for all
        for within, kind in list(inside.items())[: 1 if alike else None]:
            yield Table(f"{name}.{within}", repeated=False, keys=list(_keys(f"{name}.{within}", kind)))


def render() -> str:
    blocks = [_comment(HEAD)]
    for table in tables():
        off = "#" if table.name in ONLY_SHOWN else ""
        if table.name:
            opening = f"[[{table.name}]]" if table.repeated else f"[{table.name}]"
            blocks.append(f"\n{_comment(TABLES[table.name])}\n{off}{opening}")
        blocks += [_block(key, off) for key in table.keys]
    return "\n\n".join(blocks) + "\n"


def render_value(value: Any, kind: str) -> str:
    """A default or an example as people would write it in TOML."""
    if isinstance(value, tuple | list):
        return "[" + ", ".join(render_value(item, "") for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {item}" for key, item in value.items()) + "}"
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if kind in ("optional-duration", "optional-size") and not value:
        return "0"
    if kind in ("duration", "optional-duration"):
        return _largest_unit(value, (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)))
    if kind in ("size", "optional-size"):
        return _largest_unit(value, (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024), ("B", 1)))
    return str(value)


def _largest_unit(value: float, units: tuple[tuple[str, int], ...]) -> str:
    for unit, worth in units:
        if value >= worth and value % worth == 0:
            return f'"{int(value // worth)}{unit}"'
    return str(value)


def _block(key: Key, off: str) -> str:
    sentence, required = key.sentence, key.default is msgspec.NODEFAULT
    default = "" if required else render_value(key.default, key.kind)
    if key.path not in VALUES:
        return f"{_comment(sentence)}\n#{key.name} = {default}"
    if required:
        sentence += " Required."
    elif key.default not in ("", ()):
        sentence += f" Default: {default}."
    return f"{_comment(sentence)}\n{off}{key.name} = {render_value(VALUES[key.path], key.kind)}"


def _comment(text: str) -> str:
    unbroken = re.sub(r"\{[^}]*\}", lambda braces: braces[0].replace(" ", "\0"), text)
    paragraphs = [textwrap.wrap(p, WIDTH - 2, break_on_hyphens=False) for p in unbroken.split("\n\n")]
    return "\n#\n".join("\n".join(f"# {line}" for line in lines) for lines in paragraphs).replace("\0", " ")


def _keys(table: str, section: type[Section]) -> Iterator[Key]:
    hints = get_type_hints(section, include_extras=True)
    for field in msgspec.structs.fields(section):
        sentence = kind = ""
        for meta in _metas(hints[field.name]):
            sentence = meta.description or sentence
            kind = (meta.extra or {}).get("kind", kind)
        yield Key(table, field.name, sentence, kind, field.default)


def _metas(hint: Any) -> list[msgspec.Meta]:
    found: list[msgspec.Meta] = []
    while get_origin(hint) is Annotated:
        hint, *metas = get_args(hint)
        found = [*(meta for meta in metas if isinstance(meta, msgspec.Meta)), *found]
    return found


def _tables_within(section: type[Section]) -> dict[str, type[Section]]:
    hints = get_type_hints(section, include_extras=True)
    return {name: kind for name, hint in hints.items() if (kind := _section(hint)) is not None}


def _section(hint: Any) -> type[Section] | None:
    inner = get_args(hint)[0] if get_origin(hint) is tuple else hint
    return inner if isinstance(inner, type) and issubclass(inner, Section) else None


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--check"]):
        print(__doc__, file=sys.stderr)
        return 2
    text = render()
    if not arguments:
        EXAMPLE.write_text(text, encoding="utf-8")
    elif not EXAMPLE.exists() or EXAMPLE.read_text(encoding="utf-8") != text:
        print("docs/ekiden.example.toml is not what the model says; run tools/example_config.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
