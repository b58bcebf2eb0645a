"""load: every error at once, each with key, line, what was wrong and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from ekiden.app.config_file import ConfigErrors, find_config, load, render_key
from ekiden.app.config_values import parse_duration, parse_network, parse_size
from ekiden.config.model import Config, WideNetwork

GOOD = """\
hostname = "mail.example.test"
data_dir = "data"
[tls]
certificate = "cert.pem"
private_key = "/etc/key.pem"
[listen]
relay = ["0.0.0.0:25", "[::]:25"]
submissions = ["0.0.0.0:465"]
[relay]
trusted_networks = ["10.0.0.7", { net = "10.0.0.0/8", wide = true }]
[[domain]]
name = "example.test"
[[domain]]
name = "partner.test"
recipients = "list:partner.txt"
[[route]]
match = "partner.test"
to = "smtp://10.1.2.3:2600"
[[route]]
match = "*"
to = ["smtps://smart.example:465", "smtp://[2001:db8::1]:25"]
username = "me"
password_file = "secret"
[delivery]
connect_timeout = "90s"
expire_after = "5d"
retry_factor = 2
[limits]
message_size = "10MiB"
"""


def read(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "ekiden.toml"
    path.write_text(text)
    return load(str(path))


def errors(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        read(tmp_path, text)
    lines = str(caught.value).splitlines()
    assert len(lines) == len(caught.value.errors)
    return [line.replace(f"{tmp_path}/ekiden.toml:", "").strip() for line in lines]


BASE = 'hostname = "mail.example.test"\ndata_dir = "/d"\n'
ROUTE = '[[route]]\nmatch = "*"\nto = "smtp://x:25"\n'


def test_good_file(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD)
    assert config.data_dir == str(tmp_path / "data")
    assert config.tls.certificate == str(tmp_path / "cert.pem")
    assert config.tls.private_key == "/etc/key.pem"
    assert config.domain[1].recipients == f"list:{tmp_path}/partner.txt"
    assert config.route[0].to == ("smtp://10.1.2.3:2600",)
    assert config.route[1].password_file == str(tmp_path / "secret")
    assert config.relay.trusted_networks == ("10.0.0.7", WideNetwork(net="10.0.0.0/8", wide=True))
    assert (config.delivery.connect_timeout, config.delivery.expire_after) == (90.0, 432_000.0)
    assert config.limits.message_size == 10 * 1024 * 1024
    assert config.delivery.retry_factor == 2.0
    assert config.log.file == "-"


def test_smallest_file(tmp_path: Path) -> None:
    assert read(tmp_path, BASE) == Config(hostname="mail.example.test", data_dir="/d")


def test_all_errors_at_once_in_order(tmp_path: Path) -> None:
    found = errors(
        tmp_path,
        """\
hostname = "192.0.2.1"
workerz = 3
[listen]
relay = "0.0.0.0:25"
submission = ["0.0.0.0:587",
              "localhost:587"]
[limits]
message_size = "50MB"
sessions = true
""",
    )
    assert [line.split(": ")[:-1] if n == 0 else line.split(": ")[:2] for n, line in enumerate(found)] == [
        ["data_dir"],
        ["1", "hostname"],
        ["2", "workerz"],
        ["4", "listen.relay"],
        ["5", "listen.submission"],
        ["6", "listen.submission[2]"],
        ["8", "limits.message_size"],
        ["9", "limits.sessions"],
    ]
    assert 'did you mean "workers"?' in found[2]
    assert 'write ["0.0.0.0:25"]' in found[3]
    assert 'write "50MiB"' in found[6]


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ('hostname = "mail"', "hostname", "mail.example.org"),
        ('hostname = "mäil.example.test"', "hostname", ': "xn--'),
        ('hostname = "-x.example.test"', "hostname", "hyphens"),
        ("hostname = 5", "hostname", "must be a string"),
        ('data_dir = ""', "data_dir", "/var/lib/ekiden"),
        ("workers = -1", "workers", "more than 0"),
        ("workers = 1000", "workers", "at most 256"),
        ("workers = 1.5", "workers", "a whole number"),
        ('postmaster = "me"', "postmaster", "you@example.org"),
        ('postmaster = "me@elsewhere.test"', "postmaster", "[[domain]]"),
        ('certificate = "x"', "certificate", "[tls]"),
        ('[tls]\ncertificate = "x"', "tls.private_key", "needs its key"),
        ('[tls]\nprivate_key = "x"', "tls.certificate", "needs its certificate"),
        ('[tls]\nworkers = "x"', "tls.workers", "top of the file"),
        ("tls = 1", "tls", "[tls]"),
        ('[listen]\nrelay = ["::1:25"]', "listen.relay[1]", "brackets"),
        ('[listen]\nrelay = ["[127.0.0.1]:25"]', "listen.relay[1]", "brackets"),
        ('[listen]\nrelay = ["127.0.0.1"]', "listen.relay[1]", "lacks a host or a port"),
        ('[listen]\nrelay = ["127.0.0.1:smtp"]', "listen.relay[1]", "is no port"),
        ('[listen]\nrelay = ["0.0.0.0:25", "0.0.0.0:25"]', "listen.relay[2]", "already the address"),
        ('[listen]\nsubmission = ["0.0.0.0:587"]', "listen.submission", "needs TLS"),
        ('[listen]\npop3 = ["0.0.0.0:110"]', "listen.pop3", "needs TLS"),
        ('[relay]\ntrusted_networks = ["10.0.0.0/8"]', "relay.trusted_networks[1]", "wide = true"),
        ('[relay]\ntrusted_networks = ["2001:db8::/47"]', "relay.trusted_networks[1]", "wide = true"),
        ('[relay]\ntrusted_networks = ["64:ff9b::/96"]', "relay.trusted_networks[1]", "wider than a /16 of IPv4"),
        ('[relay]\ntrusted_networks = [{net = "0.0.0.0/0"}]', "relay.trusted_networks[1]", "wide = true"),
        ('[relay]\ntrusted_networks = [{net = "10.1.0.0/16", wid = true}]', "relay.trusted_networks[1].wid", '"wide"'),
        ('[relay]\ntrusted_networks = ["10.0.0.1/24"]', "relay.trusted_networks[1]", "10.0.0.0/24"),
        ('[relay]\ntrusted_networks = ["::ffff:10.0.0.1"]', "relay.trusted_networks[1]", "10.0.0.1/32"),
        ('[relay]\ntrusted_networks = ["printer"]', "relay.trusted_networks[1]", "is no network"),
        ('[[domain]]\nname = "a.test"\nquota = -1', "domain[1].quota", "0 or more"),
        ('[[domain]]\nname = "a.test"\nmailbox_quota = "2GB"', "domain[1].mailbox_quota", '"2GiB"'),
        ('[[domain]]\nname = "a.test"\nrecipients = "any"\nquota = 9', "domain[1]", "no mailboxes here"),
        ('[[restrict]]\nname = "x"', "restrict[1]", "forbids nothing"),
        ('[[restrict]]\nname = ""\ndeny = ["*"]', "restrict[1].name", "no name"),
        ('[[restrict]]\nname = "x"\ndeny = ["a*.test"]', "restrict[1].deny[1]", "no domain name"),
        ('[[restrict]]\nname = "x"\nallow = ["me@a.test"]', "restrict[1].allow[1]", '"a.test"'),
        ('[[restrict]]\nname = "x"\ndeny = ["*"]\naccount = ["me"]', "restrict[1].account[1]", "no account"),
        ('[[restrict]]\nname = "x"\ndeny = ["*"]\nprofile = ["me"]', "restrict[1].profile[1]", "there are person"),
        ('[[restrict]]\nname = "x"\ndeny = ["*"]\nnetwork = ["me"]', "restrict[1].network[1]", "is no network"),
        ('[relay]\nprofile = "shop"', "relay.profile", "no [[profile]]; there are"),
        ("[[profile]]\nmessages_per_day = 1", "profile[1].name", "is missing"),
        ('[[profile]]\nname = "Our shop"', "profile[1].name", "small letters"),
        ('[[profile]]\nname = "a"\n[[profile]]\nname = "a"', "profile[2].name", "twice"),
        ('[[profile]]\nname = "a"\nrecipients_per_hour = -1', "profile[1].recipients_per_hour", "0 (no limit)"),
        ('[[profile]]\nname = "a"\nmessages = 1', "profile[1].messages", "messages_per_"),
        ('[domain]\nname = "example.test"', "domain", "[[domain]]"),
        ('[[domain]]\nname = "me@example.test"', "domain[1].name", '"example.test"'),
        ('[[domain]]\nname = "*.example.test"', "domain[1].name", "patterns"),
        ('[[domain]]\nrecipients = "any"', "domain[1].name", "is missing"),
        ('[[domain]]\nname = "a.test"\n[[domain]]\nname = "A.TEST"', "domain[2].name", "twice"),
        ('[[domain]]\nname = "a.test"\nrecipients = "callahead"', "domain[1].recipients", "no route"),
        ('[[domain]]\nname = "a.test"\nrecipients = "list:"', "domain[1].recipients", "list:FILE"),
        ('[[route]]\nmatch = "*"\nto = []', "route[1].to", "one target"),
        ('[[route]]\nmatch = "*"\nto = "http://x"', "route[1].to[1]", "smtp://"),
        ('[[route]]\nmatch = "a*"\nto = "smtp://x:25"', "route[1].match", "no domain name"),
        ('[[route]]\nmatch = "*"\nto = "smtp://x:25"\ntls = "yes"', "route[1].tls", '"verify"'),
        ('[[route]]\nmatch = "*"\nto = "smtps://x:465"\ntls = "none"', "route[1].tls", "contradicts"),
        ('[[route]]\nmatch = "*"\nto = "smtp://x:25"\nusername = "u"', "route[1].username", "password_file"),
        ('[[route]]\nmatch = "*"\nto = "smtp://x:25"\npassword_env = "P"', "route[1].password_env", "username"),
        (ROUTE + 'sender = "*"', "route[1].sender[1]", "leave sender out"),
        (ROUTE + 'sender = ["a@b@c d"]', "route[1].sender[1]", "no domain name"),
        (ROUTE + 'sender = "@shop.test"', "route[1].sender[1]", '"shop.test"'),
        (ROUTE + 'account = "alice"', "route[1].account[1]", "account list"),
        (ROUTE + "after_attempts = -1", "route[1].after_attempts", "from 0"),
        (ROUTE + 'name = "a b"', "route[1].name", "is no name"),
        (ROUTE + 'sender = "a.test"\n' + ROUTE + 'sender = "A.test"', "route[2].match", "first match wins"),
        (ROUTE + 'name = "x"\n' + ROUTE + 'after_attempts = 2\nname = "x"', "route[2].name", "a name of its own"),
        (
            ROUTE + 'sender = ["a.test", "b.test"]\n' + ROUTE + 'sender = ["a.test", "c.test"]',
            "route[2].name",
            "its own",
        ),
        ('[delivery]\nsource = "mx1.test"', "delivery.source[1]", "is no IP address"),
        ('[delivery]\nsource = "192.0.2.1:25"', "delivery.source[1]", "is no IP address"),
        ('[delivery]\nsource = "0.0.0.0"', "delivery.source[1]", "leave source out"),
        ('[delivery]\nsource = "::ffff:192.0.2.1"', "delivery.source[1]", '"192.0.2.1"'),
        ('[delivery]\nsource = "2001:DB8::1"', "delivery.source[1]", 'write "2001:db8::1"'),
        ('[delivery]\nsource = "fe80::1%eth0"', "delivery.source[1]", "one link"),
        ('[delivery]\nsource = ["192.0.2.1", "192.0.2.2"]', "delivery.source[2]", "never be used"),
        (ROUTE + 'source = "x"', "route[1].source[1]", "is no IP address"),
        ('[[site]]\nmatch = "a.test"\nsource = "x"', "site[1].source[1]", "is no IP address"),
        ('[[source]]\naddress = "x"', "source[1].address", "is no IP address"),
        ('[[source]]\naddress = "192.0.2.1"\nhelo = "mx1"', "source[1].helo", "full name"),
        ("[[source]]\naddress = '192.0.2.1'\n" * 2, "source[2].address", "twice"),
        ('[dns]\nnameservers = ["ns.example"]', "dns.nameservers[1]", "lacks a host or a port"),
        ('[dns]\ntimeout = "0s"', "dns.timeout", "more than 0"),
        ("[dns]\ntimeout = true", "dns.timeout", "a duration"),
        ('[delivery]\nallow_addresses = ["x"]', "delivery.allow_addresses[1]", "is no network"),
        ("[delivery]\nmx_port = 70000", "delivery.mx_port", "65535"),
        ("[delivery]\nretry_factor = 0.5", "delivery.retry_factor", "shrink"),
        ("[limits]\npriority = 10", "limits.priority", "at most 9"),
        ('[limits]\ntarpit = "31s"', "limits.tarpit", "at most 30s"),
        ("[limits]\npriority = -1", "limits.priority", "more than 0"),
        ("[limits]\nmessage_size = 1.5", "limits.message_size", "a size"),
        ("[console]\nx = 1", "console", "is no key here"),
    ],
)
def test_one_error(tmp_path: Path, text: str, key: str, hint: str) -> None:
    rest = "".join(line + "\n" for line in BASE.splitlines() if line.partition(" ")[0] != text.partition(" ")[0])
    found = errors(tmp_path, rest + text + "\n")
    assert len(found) == 1, found
    assert f"{key}: " in found[0]
    assert hint in found[0]


def test_call_ahead_needs_a_route_for_every_sender(tmp_path: Path) -> None:
    text = BASE + '[[domain]]\nname = "a.test"\nrecipients = "callahead"\n' + ROUTE.replace("*", "a.test")
    assert read(tmp_path, text).route[0].sender == ()
    (found,) = errors(tmp_path, text + 'sender = "shop.test"\n')
    assert "domain[1].recipients: " in found
    assert "for every sender" in found


def test_a_login_goes_only_to_a_proven_name(tmp_path: Path) -> None:
    """Invariant 4: less than verify only where allow_unverified_login says so."""
    route = '[[route]]\nmatch = "*"\nto = "smtp://x.test:25"\nusername = "u"\npassword_env = "P"\n'
    assert read(tmp_path, BASE + route).route[0].tls == ""
    for value in ("none", "opportunistic", "require"):
        found = errors(tmp_path, BASE + route + f'tls = "{value}"\n')
        assert len(found) == 1
        assert "has not proven its name" in found[0]
    allowed = BASE + route + 'tls = "none"\nallow_unverified_login = true\n'
    assert read(tmp_path, allowed).route[0].allow_unverified_login


def test_a_routed_domain_says_how_its_recipients_are_known(tmp_path: Path) -> None:
    domain = '[[domain]]\nname = "sub.partner.test"\n'
    route = '[[route]]\nmatch = "*.partner.test"\nto = "smtp://10.0.0.1:25"\n'
    (found,) = errors(tmp_path, BASE + domain + route)
    assert "domain[1]" in found
    assert "recipients =" in found
    assert read(tmp_path, BASE + domain + 'recipients = "callahead"\n' + route).domain[0].recipients == "callahead"
    assert read(tmp_path, BASE + domain + route.replace("*.partner.test", "*")).domain[0].recipients == "accounts"


def test_no_password_in_an_error(tmp_path: Path) -> None:
    text = BASE + '[[route]]\nmatch = "*"\nto = "smtp://me:geheim@x.test:25"\n'
    assert "geheim" not in "".join(errors(tmp_path, text))


@pytest.mark.parametrize(
    ("octets", "line", "hint"),
    [
        (b'a = 1\nb = "x\n', 2, "is not TOML"),
        (b"a = 1\n\nb", 3, "is not TOML"),
        (b"a = 1\na = 2\n", 2, "is not TOML"),
        (b"a = 1\nb = '\xff'\n", 2, "UTF-8"),
    ],
)
def test_what_is_no_toml(tmp_path: Path, octets: bytes, line: int, hint: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(octets)
    with pytest.raises(ConfigErrors) as caught:
        load(str(path))
    (error,) = caught.value.errors
    assert error.line == line
    assert hint in error.message


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="No such file"):
        load(str(tmp_path / "none.toml"))
    with pytest.raises(ConfigErrors, match="Is a directory"):
        load(str(tmp_path))


def test_find_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_config("x.toml", {"EKIDEN_CONFIG": "y.toml"}) == "x.toml"
    assert find_config("", {"EKIDEN_CONFIG": "y.toml"}) == "y.toml"
    if not Path("/etc/ekiden/ekiden.toml").exists():
        with pytest.raises(ConfigErrors, match="name it with -c"):
            find_config("", {})
    (tmp_path / "ekiden.toml").write_text(BASE)
    assert find_config("", {}) == "ekiden.toml"


def test_values() -> None:
    assert [parse_duration(value) for value in ("500ms", "30s", "5m", "4h", "5d", "1w", "1.5h", 7, 0.5)] == [
        *(0.5, 30.0, 300.0, 14400.0, 432000.0, 604800.0, 5400.0, 7.0, 0.5)
    ]
    assert [parse_size(value) for value in (10, "10B", "64KiB", "50 MiB", "2GiB")] == [
        *(10, 10, 65536, 52428800, 2147483648)
    ]
    assert str(parse_network("10.1.0.0/16", wide=False)) == "10.1.0.0/16"
    assert str(parse_network("2001:db8::/48", wide=False)) == "2001:db8::/48"


def test_render_key() -> None:
    assert render_key(("route", 1, "to", 0)) == "route[2].to[1]"
    assert render_key(()) == ""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("min_length = 7", "passwords.min_length: must be from 8 to 64, not 7"),
        ("min_length = 65", "passwords.min_length: must be from 8 to 64, not 65"),
        ("min_length = 0", "passwords.min_length: must be more than 0, not 0"),
        ("strength = 5", "passwords.strength: must be from 0 (not asked) to 4, not 5"),
        ("history = 51", "passwords.history: must be at most 50, not 51"),
        ("max_age_days = -1", "passwords.max_age_days: must be more than 0, not -1"),
    ],
)
def test_password_rules(tmp_path: Path, line: str, expected: str) -> None:
    (error,) = errors(tmp_path, f"{BASE}[passwords]\n{line}\n")
    assert expected in error


def test_password_rules_may_be_off(tmp_path: Path) -> None:
    config = read(tmp_path, BASE + '[passwords]\nstrength = 0\nhistory = 0\nmax_age_days = 0\nbreached_file = "b"\n')
    assert config.passwords.breached_file == str(tmp_path / "b")
