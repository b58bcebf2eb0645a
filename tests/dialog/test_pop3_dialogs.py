r"""Golden conversations: each `pop3/*.txt` is one topic, played against a POP3 session on a fake wire.

The account is alice@example.test with the password wonderland. The form, line by line
    # text              a comment
    settings: k=v ...   tls=true (TLS from the first byte), certificate=false, error_limit=N; before the first line
    M: octets           a message in the mailbox, before the first line
    S: text             a line of ours, exactly; all lines that the client's last lines brought must be there
    C: text             a line of the client, sent with CRLF. Lines that follow each other come in one read.
    C- text             octets of the client without CRLF
    TLS                 the handshake is done
    LOST                the connection is gone
    X: reason           we have closed, for this reason
    LEFT: N             so many messages are in the mailbox now
In M, C and C- lines `\r`, `\n`, `\0`, `\\` and `\xNN` are octets.
"""

from __future__ import annotations

import dataclasses
from itertools import groupby
from pathlib import Path

import pytest

from tests.fakes.pop3_house import Pop3House, Visit, settle

DIALOGS = sorted((Path(__file__).parent / "pop3").glob("*.txt"))


def unescape(text: str) -> bytes:
    return text.encode().decode("unicode_escape").encode("latin-1")


def octets_of(lines: list[str]) -> bytes:
    return b"".join(unescape(line[3:]) + (b"\r\n" if line.startswith("C:") else b"") for line in lines)


def test_dialogs_are_found() -> None:
    assert len(DIALOGS) >= 8


class Player:
    def __init__(self, settings: dict[str, str], messages: list[bytes]) -> None:
        self.settings = settings
        self.messages = messages
        self.house = Pop3House()
        self.visit: Visit
        self.output = b""

    async def begin(self) -> None:
        await self.house.begin(*self.messages)
        doorway = dataclasses.replace(
            self.house.doorway,
            tls=self.settings.get("certificate", "true") == "true",
            error_limit=int(self.settings.get("error_limit", "10")),
        )
        self.visit = self.house.visit(tls=self.settings.get("tls") == "true", doorway=doorway)
        self.output = self.visit.wire.take()

    async def play(self, kind: str, lines: list[str]) -> None:
        match kind:
            case "S":
                assert self.output.decode().splitlines() == [line[3:] for line in lines]
                self.output = b""
            case "C":
                assert self.output == b"", f"before {lines[0]!r}"
                self.output = await self.visit.send(octets_of(lines))
            case "TLS":
                self.visit.wire.finish_tls()
            case "LOST":
                self.visit.wire.hang_up()
            case "X":
                assert self.visit.wire.is_closing
                assert [f"X: {self.visit.session._reason}"] == lines
            case "LEFT":
                await settle()
                assert [f"LEFT: {len(self.house.box)}"] == lines
            case _:
                raise AssertionError(f"what is {lines[0]!r}?")


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
async def test_dialog(path: Path) -> None:
    lines = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    settings = dict(
        word.split("=") for line in lines if line.startswith("settings:") for word in line.partition(":")[2].split()
    )
    messages = [unescape(line[3:]) for line in lines if line.startswith("M:")]
    talk = [line for line in lines if not line.startswith(("settings:", "M:"))]
    player = Player(settings, messages)
    await player.begin()
    for kind, run in groupby(talk, key=lambda line: "C" if line[:2] in ("C:", "C-") else line.split(":")[0]):
        await player.play(kind, list(run))
    assert player.output == b"", "unexpected at the end"
