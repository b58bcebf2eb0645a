"""What comes first over a connection, and what of it is nothing for a mail server."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.model.wrong_door import WrongDoor
from ekiden.proto.first_octets import TLS_ALERT, recognise


def client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="mail.example.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    ("octets", "what"),
    [
        (client_hello(), WrongDoor.TLS),
        (client_hello()[:1], WrongDoor.TLS),
        (b"\x80\x2e\x01\x00\x02", WrongDoor.TLS),  # SSL 2.0
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", WrongDoor.HTTP),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", WrongDoor.HTTP),
        (b"PROPFIND /x HTTP/1.0\r\n", WrongDoor.HTTP),
        (b"SSH-2.0-OpenSSH_9.2\r\n", WrongDoor.SSH),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n", WrongDoor.PROXY),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", WrongDoor.PROXY),
        (b"EHLO client.example\r\n", None),
        (b"ehlo \xff\x01\x01\r\n", None),
        (b"CAPA\r\n", None),
        (b"USER alice\r\nPASS GET / HTTP/1.1\r\n", None),
        (b"\r\n", None),
        (b"\x80", None),
        (b"\xef\xbb\xbfEHLO", None),
        (b"E", None),
    ],
)
def test_first_octets(octets: bytes, what: WrongDoor | None) -> None:
    assert recognise(octets) is what


@given(st.sampled_from((b"EHLO ", b"HELO ", b"CAPA", b"USER ", b"QUIT", b"STLS", b"AUTH ")), st.binary(max_size=40))
def test_a_mail_client_is_never_taken_for_another(verb: bytes, rest: bytes) -> None:
    if b"HTTP/" not in rest:
        assert recognise(verb + rest) is None


def test_a_tls_client_understands_the_alert() -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="mail.example.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    incoming.write(TLS_ALERT)
    with pytest.raises(ssl.SSLError, match=r"(?i)alert.handshake.failure"):
        client.do_handshake()
