"""A postmaster's list of breached passwords, in both forms."""

from __future__ import annotations

import hashlib

import pytest

from ekiden.ports.breached import BreachedFailed
from ekiden.storage.breached_file import BreachedFile

WORDS = [f"password {number}" for number in range(1000)]


def digests(words):
    return sorted(hashlib.sha1(word.encode()).hexdigest().upper() for word in words)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
async def test_passwords_one_a_line(tmp_path, end):
    path = tmp_path / "list"
    path.write_bytes(end.join(["first", "日本語の", " blank "]).encode())
    breached = BreachedFile(path)
    for word in ("first", "日本語の", " blank "):
        assert await breached.holds(word)
    for word in ("fir", "blank", "First", ""):
        assert not await breached.holds(word)


@pytest.mark.parametrize("form", ["{0}\n", "{0}:17\r\n", "{1}\n"])
async def test_digests_in_order(tmp_path, form):
    path = tmp_path / "list"
    path.write_text("".join(form.format(digest, digest.lower()) for digest in digests(WORDS)), newline="")
    breached = BreachedFile(path)
    for word in WORDS:
        assert await breached.holds(word), word
    for number in range(1000):
        assert not await breached.holds(f"other {number}")


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_short_lists(tmp_path, size):
    path = tmp_path / "list"
    path.write_text("\n".join(digests(WORDS[:size])))
    breached = BreachedFile(path)
    assert [word for word in WORDS if await breached.holds(word)] == WORDS[:size]


async def test_an_empty_list_holds_nothing(tmp_path):
    (tmp_path / "list").touch()
    assert not await BreachedFile(tmp_path / "list").holds("first")


async def test_digests_in_another_order_are_refused(tmp_path):
    path = tmp_path / "list"
    path.write_text("\n".join(reversed(digests(WORDS))))
    with pytest.raises(BreachedFailed, match="not in ascending order; take the list that is ordered by hash"):
        await BreachedFile(path).holds("first")


async def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(BreachedFailed, match=r"\[passwords\] breached_file: .*none: No such file"):
        await BreachedFile(tmp_path / "none").holds("first")
