"""The command line's frame: lazy commands, one line an error, exit codes 0, 1 and 2."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from ekiden.cli.main import COMMANDS, run


def test_help_names_every_command_and_imports_none_of_them():
    script = "import sys; from ekiden.cli.main import run; run(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for name, (_, text) in COMMANDS.items():
        assert name in done.stdout
        assert text in done.stdout
    for heavy in ("uvloop", "dns", "cryptography", "rich", "asyncio", "apsw", "argon2", "msgspec", "ekiden.app"):
        assert f"'{heavy}'" not in done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_where_its_name_says(name):
    module = COMMANDS[name][0].partition(":")[0]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not there yet")
    assert run([name, "--help"]) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["acount"], "ekiden: there is no command acount; did you mean account? (see ekiden --help)\n"),
        (["zzz"], "ekiden: there is no command zzz (see ekiden --help)\n"),
        (["--nope"], "ekiden: No such option"),
        (["account", "add"], "ekiden: Missing argument 'ADDRESS' (see ekiden account add --help)\n"),
        (["queue", "retry"], "ekiden: name one letter, or say --all (see ekiden queue retry --help)\n"),
        (["queue", "retry", "--all", "01h8xk3p2qz7m"], "ekiden: name one letter, or say --all"),
        (["queue", "show", "x"], "ekiden: ID: an id has 13 characters, this has 1: 'x'"),
        (["queue", "list", "--limit", "0"], "ekiden: Invalid value for '--limit'"),
        (["trace"], "ekiden: Missing argument 'ID-OR-MESSAGE-ID'"),
        (["account", "list", "a\x1b]0;x\x07", "b"], "ekiden: Got unexpected extra argument"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(capsys, arguments, words):
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(words)
    assert err.count("\n") == 1
    assert "\x1b" not in err


def test_without_arguments_help_is_shown(capsys):
    assert run([]) in {0, 2}  # 2 from click 8.2 on
    out, err = capsys.readouterr()
    assert "Commands:" in out + err


def test_version(capsys):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("ekiden ")


def test_a_missing_configuration_is_named(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EKIDEN_CONFIG", str(tmp_path / "gone.toml"))
    assert run(["account", "list"]) == 1
    assert capsys.readouterr().err == f"ekiden: {tmp_path}/gone.toml: cannot be read: No such file or directory\n"


def test_every_error_of_the_configuration_is_a_line(capsys, tmp_path):
    (tmp_path / "ekiden.toml").write_text('hostname = "mail.example.test"\ndata_dir = "data"\nnope = 1\nworkers = -1\n')
    assert run(["-c", str(tmp_path / "ekiden.toml"), "domain", "list"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"ekiden: {tmp_path}/ekiden.toml:") for line in lines)
    assert not (tmp_path / "data").exists()
