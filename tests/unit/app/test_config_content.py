"""`[[content_rule]]`: what is wrong is told with its key, and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from ekiden.app.config_file import ConfigErrors, load
from ekiden.config.model import Config, ContentRule

BASE = 'hostname = "mail.example.test"\ndata_dir = "/d"\n[[content_rule]]\nname = "r"\n'


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "ekiden.toml"
    path.write_text(BASE + text)
    return load(str(path))


def test_all_keys(tmp_path: Path) -> None:
    text = """\
action = "hold"
door = "relay"
account = ["*@example.test", "*"]
except_account = "bob@example.test"
size_over = "10MiB"
header = "Subject: *lottery*"
attachment_name = "*.exe"
attachment_kind = ["program", "disguised-name"]
attachment_type = "video/*"
unexaminable = "pass"
"""
    expected = ContentRule(
        name="r",
        action="hold",
        door=("relay",),
        account=("*@example.test", "*"),
        except_account=("bob@example.test",),
        size_over=10 * 1024 * 1024,
        header=("Subject: *lottery*",),
        attachment_name=("*.exe",),
        attachment_kind=("program", "disguised-name"),
        attachment_type=("video/*",),
        unexaminable="pass",
    )
    assert read(tmp_path, text).content_rule == (expected,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('action = "delete"\nsize_over = 1', '"delete" is not known; write one of "refuse", "hold", "mark"'),
        ('action = "hold"', '"r" would match every letter; set one of size_over, header'),
        ('action = "hold"\nsize_over = -1', "must be 0 or more"),
        ('action = "hold"\nsize_over = 1\ndoor = "pop3"', '"pop3" is not known; write one of "relay", "submission"'),
        ('action = "hold"\nattachment_kind = "exe"', '"exe" is not known; write one of "program", "script"'),
        ('action = "hold"\nattachment_name = "*"', '"*" matches every attachment; write a pattern such as "*.exe"'),
        ('action = "hold"\nheader = "Subject"', '"Subject" is no condition; write a field, a colon and a pattern'),
        ('action = "hold"\nsize_over = 1\naccount = "bob"', '"bob" is no login; write "you@example.org"'),
        ('action = "hold"\nsize_over = 1\nunexaminable = "pass"', "is for rules that ask of attachments"),
        ('action = "hold"\nattachment_kind = "pdf"\nunexaminable = "no"', '"no" is not known; write one of "refuse"'),
        (
            'action = "hold"\nsize_over = 1\n[[content_rule]]\nname = "r"\naction = "hold"\nsize_over = 1',
            '"r" is what another rule is called',
        ),
        (
            'action = "hold"\nsize_over = 1\n[[content_rule]]\nname = "a b"\naction = "hold"\nsize_over = 1',
            '"a b" is no name; write up to 64 letters',
        ),
    ],
)
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read(tmp_path, text)
    (error,) = caught.value.errors
    assert error.key.startswith("content_rule[")
    assert message in error.message
