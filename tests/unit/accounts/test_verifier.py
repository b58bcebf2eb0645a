"""SCRAM verifiers against RFC 7677's example and against `scramp`, which nobody here wrote."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
import scramp

from ekiden.accounts.verifier import ITERATIONS, scram_verifier


def test_the_example_of_rfc_7677():
    verifier = scram_verifier("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
    auth_message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    signature = hmac.digest(verifier.stored_key, auth_message, "sha256")
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
    assert hashlib.sha256(client_key).digest() == verifier.stored_key
    server_signature = hmac.digest(verifier.server_key, auth_message, "sha256")
    assert base64.b64encode(server_signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.mark.parametrize("password", ["pencil", "pässwörd", "e\u0301clair\u00a0du\u00ad soir", "\u2168 o'clock"])
def test_scramp_comes_to_the_same_keys(password):
    salt = bytes(range(16))
    verifier = scram_verifier(password, salt, 5000)
    expected = scramp.ScramMechanism("SCRAM-SHA-256").make_auth_info(password, iteration_count=5000, salt=salt)
    assert (verifier.salt, verifier.stored_key, verifier.server_key, verifier.iterations) == expected


def test_a_scramp_client_logs_in_with_our_verifier():
    verifier = scram_verifier("correct horse", b"0123456789abcdef")
    stored = (verifier.salt, verifier.stored_key, verifier.server_key, verifier.iterations)
    server = scramp.ScramMechanism("SCRAM-SHA-256").make_server(lambda _: stored)
    client = scramp.ScramClient(["SCRAM-SHA-256"], "you", "correct horse")
    server.set_client_first(client.get_client_first())
    client.set_server_first(server.get_server_first())
    server.set_client_final(client.get_client_final())
    client.set_server_final(server.get_server_final())
    assert verifier.iterations == ITERATIONS


@pytest.mark.parametrize(("salt", "iterations"), [(b"salt", 4095), (b"", 4096)])
def test_weak_parameters_are_refused(salt, iterations):
    with pytest.raises(ValueError, match="RFC 7677"):
        scram_verifier("x", salt, iterations)
