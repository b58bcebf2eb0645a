"""`ekiden account app-password`, `send-as` and `show` as a person runs them."""

from __future__ import annotations

import json
import re
import time

import pytest

from ekiden.accounts.app_passwords import secret_digest
from ekiden.app.config_file import load
from ekiden.app.stores import open_directory
from tests.integration.test_cli_accounts import CONFIG, House

YOU = "you@example.test"


@pytest.fixture
def house(tmp_path):
    house = House(tmp_path)
    house.add(YOU)
    return house


async def stored(house):
    directory = open_directory(load(str(house.folder / "ekiden.toml")))
    try:
        return await directory.account(YOU)
    finally:
        directory.close()


async def test_an_app_password_is_shown_once_and_kept_nowhere(house):
    shown = house.run("account", "app-password", "add", "You@example.test", "--name", "Phone")
    (secret,) = re.findall(r"^    (\S+)$", shown, re.MULTILINE)
    assert "for Phone: submit and fetch, from anywhere, never expires" in shown
    assert "shown this once" in shown
    (kept,) = (await stored(house)).app_passwords
    assert kept.digest == secret_digest(secret)
    seen = house.run("account", "app-password", "list", YOU) + house.run("account", "show", YOU, "--json")
    octets = b"".join(path.read_bytes() for path in house.folder.rglob("*") if path.is_file()) + seen.encode()
    for form in (secret, secret.replace("-", "")):
        assert form.encode() not in octets
    line = json.loads((house.folder / "log.json").read_text().splitlines()[-1])
    assert (line["action"], line["account"], line["what"]) == ("app-password-add", YOU, f"{kept.id} (Phone)")


async def test_programs_make_list_and_revoke_them(house):
    limits = ["--scope", "fetch", "--network", "192.0.2.0/24", "--network", "2001:db8::/32", "--expires", "90d"]
    made = json.loads(house.run("account", "app-password", "add", YOU, "--name", "駅", *limits, "--json"))[
        "app_password"
    ]
    secret = made.pop("secret")
    assert (await stored(house)).app_passwords[0].digest == secret_digest(secret)
    assert (made["name"], made["scopes"], made["networks"]) == ("駅", ["fetch"], ["192.0.2.0/24", "2001:db8::/32"])
    assert json.loads(house.run("account", "app-password", "list", YOU, "--json")) == [made]
    row = house.run("account", "app-password", "list", YOU).splitlines()[1]
    assert "192.0.2.0/24, 2001:db8::/32" in row
    assert row.endswith("never")
    house.run("account", "app-password", "add", YOU, "--name", "Tablet")
    revoked = json.loads(house.run("account", "app-password", "revoke", YOU, "駅", "--json"))
    assert revoked == {"ok": True, "revoked": [made["id"]]}
    assert house.run("account", "app-password", "revoke", YOU, "--all") == f"revoked 1 app password of {YOU}\n"
    assert house.run("account", "app-password", "list", YOU) == "no app passwords\n"


async def test_a_day_is_the_last_on_which_it_works(house):
    house.run("account", "app-password", "add", YOU, "--name", "Phone", "--expires", "2037-12-31")
    (kept,) = (await stored(house)).app_passwords
    assert time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(kept.expires)) == "2038-01-01 00:00:00"


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["add", YOU, "--name", ""], 2, "--name: is empty"),
        (["add", YOU, "--name", "P", "--scope", "imap"], 2, "--scope: 'imap' is none"),
        (["add", YOU, "--name", "P", "--network", "10.0.0.1/8"], 2, "--network: 10.0.0.1/8: the network"),
        (["add", YOU, "--name", "P", "--expires", "soon"], 2, '--expires: "soon" is no time; write "90d"'),
        (["add", YOU, "--name", "P", "--expires", "9999999999999w"], 2, "--expires: "),
        (["add", YOU, "--name", "P", "--expires", "2020-01-01"], 1, "--expires: is in the past"),
        (["add", "no@example.test", "--name", "P"], 1, "there is no account no@example.test"),
        (["revoke", YOU, "P"], 1, f"{YOU} has no app password P"),
        (["revoke", YOU], 2, "name one app password by its id or its name, or say --all"),
        (["revoke", YOU, "P", "--all"], 2, "name one app password"),
    ],
)
def test_refusals_are_one_line_and_change_nothing(house, arguments, status, words):
    before = house.events()
    house.run("account", "app-password", *arguments, status=status)
    assert house.errors.startswith(f"ekiden: {words}")
    assert house.errors.count("\n") == 1
    assert house.events() == before
    assert house.run("account", "app-password", "list", YOU, "--json") == "[]\n"


def test_grants(house):
    assert house.run("account", "send-as", "list", YOU).startswith("nothing was granted")
    assert house.run("account", "send-as", "add", YOU, "Sales@far.test") == f"{YOU} may send as Sales@far.test\n"
    assert "already" in house.run("account", "send-as", "add", YOU, "sales@far.test")
    house.run("account", "send-as", "add", YOU, "@second.test")
    assert json.loads(house.run("account", "send-as", "list", YOU, "--json")) == ["sales@far.test", "@second.test"]
    assert "no longer" in house.run("account", "send-as", "remove", YOU, "sales@far.test")
    assert house.run("account", "send-as", "list", YOU) == "@second.test\n"
    house.run("account", "send-as", "remove", YOU, "sales@far.test", status=1)
    assert "was not granted sales@far.test" in house.errors
    house.run("account", "send-as", "add", YOU, "sales", status=2)
    assert "OTHER: 'sales' is no address" in house.errors


def test_an_account_is_shown_whole(house):
    house.run("alias", "add", "info@example.test", YOU)
    house.run("account", "send-as", "add", YOU, "@second.test")
    house.run("account", "app-password", "add", YOU, "--name", "Phone")
    shown = house.run("account", "show", YOU)
    for words in (
        "login:         enabled",
        "password:      0s old, set",
        "aliases:       info@example.test",
        "may send as:   itself, its aliases, @second.test",
        "Phone",
    ):
        assert words in re.sub(r"\d+s old", "0s old", shown)
    facts = json.loads(house.run("account", "show", YOU, "--json"))
    assert (facts["name"], facts["aliases"], facts["send_as"]) == (YOU, ["info@example.test"], ["@second.test"])
    assert [there["name"] for there in facts["app_passwords"]] == ["Phone"]
    assert "argon2" not in json.dumps(facts)


def test_a_password_that_grows_too_old_is_shown(house):
    (house.folder / "ekiden.toml").write_text(CONFIG + "[passwords]\nmax_age_days = 90\n")
    assert re.search(r"^password: .*; too old from \d{4}-", house.run("account", "show", YOU), re.MULTILINE)
    facts = json.loads(house.run("account", "show", YOU, "--json"))
    assert facts["password_until"] > facts["password_changed"]


def test_an_account_made_anew_has_nothing_of_the_old_one(house):
    house.run("account", "app-password", "add", YOU, "--name", "Phone")
    house.run("account", "send-as", "add", YOU, "@second.test")
    house.run("account", "remove", YOU)
    house.add(YOU)
    facts = json.loads(house.run("account", "show", YOU, "--json"))
    assert (facts["send_as"], facts["app_passwords"]) == ([], [])
