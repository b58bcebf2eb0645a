"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, server side: the client proves that it knows a password without showing it
(RFC 5802, RFC 7677), and with -PLUS that it sees our certificate and no one's between us.

    exchange.step(client-first)                        -> ScramLookup(login)
    exchange.offer(salt, iterations, keys, nonce)      -> Challenge(server-first)
    exchange.step(client-final)                        -> ScramResult(matched, final)

Rules
1. A proof is tried against every key, each in constant time, and never against fewer than `TRIED_AT_LEAST`: neither
   which key fits nor whether the login exists shows in the time.
2. Channel binding is tls-server-end-point alone (RFC 5929 §4): tls-unique is broken by resumption and does not exist
   in TLS 1.3 (RFC 9266 §4).
3. A client that could bind and believes that we cannot (`y`), although -PLUS was offered, was lied to: refused
   (RFC 5802 §6).
4. What the client names again (nonce, header, binding) must be octet for octet what was said before.

Called by `accounts.exchange`.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64encode
from collections.abc import Sequence
from typing import Final, NamedTuple

from ekiden.proto.sasl.steps import (
    MAX_LOGIN_OCTETS,
    OTHER_IDENTITY,
    Challenge,
    SaslFault,
    ScramLookup,
    ScramResult,
    Step,
    decode,
    same_identity,
)

#: The header, a login whose every octet is escaped, a nonce; clients' nonces have 20 to 50 octets.
MAX_MESSAGE_OCTETS: Final = 4096
#: More than nearly any account has; the eight HMACs and hashes together cost some 20 µs.
TRIED_AT_LEAST: Final = 8
BINDING_TYPE: Final = "tls-server-end-point"
_PLUS: Final = "-PLUS"
#: RFC 5802 §7: printable = %x21-2B / %x2D-7E
_PRINTABLE: Final = frozenset(map(chr, (*range(0x21, 0x2C), *range(0x2D, 0x7F))))
_NOT_OURS: Final = bytes(32)


class ScramKeys(NamedTuple):
    """RFC 5802 §3, for SHA-256."""

    stored_key: bytes
    server_key: bytes


_NOBODY: Final = ScramKeys(_NOT_OURS, _NOT_OURS)


class Scram:
    """One exchange. `binding`: the connection's tls-server-end-point; b'': it has none, and -PLUS was not offered."""

    __slots__ = ("_binding", "_client_first", "_header", "_keys", "_nonce", "_plus", "_server_first", "name")

    def __init__(self, name: str, *, binding: bytes = b"") -> None:
        self.name = name
        self._plus = name.endswith(_PLUS)
        self._binding = binding
        self._header = ""
        self._client_first = ""  # without the header
        self._server_first = ""
        self._nonce = ""
        self._keys: Sequence[ScramKeys] = ()

    def step(self, data: bytes | None) -> Step:
        if data is None:
            return Challenge(b"")  # RFC 4422 §5: the client speaks first; it is asked to
        text = decode(data) if len(data) <= MAX_MESSAGE_OCTETS else None
        if text is None or "\0" in text:
            return SaslFault("SCRAM messages are UTF-8 without NUL, and no novels")
        return self._final(text) if self._server_first else self._first(text)

    def offer(self, salt: bytes, iterations: int, keys: Sequence[ScramKeys], nonce: bytes) -> Challenge:
        """The answer to ScramLookup. `keys`: one a secret of the login, all under this salt and count; none if there
        is nobody. `nonce`: 18 unpredictable octets or more."""
        self._keys = keys
        self._nonce += b64encode(nonce).decode()
        self._server_first = f"r={self._nonce},s={b64encode(salt).decode()},i={iterations}"
        return Challenge(self._server_first.encode())

    def _first(self, text: str) -> Step:
        """client-first-message (RFC 5802 §7): `flag,[a=authzid],n=user,r=nonce[,extensions]`."""
        parts = text.split(",")
        if len(parts) < 4:
            return SaslFault("SCRAM needs a header, a name and a nonce")
        flag, authzid, name, nonce = parts[:4]
        fault = self._flag_fault(flag)
        if fault is not None:
            return fault
        acts_for = "" if not authzid else _name(authzid, "a=")
        login = _name(name, "n=")
        if acts_for is None or login is None:
            return SaslFault("SCRAM needs a name with nothing but =2C and =3D behind an equals sign")
        if len(login.encode()) > MAX_LOGIN_OCTETS:
            return SaslFault(f"the login is longer than {MAX_LOGIN_OCTETS} octets")
        if not nonce.startswith("r=") or not nonce[2:] or not _PRINTABLE.issuperset(nonce[2:]):
            return SaslFault("SCRAM needs a nonce of printable ASCII")
        if not same_identity(acts_for, login):
            return OTHER_IDENTITY
        self._header = f"{flag},{authzid},"
        self._client_first = text[len(self._header) :]
        self._nonce = nonce[2:]
        return ScramLookup(login)

    def _flag_fault(self, flag: str) -> SaslFault | None:
        """gs2-cbind-flag. RFC 5802 §6."""
        if flag.startswith("p="):
            if not self._plus:
                return SaslFault("channel binding belongs to SCRAM-SHA-256-PLUS")
            if flag[2:] != BINDING_TYPE:
                return SaslFault(f"channel binding is {BINDING_TYPE} here, nothing else", malformed=False)
            return None
        if flag not in ("n", "y"):
            return SaslFault("SCRAM begins with n, y or p=")
        if self._plus:
            return SaslFault("SCRAM-SHA-256-PLUS needs channel binding")
        if flag == "y" and self._binding:
            return SaslFault("somebody hid SCRAM-SHA-256-PLUS from the client", malformed=False)
        return None

    def _final(self, text: str) -> Step:
        """client-final-message: `c=…,r=nonce[,extensions],p=proof`."""
        without_proof, found, proof_text = text.rpartition(",p=")
        proof = _base64(proof_text) if found else None
        parts = without_proof.split(",")
        if proof is None or len(proof) != 32 or len(parts) < 2 or not parts[0].startswith("c="):
            return SaslFault("SCRAM's last message is binding, nonce and proof")
        bound = self._header.encode() + (self._binding if self._plus else b"")
        if _base64(parts[0][2:]) != bound:
            return SaslFault("the client sees another certificate or said something else before", malformed=False)
        if parts[1] != f"r={self._nonce}":
            return SaslFault("the nonce is not the one of this exchange", malformed=False)
        signed = f"{self._client_first},{self._server_first},{without_proof}".encode()
        return self._try(signed, proof)

    def _try(self, signed: bytes, proof: bytes) -> ScramResult:
        """RFC 5802 §3: ClientKey := ClientProof XOR HMAC(StoredKey, AuthMessage); right if H(ClientKey) = StoredKey."""
        matched: int | None = None
        for index in range(max(len(self._keys), TRIED_AT_LEAST)):
            stored_key = self._keys[index].stored_key if index < len(self._keys) else _NOT_OURS
            signature = hmac.digest(stored_key, signed, "sha256")
            client_key = bytes(a ^ b for a, b in zip(signature, proof, strict=True))
            fits = hmac.compare_digest(hashlib.sha256(client_key).digest(), stored_key)
            if fits and index < len(self._keys):
                matched = index
        server_key = (self._keys[matched] if matched is not None else _NOBODY).server_key
        verifier = b64encode(hmac.digest(server_key, signed, "sha256"))
        return ScramResult(matched, b"v=" + verifier if matched is not None else b"")


def _name(text: str, prefix: str) -> str | None:
    """saslname behind `a=` or `n=`: `=2C` is a comma, `=3D` an equals sign, and there is no other (RFC 5802 §5.1)."""
    if not text.startswith(prefix) or len(text) == len(prefix):
        return None
    escaped = text[len(prefix) :]
    if escaped.count("=") != escaped.count("=2C") + escaped.count("=3D"):
        return None
    return escaped.replace("=2C", ",").replace("=3D", "=")


def _base64(text: str) -> bytes | None:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:  # binascii.Error is one; so is what is not ASCII
        return None
