"""The self-attack finds nothing in a sound server, and everything in one that was broken on purpose."""

from __future__ import annotations

from pathlib import Path

import pytest

from ekiden.app import self_attack
from ekiden.app.config_check import Weight, inspect
from ekiden.app.config_file import load_with_lines
from ekiden.app.self_attack import Viewpoint, attack, behind_proxies, strangers
from ekiden.config.model import Config, Domain, DoorRules, Doors, Relay, Route, Tls, WideNetwork
from ekiden.model.decision import Decision, Verdict
from ekiden.model.door import Door
from ekiden.policy import relay as relay_policy
from ekiden.policy.relay_attempts import attempts
from ekiden.policy.trusted import Neighbourhood, TrustedNetworks
from ekiden.session import smtp
from ekiden.session.rehearsal import NoAnswer, Play

GATEWAY = "10.1.0.1"
HOME = Neighbourhood(frozenset({GATEWAY, "fd00::1"}))
ACCOUNTS = Domain(name="example.test")
KINDS = (
    ACCOUNTS,
    Domain(name="any.test", recipients="any"),
    Domain(name="listed.test", recipients="list:names"),
    Domain(name="called.test", recipients="callahead"),
    Domain(name="münchen.test", recipients="any"),
)


def config(*domains: Domain, trusted: tuple[str | WideNetwork, ...] = (), **more: object) -> Config:
    given: dict[str, object] = {
        "hostname": "mail.example.test",
        "data_dir": "/nowhere",
        "tls": Tls(certificate="c.pem", private_key="k.pem"),
        "domain": domains or KINDS,
        "relay": Relay(trusted_networks=trusted),
        "route": (
            Route(match="any.test", to=("smtp://next.test:25",)),
            Route(match="called.test", to=("smtp://next.test:25",)),
            Route(match="*", to=("smtp://smarthost.test:587",)),
        ),
    }
    return Config(**(given | more))


def test_there_are_enough_attempts() -> None:
    tried = attempts("example.test", "mail.example.test", "[192.0.2.25]")
    assert len(tried) >= 30
    assert len(set(tried)) == len(tried)


@pytest.mark.parametrize(
    "sound",
    [
        config(),
        config(route=()),
        config(trusted=("10.1.0.0/16", "2001:db8::/48", "192.0.2.77", "203.0.113.0/24")),
        config(trusted=(GATEWAY, WideNetwork(net="10.0.0.0/8", wide=True))),
        config(trusted=(WideNetwork(net="0.0.0.0/0", wide=True),)),  # told by `config check`, and meant
        config(tls=Tls()),
        config(domain=(), route=()),
    ],
)
def test_a_sound_server_withstands(sound: Config) -> None:
    assert attack(sound, HOME) == []


def test_strangers_are_in_no_network_that_is_trusted() -> None:
    assert strangers(config(), HOME) == ["203.0.113.77", "2001:db8:77::77", "::ffff:203.0.113.77", GATEWAY, "fd00::1"]
    trusted = (
        "203.0.113.0/24",
        "::ffff:198.51.100.77/128",
        "2001:db8::/48",
        "198.51.100.77",
        "2001:db8:77::/48",
        GATEWAY,
    )
    assert strangers(config(trusted=trusted), HOME) == ["192.0.2.77", "2620:fe::77", "::ffff:192.0.2.77", "fd00::1"]
    everybody = (WideNetwork(net="0.0.0.0/0", wide=True), WideNetwork(net="::/0", wide=True))
    assert strangers(config(trusted=everybody), Neighbourhood()) == []


def test_a_rule_that_takes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    yes = Decision(Verdict.ACCEPT, "own-domain-any", "a lie")
    monkeypatch.setattr(smtp, "decide_recipient", lambda facts: yes)
    found = attack(config(ACCOUNTS), HOME)
    assert {(breach.door, breach.viewpoint.client) for breach in found} >= {
        (Door.RELAY, "203.0.113.77"),
        (Door.RELAY, "2001:db8:77::77"),
        (Door.RELAY, "::ffff:203.0.113.77"),
    }
    assert found[0].key == ("domain", 0, "recipients")
    assert str(found[0]) == (
        "would make an open relay: a stranger from 203.0.113.77 at the door relay says EHLO client.relay-test.invalid, "
        "MAIL FROM:<stranger@relay-test.invalid>, RCPT TO:<victim@relay-test.invalid>, and the letter would go to "
        "route:* (rule own-domain-any)"
    )


def test_networks_that_hold_everybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrustedNetworks, "__contains__", lambda networks, address: True)
    found = attack(config(trusted=("10.1.0.0/16",)), HOME)
    assert {breach.rule for breach in found} == {"trusted-network"}
    by_client = {breach.viewpoint.client: breach.key for breach in found}
    assert by_client["203.0.113.77"] == ("relay",)
    assert by_client[GATEWAY] == ("relay", "trusted_networks", 0)


def test_a_gateway_that_is_trusted_through_a_range(monkeypatch: pytest.MonkeyPatch) -> None:
    forgets = TrustedNetworks.__init__
    monkeypatch.setattr(TrustedNetworks, "__init__", lambda self, entries, gateways, proxies: forgets(self, entries))
    found = attack(config(trusted=("192.0.2.1", "10.1.0.0/16")), HOME)
    assert {(breach.viewpoint.client, breach.key) for breach in found} == {(GATEWAY, ("relay", "trusted_networks", 1))}


def test_through_each_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    doors = Doors(relay=DoorRules(proxies=("10.2.0.0/24", "2001:db8:5::1")))
    behind = config(ACCOUNTS, trusted=("10.2.0.0/16", "2001:db8:5::/48"), doors=doors)
    clients = strangers(behind, Neighbourhood())
    seen = list(behind_proxies(behind, Door.RELAY, clients))
    assert seen[:2] == [Viewpoint("10.2.0.1", "10.2.0.1"), Viewpoint("203.0.113.77", "10.2.0.1")]
    assert [view.proxy for view in seen if view.client == view.proxy] == ["10.2.0.1", "2001:db8:5::1"]
    assert len(seen) == 8
    assert list(behind_proxies(behind, Door.SUBMISSION, clients)) == []
    assert attack(behind, Neighbourhood()) == []
    forgets = TrustedNetworks.__init__
    monkeypatch.setattr(TrustedNetworks, "__init__", lambda self, entries, *_: forgets(self, entries))
    found = attack(behind, Neighbourhood())
    assert {breach.key for breach in found} == {("relay", "trusted_networks", 0), ("relay", "trusted_networks", 1)}
    assert "a stranger by the proxy 10.2.0.1, which does not name him, at the door relay" in str(found[0])


def test_the_percent_hack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_policy, "_ROUTING_CHARACTERS", frozenset())
    found = attack(config(ACCOUNTS, Domain(name="any.test", recipients="any")), HOME)
    assert {breach.key for breach in found} == {("domain", 1, "recipients")}
    assert "%relay-test.invalid@any.test" in found[0].attempt.forward_path


def test_a_door_for_people_that_asks_for_no_login_is_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    from ekiden.model import door

    table = {key: facts._replace(login=False) for key, facts in door.DOORS.items()}
    monkeypatch.setattr("ekiden.session.doorway.DOORS", table)
    monkeypatch.setattr(smtp, "decide_recipient", lambda facts: Decision(Verdict.ACCEPT, "login", "a lie"))
    with pytest.raises(NoAnswer, match="MailFrom"):  # its sessions need a login, and meet a fault without
        attack(config(), HOME)


TEXT = """hostname = "mail.example.test"
data_dir = "data"
[[domain]]
name = "example.test"
"""


def test_the_check_of_a_configuration_refuses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ekiden.toml").write_text(TEXT)
    loaded = load_with_lines(str(tmp_path / "ekiden.toml"))
    assert [f for f in inspect(loaded, ports=False, neighbourhood=HOME) if f.weight is Weight.STOPS] == []
    monkeypatch.setattr(relay_policy, "RELAY_DENIED", None)
    yes = Decision(Verdict.ACCEPT, "own-domain-any", "a lie")
    monkeypatch.setattr(smtp, "decide_recipient", lambda facts: yes)
    stops = [f.error for f in inspect(loaded, ports=False, neighbourhood=HOME) if f.weight is Weight.STOPS]
    assert (stops[0].key, stops[0].line) == ("domain[1].recipients", 3)
    assert stops[0].message.startswith("would make an open relay: a stranger from 203.0.113.77 at the door relay says ")


def test_a_session_that_cannot_be_attacked_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ekiden.toml").write_text(TEXT)
    loaded = load_with_lines(str(tmp_path / "ekiden.toml"))

    def broken(facts: object) -> Decision:
        raise ZeroDivisionError("a fault")

    monkeypatch.setattr(smtp, "decide_recipient", broken)
    stops = [f.error for f in inspect(loaded, ports=False, neighbourhood=HOME) if f.weight is Weight.STOPS]
    assert [(stop.key, "ZeroDivisionError" in stop.message) for stop in stops] == [("relay", True)]


def test_nothing_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each play is ended, whatever it came to."""
    ended = []
    monkeypatch.setattr(Play, "end", lambda play: ended.append(play))
    begun = []
    begin = Play.begin
    monkeypatch.setattr(Play, "begin", lambda play: begun.append(play) or begin(play))
    self_attack.attack(config(ACCOUNTS), Neighbourhood())
    assert len(ended) == len(begun) > 100
