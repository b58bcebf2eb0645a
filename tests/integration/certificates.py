"""Certificates for tests: one authority a process (making keys is slow), as PEM files in a folder."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import trustme


class Files(NamedTuple):
    certificate: str
    key: str
    authority: str


@lru_cache(maxsize=1)
def authority() -> trustme.CA:
    return trustme.CA()


def make_certificate(folder: Path, *names: str, stem: str = "server") -> Files:
    """A certificate and key for `names` in `folder`, signed by `authority()`; the key is for its owner alone."""
    issued = authority().issue_cert(*(names or ("mail.example.test", "127.0.0.1", "::1")))
    certificate, key, root = folder / f"{stem}.crt", folder / f"{stem}.key", folder / "authority.crt"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.touch(mode=0o600)
    key.write_bytes(issued.private_key_pem.bytes())
    authority().cert_pem.write_to_path(root)
    return Files(str(certificate), str(key), str(root))
