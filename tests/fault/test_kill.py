"""The short form of tools/kill_test.py: three kills of the whole process group, nothing lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ekiden.lab.killing import Account, Plan, judge, run_kill_test
from ekiden.lab.server import LabFailed


async def test_nothing_is_lost_when_everything_is_killed(tmp_path: Path) -> None:
    account = await run_kill_test(tmp_path / "server", Plan(kills=3, letters=500, sessions=20))
    assert account.kills == 3
    assert len(account.acknowledged) >= 500
    judge(account)


def test_the_judge_can_say_no() -> None:
    with pytest.raises(LabFailed, match="never came"):
        judge(Account(acknowledged={b"a", b"b"}, received=Counter({b"a": 1})))
    with pytest.raises(LabFailed, match="duplicates"):
        judge(Account(acknowledged={b"a"}, received=Counter({b"a": 3}), in_flight=1))
    judge(Account(acknowledged={b"a"}, received=Counter({b"a": 2}), in_flight=1))
