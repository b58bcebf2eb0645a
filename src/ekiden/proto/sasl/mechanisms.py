"""Which mechanisms there are, and which a connection is offered.

Rules
1. Strongest first: some clients take the first that they know.
2. SCRAM-SHA-256-PLUS is offered where the connection has channel binding octets: a certificate without a hash of its
   own (Ed25519) has none (RFC 5929 §4.1).
"""

from __future__ import annotations

from typing import Final

from ekiden.proto.sasl.bearer import OAUTHBEARER, XOAUTH2, Bearer
from ekiden.proto.sasl.plain import Login, Plain
from ekiden.proto.sasl.scram import Scram
from ekiden.proto.sasl.steps import Exchange

PLUS: Final = "SCRAM-SHA-256-PLUS"
SCRAM: Final = "SCRAM-SHA-256"
PASSWORD_MECHANISMS: Final = (PLUS, SCRAM, "PLAIN", "LOGIN")
#: Behind the others: who knows none of them has a token, who has none must not stumble over these.
TOKEN_MECHANISMS: Final = (OAUTHBEARER, XOAUTH2)


def offered(mechanisms: tuple[str, ...], *, binding: bool) -> tuple[str, ...]:
    """Those of `mechanisms` that a connection with (or without) channel binding octets is offered."""
    return mechanisms if binding else tuple(name for name in mechanisms if not name.endswith("-PLUS"))


def mechanism(name: str, *, binding: bytes = b"") -> Exchange | None:
    """A fresh exchange; letter case of the name does not matter (RFC 4422 §3.1). None: unknown. `binding`:
    tls-server-end-point of the connection, b'' if it has none: then -PLUS was not offered."""
    match name.upper():
        case "PLAIN":
            return Plain()
        case "LOGIN":
            return Login()
        case "SCRAM-SHA-256":
            return Scram(SCRAM, binding=binding)
        case "SCRAM-SHA-256-PLUS" if binding:
            return Scram(PLUS, binding=binding)
        case "OAUTHBEARER" | "XOAUTH2":
            return Bearer(name.upper())
        case _:
            return None
