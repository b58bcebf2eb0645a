r"""Golden conversations: each `smtp/*.txt` is one topic, played to the SMTP server machine and a scripted session.

The form, line by line
    # text              a comment
    settings: k=v ...   of ServerSettings, before the first line (numbers, true, false, words; lists with commas)
    S: text             a line of ours, exactly; all lines that the client's last lines brought must be there
    C: text             a line of the client, sent with CRLF. Lines that follow each other go out in one write.
    C- text             octets of the client without CRLF
    TLS                 the handshake is done
    L: from to octets   a letter was accepted: reverse-path, forward-paths (comma), content
    X: reason           the machine has ended the session
In C, C- and L lines `\r`, `\n`, `\0`, `\t`, `\\` and `\xNN` are octets.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from ekiden.model.path import render_path
from ekiden.proto.smtp.server import ServerSettings
from tests.dialog.scripted_session import ScriptedSession

DIALOGS = sorted((Path(__file__).parent / "smtp").glob("*.txt"))


def unescape(text: str) -> bytes:
    return text.encode().decode("unicode_escape").encode("latin-1")


def steps(text: str) -> Iterator[tuple[str, list[str]]]:
    """Runs of lines of one kind; `C-` and `C:` are one kind."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for kind, run in groupby(lines, key=lambda line: "C" if line[:2] in ("C:", "C-") else line.split(":")[0]):
        yield kind, list(run)


def settings_of(words: list[str]) -> ServerSettings:
    values: dict[str, object] = {"hostname": "mx.example.test", "size_limit": 1000, "max_recipients": 3}
    for word in words:
        key, _, value = word.partition("=")
        if key == "auth_mechanisms":
            values[key] = tuple(value.split(","))
        else:
            values[key] = int(value) if value.isdigit() else {"true": True, "false": False}.get(value, value)
    return ServerSettings(**values)  # type: ignore[arg-type]


def octets_of(lines: list[str]) -> bytes:
    return b"".join(unescape(line[3:]) + (b"\r\n" if line.startswith("C:") else b"") for line in lines)


def test_dialogs_are_found() -> None:
    assert len(DIALOGS) >= 20


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
def test_dialog(path: Path) -> None:
    settings = settings_of([])
    session: ScriptedSession | None = None
    output = b""
    letters: list[str] = []
    told = 0
    for kind, lines in steps(path.read_text()):
        if kind == "settings":
            settings = settings_of([word for line in lines for word in line.partition(":")[2].split()])
            continue
        if session is None:
            session = ScriptedSession(settings, greet=True)
            output = session.machine.output()
        match kind:
            case "S":
                assert output.decode().splitlines() == [line[3:] for line in lines]
                output = b""
            case "C":
                assert output == b"", f"before {lines[0]!r}"
                output = session.send(octets_of(lines))
            case "TLS":
                session.machine.tls_started()
            case "L":
                letters = [
                    f"{render_path(letter.mail.reverse_path).decode()} "
                    f"{','.join(render_path(r.forward_path).decode() for r in letter.recipients)} "
                    f"{letter.content!r}"
                    for letter in session.letters[told:]
                ]
                told = len(session.letters)
                expected = [line[3:].split(" ", 2) for line in lines]
                assert letters == [f"{mail} {rcpt} {unescape(content)!r}" for mail, rcpt, content in expected]
            case "X":
                assert session.closed == lines[0][3:]
                assert session.send(b"NOOP\r\n") == b""
            case _:
                pytest.fail(f"{path.name}: what is {lines[0]!r}?")
    assert session is not None
    assert output == b""
    assert told == len(session.letters), "a letter that the dialog does not tell of"
