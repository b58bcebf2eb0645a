"""ScramPeer: a SCRAM client of somebody else's (scramp), and keys as an account keeps them.

peer = ScramPeer("you@example.test", "secret")
peer.first -> octets; peer.answer(server_first) -> octets; peer.verify(server_final)
"""

from __future__ import annotations

import scramp

from ekiden.accounts.app_passwords import secret_digest
from ekiden.accounts.verifier import scram_verifier
from ekiden.model.account import AppPassword, ScramVerifier

SALT = b"0123456789abcdef"
COUNT = 4096
PLUS = "SCRAM-SHA-256-PLUS"
SCRAM = "SCRAM-SHA-256"


class ScramPeer:
    def __init__(self, login: str, password: str, name: str = SCRAM, *, binding: bytes = b"\x11" * 32) -> None:
        bound = ("tls-server-end-point", binding) if name == PLUS else None
        self._client = scramp.ScramClient([name], login, password, channel_binding=bound)

    @property
    def first(self) -> bytes:
        return self._client.get_client_first().encode()

    def answer(self, server_first: bytes) -> bytes:
        self._client.set_server_first(server_first.decode())
        return self._client.get_client_final().encode()

    def verify(self, server_final: bytes) -> None:
        """Raises if the server does not know the password."""
        self._client.set_server_final(server_final.decode())


def verifier(password: str) -> ScramVerifier:
    return scram_verifier(password, SALT, COUNT)


def app_password(secret: str, name: str = "k7fq", **more: object) -> AppPassword:
    keys = verifier(secret)
    digest = secret_digest(secret)
    assert digest is not None
    return AppPassword(name, f"name of {name}", digest, keys.stored_key, keys.server_key, **more)
