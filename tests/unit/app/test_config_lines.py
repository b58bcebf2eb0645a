"""Key path -> line, past everything TOML can put in the way."""

from __future__ import annotations

import tomllib

import pytest

from ekiden.app.config_lines import line_of, locate

TEXT = '''\
# [not.a.table]
a = 1
b = "x # no comment [ ] \\" = "
c = [ 1,  # a comment ] with brackets
  2,

  [3, "]"],
]
d = """
e = 1
\\""" " ""
f = 2"""""
g = { h = 1, i = { j = 'x }' } }
"quoted key" . k = 1979-05-27 07:32:00

[t]
x.y.z = true
  [t.sub]   # indented
  w = -inf
[[r]]
m = \'\'\'
n = 1
\'\'\'
to = ["a",
      "b"]
[[r]]
m = 2
[[r.s]]
q = 0x1F
[[r.s]]
q = 1
[r.u]
v = 1'''


def test_every_path_has_its_line() -> None:
    assert tomllib.loads(TEXT)["r"][1]["s"][1]["q"] == 1
    lines = locate(TEXT)
    expected = {
        ("a",): 2,
        ("b",): 3,
        ("c",): 4,
        ("c", 1): 5,
        ("c", 2, 1): 7,
        ("d",): 9,
        ("g", "i", "j"): 13,
        ("quoted key", "k"): 14,
        ("t",): 16,
        ("t", "x", "y", "z"): 17,
        ("t", "sub", "w"): 19,
        ("r",): 20,
        ("r", 0): 20,
        ("r", 0, "to", 1): 25,
        ("r", 1): 26,
        ("r", 1, "m"): 27,
        ("r", 1, "s", 0, "q"): 29,
        ("r", 1, "s", 1, "q"): 31,
        ("r", 1, "u", "v"): 33,
    }
    assert {path: lines.get(path) for path in expected} == expected
    assert ("e",) not in lines
    assert ("f",) not in lines


@pytest.mark.parametrize("text", ["", "\n", "# only", "a=1", "a=[]\n[b]\n[[c]]", "a={}", "a=''''''", 'a="\\\\"'])
def test_small_texts(text: str) -> None:
    tomllib.loads(text)
    locate(text)


def test_nearest_table_for_what_is_missing() -> None:
    lines = locate("\n[tls]\ncertificate = 'x'")
    assert line_of(lines, ("tls", "private_key")) == 2
    assert line_of(lines, ("hostname",)) == 0
