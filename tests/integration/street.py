"""A street of mail hosts that cannot be trusted, and our server, which sends each of their domains one letter."""

from __future__ import annotations

import json
import smtplib
from typing import Any

from ekiden.lab.server import LabServer
from tests.integration.conftest import eventually
from tests.integration.hostile_peer import HostilePeer


class Street:
    """Our server, and the hosts by their domain."""

    def __init__(self, server: LabServer) -> None:
        self.server = server
        self.peers: dict[str, HostilePeer] = {}
        self.letters: dict[str, str] = {}
        #: Web hosts that were asked for a policy.
        self.asked: list[str] = []

    def send(self, domain: str) -> None:
        with smtplib.SMTP("127.0.0.1", self.server.ports["relay"], local_hostname="client.test") as client:
            client.ehlo()
            client.mail("bob@example.test")
            assert client.rcpt(f"x@{domain}")[0] == 250
            code, text = client.data(b"Subject: hello\r\n\r\nfor " + domain.encode() + b"\r\n")
            assert code == 250, text
            self.letters[domain] = text.decode().split()[-1]

    def attempt(self, domain: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            lines = [json.loads(line) for line in self.server.log_path.read_text().splitlines()]
            mine = [line for line in lines if line.get("letter") == self.letters[domain]]
            return next((line for line in mine if line["event"] == "attempt.finished"), None)

        event = eventually(found, f"an attempt for {domain}")
        assert isinstance(event, dict)
        return event
