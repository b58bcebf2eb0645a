from __future__ import annotations

import os

from ekiden.lab.processes import cpu_seconds, parse_pss, pss_octets, tree

ROLLUP = """\
55a069ca4000-7ffd0b9e1000 ---p 00000000 00:00 0                          [rollup]
Rss:               12345 kB
Pss:                6789 kB
Pss_Dirty:          1000 kB
"""


def test_the_proportional_set_size_is_read_in_octets() -> None:
    assert parse_pss(ROLLUP) == 6789 * 1024


def test_no_proportional_set_size_is_nothing() -> None:
    assert parse_pss("Rss: 1 kB\n") == 0


def test_a_tree_begins_with_its_root_and_costs_something() -> None:
    me = os.getpid()
    assert tree(me)[0] == me
    assert cpu_seconds(me) > 0
    assert pss_octets(me) > 1_000_000
