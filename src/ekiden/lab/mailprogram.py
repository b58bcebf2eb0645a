"""What a mail program does, with the standard library's clients (which nobody here wrote): send through 587, fetch
from 995."""

from __future__ import annotations

import poplib
import secrets
import smtplib
import ssl
from email.message import EmailMessage
from typing import NamedTuple


class Sent(NamedTuple):
    """`token`: stands in the letter's body, to know it again. `letter`: the queue id out of the 250."""

    letter: str
    reply: str
    tls: str
    login: str
    mechanism: str
    token: str


def send(port: int, context: ssl.SSLContext, login: str, password: str, recipient: str) -> Sent:
    """One letter through the submission door of 127.0.0.1. Raises smtplib.SMTPException or OSError."""
    token = secrets.token_hex(8)
    message = EmailMessage()
    message["From"] = login
    message["To"] = recipient
    message["Subject"] = "Post horses, from station to station"
    message.set_content(f"Hello,\n\nthis letter went through every door.\n\nToken: {token}\n")
    with smtplib.SMTP("localhost", port, timeout=20) as client:
        client.starttls(context=context)
        client.ehlo()
        tls = _tls_facts(client.sock)
        client.user, client.password = login, password
        client.auth("PLAIN", client.auth_plain)
        client.mail(login)
        code, text = client.rcpt(recipient)
        if code != 250:
            raise smtplib.SMTPRecipientsRefused({recipient: (code, text)})
        code, text = client.data(message.as_bytes())
        if code != 250:
            raise smtplib.SMTPDataError(code, text)
    reply = text.decode()
    return Sent(reply.split()[-1], f"{code} {reply}", tls, login, "PLAIN", token)


def fetch(port: int, context: ssl.SSLContext, login: str, password: str) -> list[bytes]:
    """All letters of a mailbox, over POP3 with TLS from the first byte; nothing is deleted."""
    client = poplib.POP3_SSL("localhost", port, context=context, timeout=20)
    try:
        client.user(login)
        client.pass_(password)
        count, _ = client.stat()
        return [b"\r\n".join(client.retr(number)[1]) + b"\r\n" for number in range(1, count + 1)]
    finally:
        client.quit()


def _tls_facts(connection: object) -> str:
    if not isinstance(connection, ssl.SSLSocket):
        return ""
    cipher = connection.cipher()
    return f"{connection.version()} {cipher[0]}" if cipher is not None else ""
