"""SmtpServer: the SMTP server's protocol machine (RFC 5321). Octets in, events out; replies in, octets out. No I/O.

Rules
1. `receive` octets, then take events until there is None; answer the owed ones (`awaits_answer`) with `answer` or, in
   AUTH, `challenge`; then take `output` and write it once.
2. While an answer is owed nothing more is read: pipelined input waits (RFC 2920 §3.2).
3. Events and replies depend on the octets alone, never on how they were split; but for octets that came before a reply
   they must wait for (STARTTLS, AUTH, DATA): these end the session.
4. Any octets give events and replies, never an exception. LocalProtocolError means that the caller broke rule 1.
5. Memory: at most one line of 12,288 octets is held, or four octets of content; content goes out as it comes in.

Where things are: `commands` (what each verb does), `content` (DATA, BDAT), `auth`, `grammar` (parameters), `lines`
(limits), `replies`, `settings` (what a door announces), `machine` (the state they share), `model.path` (addresses).
Called by `session.conversation`.
"""

from __future__ import annotations

import msgspec

from ekiden.model.reply import Reply
from ekiden.proto.smtp import auth, content, replies
from ekiden.proto.smtp.commands import command
from ekiden.proto.smtp.events import Disconnect, Event
from ekiden.proto.smtp.faults import LocalProtocolError
from ekiden.proto.smtp.lines import COMMAND_LINE, CRLF, ORDINARY, line_limit
from ekiden.proto.smtp.machine import NEED_DATA, Machine, Need
from ekiden.proto.smtp.settings import ServerSettings, greeting_reply

__all__ = ["ServerSettings", "SmtpServer"]

_SHORT = COMMAND_LINE - len(CRLF)


class SmtpServer:
    """One connection's machine. Begins with `greeting` or `refuse`."""

    __slots__ = ("_machine",)

    def __init__(self, settings: ServerSettings) -> None:
        self._machine = Machine(settings)

    # --- input ------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Octets from the client. They wait while an answer is owed; see `buffer_octets`."""
        machine = self._machine
        if machine.closed:
            return
        if machine.handshaking:  # plain octets behind our 220: nothing may be written any more
            machine.handshaking = False
            machine.pending.append(Disconnect("injection"))
            machine.close()
            return
        if machine.at < len(machine.buffer):
            data = machine.buffer[machine.at :] + data
        machine.buffer = data
        machine.at = 0

    def next_event(self) -> Event | None:
        """The next event; None: more octets are needed, or an answer is owed, or the session is over."""
        machine = self._machine
        while True:
            if machine.pending:
                return machine.pending.pop(0)
            if machine.owed is not None or machine.closed:
                return None
            reader = machine.reader
            event = _read_command(machine) if reader is None else reader(machine)
            if event is NEED_DATA:
                if machine.at:
                    machine.buffer = machine.buffer[machine.at :]
                    machine.at = 0
                return None
            if event is not None:
                return event

    @property
    def buffer_octets(self) -> int:
        """Octets that were received and not yet taken."""
        return len(self._machine.buffer) - self._machine.at

    @property
    def awaits_answer(self) -> bool:
        """The event that was given last is owed an answer."""
        return self._machine.owed is not None

    @property
    def in_transaction(self) -> bool:
        """From the answer to MAIL to the answer to the content."""
        return self._machine.transaction

    # --- answers ----------------------------------------------------------------------------------------------

    def answer(self, reply: Reply | None) -> None:
        """Settles the event that was given last; None is the usual positive reply (see `events`).

        Raises LocalProtocolError if nothing is owed, or None is no answer to that event."""
        machine = self._machine
        settler = machine.owed
        if settler is None:
            raise LocalProtocolError("no answer is owed")
        machine.owed = None
        settler(machine, reply)

    def answer_each(self, answers: list[Reply]) -> None:
        """LMTP: settles ContentEnds with one reply a recipient, in the order in which they were accepted."""
        content.finish_each(self._machine, answers)

    def challenge(self, data: bytes) -> None:
        """Settles Auth or AuthResponse with 334 and `data`, which is encoded here."""
        auth.challenge(self._machine, data)

    # --- output -----------------------------------------------------------------------------------------------

    def output(self) -> bytes:
        """What is to be written now; b'' if nothing. It is handed out once."""
        out = self._machine.out
        if not out:
            return b""
        octets = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return octets

    def greeting(self) -> None:
        """220, the first thing said."""
        self._machine.say(greeting_reply(self._machine.settings))

    def refuse(self, reply: Reply) -> None:
        """A last reply, such as 421; then the machine is closed, whatever was owed."""
        if not self._machine.closed:
            self._machine.say(reply)
        self._machine.pending.clear()
        self._machine.close()

    # --- what the session changes -----------------------------------------------------------------------------

    def configure(self, settings: ServerSettings) -> None:
        """What holds from the next command on: after TLS, after a login."""
        self._machine.settings = settings

    def tls_started(self) -> None:
        """RFC 3207 §4.2: all that was learned is forgotten, the greeting included; errors stay counted."""
        machine = self._machine
        machine.handshaking = False
        machine.greeted = machine.authenticated = False
        machine.reset_transaction()
        machine.settings = msgspec.structs.replace(machine.settings, tls_active=True)


def _read_command(machine: Machine) -> Event | Need | None:
    buffer, at = machine.buffer, machine.at
    end = buffer.find(CRLF, at)
    if not 0 <= end - at <= _SHORT:
        if at == len(buffer):
            return NEED_DATA
        limit = line_limit(buffer, at)
        if not 0 <= end - at <= limit - len(CRLF):
            return machine.no_line(limit, replies.LINE_TOO_LONG)
    line = buffer[at:end]
    machine.at = end + len(CRLF)
    if line.translate(None, ORDINARY):
        machine.bare_octet()
        return None
    return command(machine, line)
