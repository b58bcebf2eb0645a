"""Values as people write them in the configuration, turned into what the model holds.

Each function raises ValueError with a text that says what was wrong and what would be right; the caller adds key and
line.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final, NamedTuple

import idna

from ekiden.policy.target import parse_target
from ekiden.policy.trusted import is_wide

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE: Final = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB|TiB)", re.ASCII)
_DECIMAL_SIZE: Final = re.compile(r"(\d+)\s*([kKmMgGtT])[bB]?", re.ASCII)
_OCTETS: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)", re.ASCII | re.IGNORECASE)


def parse_duration(value: object) -> float:
    """`"30s"`, `"5m"`, `"4h"`, `"5d"`, `"1w"`, `"500ms"` or a number of seconds -> seconds."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError('must be a duration such as "30s", "5m", "4h" or "5d"')
    if not isinstance(value, str):
        return float(value)
    match = _DURATION.fullmatch(value.strip())
    if not match:
        raise ValueError(f'"{value}" is no duration; write a number and s, m, h or d, such as "30s", "5m", "4h", "5d"')
    return float(match[1]) * _SECONDS[match[2]]


def parse_size(value: object) -> int:
    """`"64KiB"`, `"50MiB"`, `"2GiB"` or a number of octets -> octets."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError('must be a size such as 65536, "64KiB" or "50MiB"')
    if isinstance(value, int):
        return value
    text = value.strip()
    if match := _SIZE.fullmatch(text):
        return int(match[1]) * _OCTETS[match[2]]
    if match := _DECIMAL_SIZE.fullmatch(text):
        raise ValueError(f'"{value}": write "{match[1]}{match[2].upper()}iB" (units of 1024)')
    raise ValueError(f'"{value}" is no size; write octets or KiB, MiB, GiB, such as 65536, "64KiB", "50MiB"')


class HostPort(NamedTuple):
    host: str
    port: int


def split_host_port(text: str) -> HostPort:
    """`192.0.2.1:25`, `[2001:db8::1]:25` or `name:25`."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or not rest.startswith(":"):
            raise ValueError(f'"{text}" lacks a port; write "[{host}]:PORT"')
        port_text = rest[1:]
    else:
        host, colon, port_text = text.rpartition(":")
        if not colon or not host:
            raise ValueError(f'"{text}" lacks a host or a port; write "HOST:PORT"')
        if ":" in host:
            raise ValueError(f'"{text}": an IPv6 address stands in brackets, such as "[2001:db8::1]:25"')
    if not (port_text.isascii() and port_text.isdigit()) or int(port_text) > 65535:
        raise ValueError(f'"{text}": "{port_text}" is no port; a port is a number from 1 to 65535')
    return HostPort(host, int(port_text))


def check_address(text: str) -> None:
    """An address to bind or to ask: IP address and port; no name."""
    host, _ = split_host_port(text)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        hint = ' "0.0.0.0:PORT" and "[::]:PORT" mean every address' if host in {"*", "localhost"} else ""
        raise ValueError(f'"{host}" is no IP address; write "192.0.2.1:25" or "[2001:db8::1]:25".{hint}') from None
    if (address.version == 6) != text.startswith("["):
        raise ValueError(f'"{text}": brackets are for IPv6 addresses only')


def check_host_name(text: str) -> None:
    """A full DNS name in A-label form, such as `mail.example.org` (RFC 5321 §2.3.5)."""
    if not text.isascii():
        raise ValueError(f'"{text}": write the A-label form{_a_label_hint(text)}')
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        pass
    else:
        raise ValueError(f'"{text}" is an address; it must be a name such as "mail.example.org"')
    _check_labels(text)
    if "." not in text:
        raise ValueError(f'"{text}" is not a full name; write it with its domain, such as "{text}.example.org"')


def check_domain(text: str) -> None:
    """A mail domain; U-labels are allowed (RFC 6531)."""
    if "@" in text:
        raise ValueError(f'"{text}" is an address; write the domain alone: "{text.rpartition("@")[2]}"')
    if text.startswith("*"):
        raise ValueError(f'"{text}": patterns are for routes; name each domain')
    if text.isascii():
        _check_labels(text)
        return
    try:
        idna.encode(text, uts46=True)
    except idna.IDNAError as error:
        raise ValueError(f'"{text}" is no domain name: {error}') from None


def _check_labels(text: str) -> None:
    if text.endswith("."):
        raise ValueError(f'"{text}": write it without the dot at the end')
    if len(text) > 253 or not all(_LABEL.fullmatch(label) for label in text.split(".")):
        raise ValueError(f'"{text}" is no domain name; labels of letters, digits and hyphens, joined by dots')


def _a_label_hint(text: str) -> str:
    try:
        return f': "{idna.encode(text, uts46=True).decode()}"'
    except idna.IDNAError:
        return ""


def parse_network(text: str, *, wide: bool = True) -> Network:
    """`10.0.0.0/24`, `2001:db8::/32` or one address. Not `wide`: refuses more than a /16 or /48."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f'"{text}" is no network; write "10.0.0.7/32", "10.1.0.0/16" or "2001:db8::/48"') from None
    host = text.partition("/")[0]
    if ipaddress.ip_address(host) != network.network_address:
        single = f"{host}/{network.max_prefixlen}"
        raise ValueError(f'"{text}" has bits outside its mask; write "{network}" for all of it or "{single}" for one')
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped and network.prefixlen >= 96:
        inner = ipaddress.ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
        raise ValueError(f'"{text}" is IPv4 written as IPv6; write "{inner}"')
    if not wide and is_wide(network):
        limit = "a /16 of IPv4" if network.version == 4 or network.prefixlen > 48 else "a /48"
        raise ValueError(
            f'"{text}" is wider than {limit}: everybody in it could send anywhere through us. If that is meant, '
            f'write {{net = "{text}", wide = true}}'
        )
    return network


def check_target(text: str) -> None:
    """A `to` of a route; what it means is `policy.target`'s word."""
    if "@" in text:
        raise ValueError("a login does not stand in the target; use username and password_file")
    parse_target(text)
