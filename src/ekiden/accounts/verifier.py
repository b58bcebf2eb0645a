"""Verifiers: what is stored instead of a password.

Rules
1. Beside each Argon2id hash (PLAIN, LOGIN) stands a SCRAM-SHA-256 verifier from the first day, so that SCRAM can be
   offered later without asking anybody for a new password.
2. An account has one salt and one iteration count for ever: a SCRAM server must name them before it knows which of an
   account's secrets the client will use (RFC 5802 §5.1). A new password keeps them.
3. Both are made of the prepared password (`proto.sasl.prepare`), as a SCRAM client makes its own.

RFC 5802 §3, RFC 7677. Called by `accounts.book` (making) and later by SCRAM exchanges (checking).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from ekiden.model.account import ScramVerifier
from ekiden.proto.sasl import prepare

SALT_OCTETS: Final = 16
#: RFC 7677 §4 asks for 4,096 at least. A stolen verifier should be about as dear to guess from as the Argon2id hash
#: beside it (some 30 ms), and a telephone must still get through it at each login.
ITERATIONS: Final = 100_000


def scram_verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> ScramVerifier:
    """StoredKey and ServerKey of a password (RFC 5802 §3). Takes tens of milliseconds of CPU.

    Raises ValueError for fewer iterations than RFC 7677 §4 allows, or without salt.
    """
    if iterations < 4096 or not salt:
        raise ValueError("SCRAM-SHA-256 needs a salt and 4096 iterations at least (RFC 7677 §4)")
    salted = hashlib.pbkdf2_hmac("sha256", prepare(password).encode(), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return ScramVerifier(
        salt=salt,
        iterations=iterations,
        stored_key=hashlib.sha256(client_key).digest(),
        server_key=hmac.digest(salted, b"Server Key", "sha256"),
    )
