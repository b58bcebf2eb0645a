"""Binding the doors: one listening socket an address, inherited by all workers (DESIGN §5 "Doors").

All or none: what cannot be bound is told with its key and its reason, and what was bound before is closed again.
"""

from __future__ import annotations

import errno
import socket
from typing import Final

from ekiden.app.config_values import split_host_port
from ekiden.app.refusal import StartRefused
from ekiden.config.model import Config
from ekiden.model.door import Door

#: Connections that wait for a worker; the kernel cuts it to net.core.somaxconn.
BACKLOG: Final = 4096

BoundDoors = dict[Door, list[socket.socket]]


def bind_doors(config: Config, *, listen: bool = True) -> BoundDoors:
    """Raises StartRefused with a line for each address that cannot be had."""
    bound: BoundDoors = {}
    failures = []
    for door in Door:
        for address in config.listen.addresses(door):
            try:
                bound.setdefault(door, []).append(_bind(address, listen=listen))
            except OSError as error:
                failures.append(f"listen.{door.value}: {address} {_reason(error)}")
    if failures:
        close_doors(bound)
        raise StartRefused("\n".join(failures))
    return bound


def close_doors(bound: BoundDoors) -> None:
    for sockets in bound.values():
        for listener in sockets:
            listener.close()


def addresses(bound: BoundDoors) -> dict[str, list[str]]:
    """Door -> `ADDRESS:PORT`, as bound (a port 0 has become a real one)."""
    return {door.value: [_render(listener) for listener in sockets] for door, sockets in bound.items()}


def _bind(address: str, *, listen: bool) -> socket.socket:
    host, port = split_host_port(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # inherited: a peer that vanished is noticed
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        if listen:
            listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "is taken by another program (which one: ss -ltnp)"
        case errno.EACCES:
            return "needs root for a port below 1024: start as root with user = …, or give CAP_NET_BIND_SERVICE"
        case errno.EADDRNOTAVAIL:
            return "is no address of this machine (which there are: ip address)"
        case errno.EAFNOSUPPORT:
            return "cannot be bound: this machine has no IPv6; leave it out"
    return f"cannot be bound: {error.strerror}"


def _render(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
