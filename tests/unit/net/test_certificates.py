"""load_certificate: everything that can be wrong with a certificate has its own sentence."""

from __future__ import annotations

import datetime
import hashlib
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from ekiden.net.certificates import ByName, TlsFailed, load_certificate, render_day

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def make(
    folder: Path,
    *names: str,
    key: PrivateKey | None = None,
    algorithm: hashes.SHA256 | hashes.SHA384 | None = None,
    password: bytes = b"",
) -> tuple[str, str]:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(START)
        .not_valid_after(START + datetime.timedelta(days=90))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    hash_of = None if isinstance(key, ed25519.Ed25519PrivateKey) else (algorithm or hashes.SHA256())
    certificate_path, key_path = folder / "c.pem", folder / "k.pem"
    certificate_path.write_bytes(builder.sign(key, hash_of).public_bytes(serialization.Encoding.PEM))
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    pkcs8 = serialization.PrivateFormat.PKCS8
    key_path.write_bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, encryption))
    return str(certificate_path), str(key_path)


def failure(certificate: str, key: str) -> tuple[str, str]:
    with pytest.raises(TlsFailed) as caught:
        load_certificate(certificate, key)
    assert "\n" not in str(caught.value)
    return caught.value.key, str(caught.value)


def test_good(tmp_path: Path) -> None:
    certificate = load_certificate(*make(tmp_path, "mail.example.test", "*.example.org"))
    assert certificate.not_before == START.timestamp()
    assert render_day(certificate.not_after) == "2026-04-01"
    assert certificate.covers("MAIL.example.test")
    assert certificate.covers("mx.example.org")
    assert not certificate.covers("a.b.example.org")
    assert not certificate.covers("example.org")


def test_channel_binding_takes_the_signature_hash(tmp_path: Path) -> None:
    """RFC 5929 §4.1."""

    def der(path: str) -> bytes:
        return ssl.PEM_cert_to_DER_cert(Path(path).read_text())

    paths = make(tmp_path)
    assert load_certificate(*paths).server_end_point == hashlib.sha256(der(paths[0])).digest()
    paths = make(tmp_path, algorithm=hashes.SHA384())
    assert load_certificate(*paths).server_end_point == hashlib.sha384(der(paths[0])).digest()
    paths = make(tmp_path, key=ed25519.Ed25519PrivateKey.generate())
    assert load_certificate(*paths).server_end_point == b""


def test_no_names(tmp_path: Path) -> None:
    certificate = load_certificate(*make(tmp_path))
    assert certificate.names == ()
    assert not certificate.covers("test")


def test_mismatch(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    certificate, _ = make(tmp_path)
    _, key = make(tmp_path / "other")
    which, text = failure(certificate, key)
    assert which == "private_key"
    assert "is not the key of the certificate" in text


def test_encrypted_key(tmp_path: Path) -> None:
    which, text = failure(*make(tmp_path, password=b"geheim"))
    assert which == "private_key"
    assert "encrypted" in text


def test_wrong_files(tmp_path: Path) -> None:
    certificate, key = make(tmp_path)
    assert failure(str(tmp_path / "none"), key) == (
        "certificate",
        f"{tmp_path}/none cannot be read: No such file or directory",
    )
    assert failure(certificate, str(tmp_path))[0] == "private_key"
    assert "holds no PEM certificate" in failure(key, key)[1]
    assert "holds no PEM private key" in failure(certificate, certificate)[1]
    damaged = tmp_path / "damaged.pem"
    damaged.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert "is damaged" in failure(str(damaged), key)[1]
    damaged.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert "is damaged" in failure(certificate, str(damaged))[1]


def test_which_certificate_for_which_name(tmp_path: Path) -> None:
    """An exact name before a wildcard, the first certificate before the later ones, else the first of all."""
    all_of_them = [("mail.example.test",), ("*.example.org", "mail.example.test"), ("mx.example.org", "example.org")]
    by_name = ByName([load_certificate(*make(tmp_path, *names)) for names in all_of_them])
    found = {
        name: by_name.find(name)
        for name in ("mail.example.test", "MX.Example.org", "imap.example.org", "example.org.", "a.b.example.org", "x")
    }
    assert found == {
        "mail.example.test": 0,
        "MX.Example.org": 2,
        "imap.example.org": 1,
        "example.org.": 2,
        "a.b.example.org": 0,
        "x": 0,
    }


def test_a_key_is_never_shown(tmp_path: Path) -> None:
    assert "PRIVATE" not in repr(load_certificate(*make(tmp_path, "mail.example.test")))
