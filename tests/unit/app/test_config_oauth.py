"""`[oauth]`: what belongs together, and a file of keys that is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from ekiden.app.config_check import Weight, inspect
from ekiden.app.config_file import ConfigErrors, load, load_with_lines

BASE = 'hostname = "mail.example.test"\ndata_dir = "data"\n[oauth]\n'
ISSUER = 'issuer = "https://login.example.test"\n'
AUDIENCE = 'audience = "mail"\n'
URL = 'jwks_url = "https://login.example.test/jwks"\n'


def fault(folder: Path, text: str) -> str:
    path = folder / "ekiden.toml"
    path.write_text(BASE + text)
    with pytest.raises(ConfigErrors) as caught:
        load(str(path))
    (error,) = caught.value.errors
    return f"{error.key}: {error.message}"


def test_good(tmp_path: Path) -> None:
    (tmp_path / "ekiden.toml").write_text(BASE + ISSUER + AUDIENCE + URL)
    oauth = load(str(tmp_path / "ekiden.toml")).oauth
    assert (oauth.audience, oauth.login_claim, oauth.scope) == ("mail", "email", "")


@pytest.mark.parametrize(
    ("text", "start"),
    [
        (AUDIENCE, "oauth.issuer: is missing: audience says nothing without"),
        ('scope = "mail"\n', "oauth.issuer: is missing"),
        (ISSUER + URL, "oauth.audience: is missing"),
        (ISSUER + AUDIENCE, "oauth.jwks_url: or jwks_file must say"),
        (ISSUER + AUDIENCE + URL + 'jwks_file = "keys"\n', "oauth.jwks_url: or jwks_file must say"),
        (ISSUER + AUDIENCE + URL + 'login_claim = ""\n', "oauth.login_claim: must name a claim"),
        (ISSUER + AUDIENCE + URL.replace("https", "http"), 'oauth.jwks_url: "http://login.example.test/jwks" must be'),
        (ISSUER + AUDIENCE + 'jwks_url = "https://"\n', 'oauth.jwks_url: "https://" must be an https URL'),
        (ISSUER + AUDIENCE + 'jwks_url = "https://a:b@c/"\n', 'oauth.jwks_url: "https://a:b@c/" must be'),
        (ISSUER + AUDIENCE + 'jwks_url = "https://a:port/"\n', 'oauth.jwks_url: "https://a:port/" must be'),
        (ISSUER + AUDIENCE + 'jwks_url = "https://a/b c"\n', 'oauth.jwks_url: "https://a/b c" must be'),
    ],
)
def test_faults(tmp_path: Path, text: str, start: str) -> None:
    assert fault(tmp_path, text).startswith(start)


def test_a_file_of_keys_is_tried(tmp_path: Path) -> None:
    path = tmp_path / "ekiden.toml"
    path.write_text(BASE + ISSUER + AUDIENCE + 'jwks_file = "keys.json"\n')

    def stops() -> list[str]:
        found = inspect(load_with_lines(str(path)), ports=False)
        return [f"{error.key}: {error.message}" for weight, error in found if weight is Weight.STOPS]

    assert stops() == [f"oauth.jwks_file: {tmp_path}/keys.json cannot be read: No such file or directory"]
    (tmp_path / "keys.json").write_text("{}")
    assert "is no JSON Web Key Set" in stops()[0]
    key = ECKey.generate_key("P-256").as_dict(private=False)
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [key]}))
    assert stops() == []
