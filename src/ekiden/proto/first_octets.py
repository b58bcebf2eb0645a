"""The first octets of a connection: is this a mail program or mail server at all? Pure.

Rules
1. Only what no client of SMTP or POP3 ever says first is recognised; whatever else comes is the session's to answer.
2. TLS is known by its first octet. HTTP and SSH that come in smaller pieces meet the protocol machine, which gives them
   nothing either.

Called by `net.door_wire` and `net.porch`, once a connection.
"""

from __future__ import annotations

from typing import Final

from ekiden.model.wrong_door import WrongDoor
from ekiden.proto.haproxy import looks_like_header

#: RFC 8446 §5.1: a record of the type `handshake`.
_HANDSHAKE: Final = 0x16
#: RFC 8446 §6.2: a fatal alert, `handshake_failure`, in a record that every version reads.
TLS_ALERT: Final = b"\x15\x03\x01\x00\x02\x02\x28"


def is_client_hello(octets: bytes) -> bool:
    """Or its form of SSL 2.0 (RFC 5246 §E.2)."""
    return octets[0] == _HANDSHAKE or (octets[0] >= 0x80 and octets[2:3] == b"\x01")


def recognise(octets: bytes) -> WrongDoor | None:
    """What these first octets (at least one) are, if they are nothing for a mail server."""
    if is_client_hello(octets):
        return WrongDoor.TLS
    if octets.startswith(b"SSH-"):  # RFC 4253 §4.2
        return WrongDoor.SSH
    if looks_like_header(octets):
        return WrongDoor.PROXY
    if b" HTTP/" in octets.partition(b"\r\n")[0]:  # RFC 9112 §3, RFC 9113 §3.4
        return WrongDoor.HTTP
    return None
