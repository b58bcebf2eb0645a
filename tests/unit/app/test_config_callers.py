"""`[callers]` and `[[dnsbl]]`: what can be written, and what each mistake says."""

from __future__ import annotations

from pathlib import Path

import pytest

from ekiden.app.config_file import ConfigErrors, load

BASE = 'hostname = "mail.example.test"\ndata_dir = "data"\n'
ZONE = '[[dnsbl]]\nzone = "dnsbl.example.net"\n'
CODES = 'codes = {"127.0.0.2" = 5, "127.0.*.3" = 0}\n'
PAGE = 'page = "https://dnsbl.example.net/{ip}"\n'


def fault(folder: Path, text: str) -> str:
    path = folder / "ekiden.toml"
    path.write_text(BASE + text)
    with pytest.raises(ConfigErrors) as caught:
        load(str(path))
    (error,) = caught.value.errors
    return f"{error.key}: {error.message}"


def test_good(tmp_path: Path) -> None:
    text = '[callers]\npause = 0\nrefuse_at = 0\nmark_at = 0\nsign_weight = 0\nexempt = ["192.0.2.0/24"]\n'
    (tmp_path / "ekiden.toml").write_text(BASE + text + ZONE + CODES + PAGE)
    config = load(str(tmp_path / "ekiden.toml"))
    assert config.callers.pause == 0
    (entry,) = config.dnsbl
    assert (entry.codes, entry.weight, entry.allow) == ({"127.0.0.2": 5, "127.0.*.3": 0}, 5, False)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ('[callers]\npause = "1m"\n', "callers.pause: must be at most 20s: other servers do not wait"),
        ('[callers]\ntimeout = "5m"\n', "callers.timeout: must be at most 60s"),
        ("[callers]\ntimeout = 0\n", "callers.timeout: must be more than 0"),
        ("[callers]\nrefuse_at = -1\n", "callers.refuse_at: must be more than 0"),
        ("[callers]\ndefer_at = 9\n", "callers.defer_at: 9 is never reached: refuse_at = 5 refuses before"),
        ('[callers]\nexempt = ["here"]\n', "callers.exempt[1]: "),
        ('[callers]\nstrangers = ["127.0.0.1/8"]\n', "callers.strangers[1]: "),
        ("[callers]\ngreylisting = true\n", 'callers.greylisting: is no key here; did you mean "greylist"?'),
        (ZONE + PAGE, "dnsbl[1].codes: is missing"),
        (ZONE + PAGE + "codes = {}\n", "dnsbl[1].codes: names none"),
        (ZONE + PAGE + 'codes = "127.0.0.2"\n', 'dnsbl[1].codes: must be a table such as {"127.0.0.2" = 5}'),
        (ZONE + PAGE + 'codes = {"127.0.0.2" = "5"}\n', "dnsbl[1].codes.127.0.0.2: must be a whole number"),
        (ZONE + PAGE + 'codes = {"127.0.0.2" = -5}\n', "dnsbl[1].codes.127.0.0.2: must be from 0 (as weight) to 1000"),
        (ZONE + PAGE + 'codes = {"2" = 5}\n', 'dnsbl[1].codes.2: "2" is no code'),
        (ZONE + PAGE + 'codes = {"127.255.255.*" = 5}\n', "dnsbl[1].codes.127.255.255.*: "),
        (ZONE + CODES, "dnsbl[1].page: is missing: who is refused must find out why"),
        (ZONE + CODES + 'page = "é"\n', "dnsbl[1].page: must be a URL in ASCII"),
        (ZONE + CODES + PAGE + "weight = 0\n", "dnsbl[1].weight: must be from 1 to 1000, not 0"),
        (ZONE + CODES + PAGE + ZONE + CODES + PAGE, 'dnsbl[2].zone: "dnsbl.example.net" is there twice'),
        ('[[dnsbl]]\nzone = "*.net"\n' + CODES + PAGE, "dnsbl[1].zone: "),
        ("[dnsbl]\n" + CODES, "dnsbl: must be a list of tables: write [[dnsbl]]"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, start: str) -> None:
    assert fault(tmp_path, text).startswith(start)


def test_twenty_lists_are_enough(tmp_path: Path) -> None:
    lists = "".join(f'[[dnsbl]]\nzone = "l{n}.example.net"\n{CODES}{PAGE}' for n in range(21))
    assert fault(tmp_path, lists).startswith("dnsbl[21]: is one too many")


def test_a_list_of_good_ones_needs_no_page(tmp_path: Path) -> None:
    (tmp_path / "ekiden.toml").write_text(BASE + ZONE + CODES + "allow = true\n")
    assert load(str(tmp_path / "ekiden.toml")).dnsbl[0].allow
