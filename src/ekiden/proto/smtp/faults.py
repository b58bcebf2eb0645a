"""Who broke the protocol: we (`LocalProtocolError`) or the peer (`RemoteProtocolError`)."""

from __future__ import annotations

from ekiden.model.reply import Reply


class LocalProtocolError(Exception):
    """Our bug: a machine was used in a way its contract forbids (an answer that nobody owed, a reply left out)."""


class RemoteProtocolError(Exception):
    """The peer's fault, with the reply it gets. Never leaves the machine: counted and answered there."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply
