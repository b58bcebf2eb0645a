"""Explaining: what a door would say to a client, step by step, with the rule behind each answer. Behind every face.

    explanation = await Explainer(config, directory, stage, decisions).explain(Question(...))

Rules
1. The answers are those of the sessions themselves, played through without a connection (`session.rehearsal`), and the
   rules those that decided in them: nothing is decided here.
2. Nothing is sent, stored or told. So a login is taken for proven, and a next hop that would be asked (call-ahead) for
   content.
3. It ends where a client would: at the first step that is refused.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from ekiden.config.model import Config
from ekiden.model.account import Standing
from ekiden.model.decision import Decision
from ekiden.model.door import DOORS, Door
from ekiden.model.envelope import LOCAL, MX_PREFIX, ROUTE_PREFIX, Envelope, NewLeg
from ekiden.model.events import LetterRefused, LoginFailed
from ekiden.policy.doors import DoorNetworks, may_enter
from ekiden.policy.route_match import mailbox_of, route_name
from ekiden.policy.trusted import TrustedNetworks, entries_with, net_of
from ekiden.ports.directory import Directory
from ekiden.ports.wire import Wire
from ekiden.proto.sasl.plain import render_plain
from ekiden.proto.smtp import events as ev
from ekiden.session.conversation import Answer, Conversation, SessionFactory
from ekiden.session.rehearsal import HeardEvents, Play
from ekiden.session.relay import RelaySession
from ekiden.session.submission import SubmissionSession

Note = Callable[[Decision], None]


class Question(NamedTuple):
    """`forward_paths`, `reverse_path`: as a client writes them, without angle brackets ('' is the null reverse-path).
    `login`: who is logged in, '' for nobody. `header_from`: in the From field; '' for the reverse-path or the login.
    `clear`: the client does not use STARTTLS. `content`: a whole letter, b'' for one with a From field alone."""

    door: Door
    client: str
    reverse_path: str
    forward_paths: tuple[str, ...]
    login: str = ""
    helo: str = ""
    header_from: str = ""
    clear: bool = False
    content: bytes = b""


class Step(NamedTuple):
    """`name`: door, network, greeting, hello, tls, login, sender, recipient, content or next-hop. `said`: by the
    client. `reply`: what it would hear. `rule`, `reason`: what decided, '' where the protocol did."""

    name: str
    said: str = ""
    reply: str = ""
    rule: str = ""
    reason: str = ""
    ok: bool = True


class Explanation(NamedTuple):
    steps: list[Step]

    @property
    def accepted(self) -> bool:
        return all(step.ok for step in self.steps)


class Rehearsals(Protocol):
    """What plays are made on."""

    @property
    def events(self) -> HeardEvents: ...

    @property
    def taken(self) -> list[tuple[Envelope, Sequence[NewLeg]]]: ...

    async def enter(self, door: Door, *, client: str, local: str, tls: bool | None = None) -> Play: ...


class _TellingRelay(RelaySession):
    def __init__(self, note: Note, conversation: Conversation, wire: Wire) -> None:
        super().__init__(conversation, wire)
        self._note = note

    def recipient_decided(self, event: ev.RcptTo, decision: Decision) -> Answer:
        self._note(decision)
        return super().recipient_decided(event, decision)


class _TellingSubmission(SubmissionSession):
    def __init__(self, note: Note, conversation: Conversation, wire: Wire) -> None:
        super().__init__(conversation, wire)
        self._note = note

    def recipient_decided(self, event: ev.RcptTo, decision: Decision) -> Answer:
        self._note(decision)
        return super().recipient_decided(event, decision)

    def sender_decided(self, event: ev.MailFrom, decision: Decision) -> Answer:
        self._note(decision)
        return super().sender_decided(event, decision)


def telling_sessions(note: Note) -> tuple[SessionFactory, SessionFactory]:
    """The sessions of the relay door and of those for people, which tell `note` what was decided in them."""
    return partial(_TellingRelay, note), partial(_TellingSubmission, note)


class Explainer:
    """`decisions`: where the sessions of `stage` note theirs (`telling_sessions`). `gateways`: as the doorways know
    them."""

    def __init__(
        self,
        config: Config,
        directory: Directory,
        stage: Rehearsals,
        decisions: list[Decision],
        gateways: frozenset[str] = frozenset(),
    ) -> None:
        self._config = config
        self._directory = directory
        self._stage = stage
        self._decisions = decisions
        proxies = config.doors.of(Door.RELAY).proxies
        self._trusted = TrustedNetworks(config.relay.trusted_networks, gateways, proxies)
        self._steps: list[Step] = []

    async def explain(self, question: Question) -> Explanation:
        """Raises NoAnswer, DirectoryFailed."""
        self._steps = []
        if self._door(question) and self._networks(question):
            play = await self._stage.enter(question.door, client=question.client, local=self._local(question.door))
            try:
                if await self._begin(play, question) and await self._send(play, question):
                    await self._next_hops()
            finally:
                play.end()
        return Explanation(self._steps)

    def _add(self, step: Step) -> bool:
        self._steps.append(step)
        return step.ok

    # --- before a word is said --------------------------------------------------------------------------------

    def _door(self, question: Question) -> bool:
        addresses = self._config.listen.addresses(question.door)
        if not addresses:
            return self._add(
                Step("door", rule="closed", reason=f"[listen] {question.door.value} names no address", ok=False)
            )
        return self._add(Step("door", reason=f"[listen] {question.door.value} = {', '.join(addresses)}"))

    def _networks(self, question: Question) -> bool:
        decision = may_enter(DoorNetworks(self._config.doors.of(question.door)), question.client)
        reply = "" if decision.reply is None else str(decision.reply)
        self._add(Step("network", "", reply, decision.rule, decision.reason, decision.accepted))
        if not decision.accepted:
            return False
        if question.door is Door.RELAY:
            self._add(Step("network", rule=self._trust(question.client), reason=self._why_trusted(question.client)))
        return True

    def _trust(self, client: str) -> str:
        return "trusted" if client in self._trusted else "stranger"

    def _why_trusted(self, client: str) -> str:
        entries = self._config.relay.trusted_networks
        found = [f'"{net_of(entries[index])}"' for index in entries_with(entries, client)]
        if client in self._trusted:
            return f"[relay] trusted_networks has {', '.join(found)}"
        if found:
            why = "it is a default gateway or a proxy of this door, which no range makes trusted"
            return f"{', '.join(found)} holds it, but {why}"
        return "no entry of [relay] trusted_networks holds the client's address"

    def _local(self, door: Door) -> str:
        """Where the client has connected to, if the configuration names one address."""
        host = self._config.listen.addresses(door)[0].rpartition(":")[0].strip("[]")
        return "127.0.0.1" if host in ("0.0.0.0", "") else "::1" if host == "::" else host  # noqa: S104 - compared

    # --- the session ------------------------------------------------------------------------------------------

    async def _begin(self, play: Play, question: Question) -> bool:
        helo = question.helo or _literal(question.client)
        if not self._add(Step("greeting", reply=play.greeting, ok=play.greeting.startswith("220"))):
            return False
        reply = await self._say("hello", play, f"EHLO {helo}")
        if DOORS[question.door].implicit_tls:
            self._add(Step("tls", reason="TLS from the first byte"))
        elif "STARTTLS" in reply and not question.clear:
            reply = await play.start_tls()
            self._add(Step("tls", "STARTTLS", reply, ok=reply.startswith("220")))
            await self._say("hello", play, f"EHLO {helo}")
        else:
            self._add(Step("tls", reason="in the clear" if question.clear else "no certificate: TLS is not offered"))
        return self._steps[-1].ok and (not question.login or await self._log_in(play, question.login))

    async def _log_in(self, play: Play, login: str) -> bool:
        reply = await play.say(b"AUTH PLAIN " + render_plain(login, "-") + b"\r\n")
        failed = next((event for event in self._stage.events.events if isinstance(event, LoginFailed)), None)
        reason = failed.reason if failed is not None else ""
        if reply.startswith("235"):
            reason = "the password is taken for right: explain asks for none"
        return self._add(Step("login", f"AUTH PLAIN ({login})", reply, reason=reason, ok=reply.startswith("235")))

    async def _say(self, name: str, play: Play, line: str) -> str:
        """One command, and the step of it."""
        self._decisions.clear()
        reply = await play.say(line.encode() + b"\r\n")
        decision = self._decisions[-1] if self._decisions else None
        rule, reason = (decision.rule, decision.reason) if decision is not None else ("", "")
        self._add(Step(name, line, reply, rule, reason, reply.startswith("250")))
        return reply

    async def _send(self, play: Play, question: Question) -> bool:
        paths = (question.reverse_path, *question.forward_paths)
        utf8 = "" if "".join(paths).isascii() else " SMTPUTF8"
        await self._say("sender", play, f"MAIL FROM:{_bracketed(question.reverse_path)}{utf8}")
        if not self._steps[-1].ok:
            return False
        taken = 0
        for path in question.forward_paths:
            await self._say("recipient", play, f"RCPT TO:{_bracketed(path)}")
            taken += self._steps[-1].ok
        return bool(taken) and await self._content(play, question)

    async def _content(self, play: Play, question: Question) -> bool:
        if not (await play.say(b"DATA\r\n")).startswith("354"):
            return False
        said = question.header_from or question.reverse_path or question.login
        header = f"From: <{said}>\r\n" if said else ""
        told = f"a letter with {header.strip() or 'no From field'}"
        content = f"{header}Subject: explain\r\n\r\n".encode()
        if question.content:
            content, told = question.content, f"a letter of {len(question.content):,} octets"
        reply = await play.say(_stuffed(content))
        refused = next((event for event in self._stage.events.events if isinstance(event, LetterRefused)), None)
        ok = reply.startswith("250")
        rule, reason = (refused.rule, refused.reason) if refused is not None else self._rules()
        heard = "250 2.0.0 (nothing was queued: this is an explanation)" if ok else reply
        return self._add(Step("content", told, heard, rule, reason, ok))

    def _rules(self) -> tuple[str, str]:
        """The content rules that hold or mark the letter, and what becomes of it."""
        if not self._stage.taken:
            return "", ""
        envelope, legs = self._stage.taken[-1]
        held = legs[0].hold_reason
        said = f"it would be held: {held}" if held else "it would be marked" if envelope.content_rules else ""
        return " ".join(f"content-rule {name}" for name in envelope.content_rules), said

    # --- where it would go ------------------------------------------------------------------------------------

    async def _next_hops(self) -> None:
        for _, legs in self._stage.taken:
            for leg in legs:
                for recipient in leg.recipients:
                    reason = await self._way(leg.next_hop, recipient.forward_path)
                    self._add(Step("next-hop", recipient.forward_path, rule=leg.next_hop, reason=reason))

    async def _way(self, next_hop: str, forward_path: str) -> str:
        if next_hop == LOCAL:
            entry = await self._directory.find(mailbox_of(forward_path))
            if entry.standing is Standing.ALIAS:
                return f"an alias of ours: {', '.join(entry.targets)}"
            return f"the mailbox {entry.account}" if entry.account else "no mailbox of ours"
        if next_hop.startswith(ROUTE_PREFIX):
            name = next_hop.removeprefix(ROUTE_PREFIX)
            targets = next((route.to for route in self._config.route if route_name(route) == name), ())
            return f'route "{name}": {", then ".join(targets)}'
        return f"the MX hosts of {next_hop.removeprefix(MX_PREFIX)}"


def explanation_json(explanation: Explanation) -> dict[str, Any]:
    """For programs."""
    return {"accepted": explanation.accepted, "steps": [step._asdict() for step in explanation.steps]}


def _stuffed(content: bytes) -> bytes:
    """RFC 5321 §4.5.2, with CRLF at every line's end."""
    lines = content.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n")
    return b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines) + b".\r\n"


def _bracketed(path: str) -> str:
    return path if path.startswith("<") else f"<{path}>"


def _literal(client: str) -> str:
    """RFC 5321 §4.1.3: what a client without a name says in EHLO."""
    return f"[IPv6:{client}]" if ipaddress.ip_address(client).version == 6 else f"[{client}]"
