"""Folder and file names: nothing escapes, nothing collides, other programs' names are understood."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ekiden.model.ids import IdSequence, LetterId
from ekiden.storage.maildir import names


@pytest.mark.parametrize(
    ("account", "folder"),
    [
        ("alice@example.test", ("example.test", "alice")),
        ("a.b+c=d_e-f@example.test", ("example.test", "a.b+c=d_e-f")),
        ("../../etc/passwd@example.test", ("example.test", "%2e./../etc/passwd".replace("/", "%2f"))),
        ("..@..", ("%2e.", "%2e.")),
        (".@.", ("%2e", "%2e")),
        ("a b\0c\n@x", ("x", "a%20b%00c%0a")),
        ("a@b@example.test", ("example.test", "a%40b")),
        ("駅@example.test", ("example.test", "%e9%a7%85")),
        ("a@[192.0.2.1]", ("%5b192.0.2.1%5d", "a")),
        ("%2e@x", ("x", "%252e")),
        ("postmaster", ("%", "postmaster")),
        ("@x", ("x", "%")),
    ],
)
def test_folders(account: str, folder: tuple[str, str]) -> None:
    assert names.account_folder(account) == folder


@given(st.text(max_size=400), st.text(max_size=40))
def test_no_folder_name_is_dangerous(local_part: str, domain: str) -> None:
    for name in names.account_folder(f"{local_part}@{domain}"):
        assert name not in {"", ".", ".."}
        assert not name.startswith(".")
        assert PurePosixPath(name).name == name
        assert "\0" not in name
        assert len(name.encode()) <= 255


@given(st.sets(st.text(alphabet="aA./%é", max_size=120), min_size=2, max_size=10))
def test_no_two_accounts_share_a_folder(local_parts: set[str]) -> None:
    folders = {names.account_folder(f"{local_part}@example.test") for local_part in local_parts}
    assert len(folders) == len(local_parts)


def test_a_file_name_follows_from_letter_and_recipient() -> None:
    letter = LetterId(IdSequence(7).next(1_767_225_600.25))
    ticket = names.ticket(letter, "alice@example.test")
    assert ticket == names.ticket(letter, "alice@example.test")
    assert ticket.base.startswith("1767225600.")
    assert ticket.base != names.ticket(letter, "bob@example.test").base
    assert ticket.base != names.ticket(LetterId(letter + 1), "alice@example.test").base
    assert ticket.key in ticket.base
    name = names.file_name(ticket.base, 99_999_999, 99_999_999)
    assert names.unique_id(name) == name  # short enough to be its own unique id
    assert names.virtual_size(name) == 99_999_999
    assert names.is_ours(name)
    assert names.virtual_size(names.file_name(ticket.base, 5, 7)) is None


def test_unique_ids_do_not_change_with_flags() -> None:
    assert names.base_of("123.abc.host,S=5:2,RS") == "123.abc.host,S=5"
    long = "1" * 71
    for base in (long, "with blank", "ü.1.host", ""):
        unique_id = names.unique_id(base)
        assert len(unique_id) == 41
        assert unique_id.isalnum()
    assert names.unique_id(long) != names.unique_id(long + "1")


def test_foreign_names() -> None:
    assert not names.is_ours("1767225600.M1P2.host,S=5,W=6")
    assert names.virtual_size("1767225600.M1P2.host,S=5,W=6") == 6
    assert names.virtual_size("1767225600.M1P2.host,W=x") is None
    assert names.virtual_size("W=5") is None
    assert sorted(["20.b.h", "9.a.h", "x.y", "20.a.h"], key=names.order) == ["x.y", "9.a.h", "20.a.h", "20.b.h"]
