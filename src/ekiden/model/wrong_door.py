"""Wrong doors: what people and programs do at a door that is not the one they want, and which one is right.

The names are stable: events show them, and the doctor counts them. Advice is for the postmaster who reads the event;
what the client hears is the door's own reply. Grade A.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from ekiden.model.door import Door


class WrongDoor(StrEnum):
    """`TLS`: a handshake where STARTTLS is spoken. `PLAIN`, `SILENT`: none where TLS comes first. `STARTTLS`: asked for
    where TLS is on from the first byte. `LOGIN`: AUTH at the relay door. `NO_LOGIN`: a letter without login at the
    doors for people. `SMTP`, `POP3`: the other protocol. `PROXY`: a PROXY header from who is no listed proxy."""

    TLS = "tls"
    PLAIN = "plain"
    SILENT = "silent"
    STARTTLS = "starttls"
    LOGIN = "login"
    NO_LOGIN = "no-login"
    SMTP = "smtp"
    POP3 = "pop3"
    HTTP = "http"
    SSH = "ssh"
    PROXY = "proxy-header"


def advise(door: Door, what: WrongDoor) -> str:
    """What would be right, in one sentence."""
    return _BY_DOOR.get((door, what)) or _ADVICE[what]


_PLAIN_SMTP: Final = "choose SSL/TLS for port 465 in the mail program, or STARTTLS with port 587"
_PLAIN_POP3: Final = "choose SSL/TLS for port 995 in the mail program, or STARTTLS with port 110"
_BY_DOOR: Final = {
    (
        Door.RELAY,
        WrongDoor.TLS,
    ): "port 25 begins in the clear; a mail program sends by port 465 with SSL/TLS, or by 587 with STARTTLS",
    (Door.SUBMISSION, WrongDoor.TLS): "the mail program is set to SSL/TLS; choose STARTTLS for port 587, or port 465 "
    "with SSL/TLS",
    (Door.POP3, WrongDoor.TLS): "the mail program is set to SSL/TLS; choose STARTTLS for port 110, or port 995 with "
    "SSL/TLS",
    (Door.SUBMISSIONS, WrongDoor.PLAIN): _PLAIN_SMTP,
    (Door.SUBMISSIONS, WrongDoor.SILENT): _PLAIN_SMTP,
    (Door.POP3S, WrongDoor.PLAIN): _PLAIN_POP3,
    (Door.POP3S, WrongDoor.SILENT): _PLAIN_POP3,
}
_ADVICE: Final = {
    WrongDoor.TLS: "choose STARTTLS in the mail program for this port",
    WrongDoor.PLAIN: "choose SSL/TLS in the mail program for this port",
    WrongDoor.SILENT: "choose SSL/TLS in the mail program for this port",
    WrongDoor.STARTTLS: "choose SSL/TLS instead of STARTTLS in the mail program for this port",
    WrongDoor.LOGIN: "people send by port 465 with SSL/TLS, or by 587 with STARTTLS; port 25 is for mail servers",
    WrongDoor.NO_LOGIN: "a mail program must log in before it sends; another mail server brings its mail to port 25",
    WrongDoor.SMTP: "letters are sent by port 465 or 587 (people) and 25 (mail servers); this port is for fetching",
    WrongDoor.POP3: "letters are fetched by POP3 on port 995; this port is for sending",
    WrongDoor.HTTP: "a web browser or web scanner; this is a mail server",
    WrongDoor.SSH: "an SSH client or scanner; this is a mail server",
    WrongDoor.PROXY: "if it is a proxy of ours, list its address in proxies of [doors.NAME]; if not, it lies about its "
    "address",
}
