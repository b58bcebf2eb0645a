from __future__ import annotations

from ekiden.lab.bench.syncs import Syncs, parse_counts, sync_table

SUMMARY = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 98.31    0.047000         534        88           fdatasync
  1.69    0.000808         269         3         1 fsync
------ ----------- ----------- --------- --------- ----------------
100.00    0.047808         525        91         1 total
"""


def test_calls_are_read_out_of_the_summary() -> None:
    assert parse_counts(SUMMARY) == {"fdatasync": 88, "fsync": 3}


def test_syncs_are_told_a_letter() -> None:
    line = sync_table([Syncs("Ekiden", 500, {"fdatasync": 88, "fsync": 3})])[1]
    assert line.split() == ["Ekiden", "500", "91", "0.18", "fdatasync", "88,", "fsync", "3"]


def test_who_could_not_be_counted_says_why() -> None:
    assert sync_table([Syncs("Exim", 0, {}, "not there")])[1].split(maxsplit=1) == ["Exim", "not there"]
