"""Targets of a `[[route]]`: `smtp://HOST:PORT`, `smtps://…`, `lmtp://…`, `lmtp+unix:///PATH`.

Called by the configuration's check and by delivery's routing; both must understand a target alike.
"""

from __future__ import annotations

import ipaddress
from typing import Final, NamedTuple

#: RFC 5321 §4.5.4.2 and RFC 8314 §3.3; LMTP has no port of its own (RFC 2033 §5 forbids 25), 24 is what is used.
DEFAULT_PORTS: Final = {"smtp": 25, "smtps": 465, "lmtp": 24}
UNIX_SCHEME: Final = "lmtp+unix"


class Target(NamedTuple):
    """`host`: a name in lower case, or an address without brackets; '' for a Unix socket, which has a `path`."""

    host: str
    port: int
    path: str = ""
    implicit_tls: bool = False
    lmtp: bool = False

    @property
    def is_address(self) -> bool:
        return is_address(self.host)


def is_address(host: str) -> bool:
    """True for an IPv4 or IPv6 address in text form, without brackets."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def parse_target(url: str) -> Target:
    """Raises ValueError with what was wrong and what would be right."""
    scheme, found, rest = url.partition("://")
    scheme = scheme.lower()
    if not found or scheme not in (*DEFAULT_PORTS, UNIX_SCHEME):
        raise ValueError(f"{url!r} must begin with smtp://, smtps://, lmtp:// or lmtp+unix://")
    if scheme == UNIX_SCHEME:
        if not rest.startswith("/") or len(rest) == 1:
            raise ValueError(f"{url!r} must name an absolute path, such as lmtp+unix:///run/dovecot/lmtp")
        return Target("", 0, path=rest, lmtp=True)
    host, port = _host_and_port(url, rest.rstrip("/"), DEFAULT_PORTS[scheme])
    return Target(host, port, implicit_tls=scheme == "smtps", lmtp=scheme == "lmtp")


def render_target(target: Target) -> str:
    """The one spelling of a target; `parse_target` of it gives the target."""
    if target.path:
        return f"{UNIX_SCHEME}://{target.path}"
    scheme = "lmtp" if target.lmtp else "smtps" if target.implicit_tls else "smtp"
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{scheme}://{host}:{target.port}"


def _host_and_port(url: str, text: str, default: int) -> tuple[str, int]:
    if text.startswith("["):
        host, closed, port = text[1:].partition("]")
        if not closed or ":" not in host or not is_address(host) or (port and not port.startswith(":")):
            raise ValueError(f"{url!r} must name an IPv6 address as [2001:db8::1]:{default}")
        port = port[1:] if port else str(default)
    else:
        host, colon, port = text.partition(":")
        port = port if colon else str(default)
        if not host or any(c.isspace() or c in "/@?#[]:" for c in host):
            raise ValueError(f"{url!r} must name a host, such as mail.example.org:{default}")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{url!r} must have a port from 1 to 65535")
    return host.lower().rstrip("."), int(port)
