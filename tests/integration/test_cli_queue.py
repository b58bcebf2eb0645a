"""`ekiden queue` and `ekiden trace` as a person runs them, beside a spool of a real server's making."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ekiden.app.clock import SystemClock
from ekiden.app.config_file import load
from ekiden.app.stores import open_spool
from ekiden.cli.options import operator
from ekiden.model.envelope import Envelope, NewLeg, Origin, Recipient
from ekiden.model.ids import render_id
from ekiden.model.outcome import Outcome, OutcomeKind
from ekiden.ports.spool import Record

COMMAND = [sys.executable, "-c", "from ekiden.cli.main import main; main()"]
CONTENT = b"Subject: \x1b[2J hello\r\n\r\nbody \xe9\r\n"


class House:
    """A configuration with a queue of three letters: one refused for now, one fresh, one being tried."""

    def __init__(self, folder):
        self.folder = folder
        self.write_config()
        self.config = load(str(folder / "ekiden.toml"))

    def write_config(self, extra=""):
        (self.folder / "ekiden.toml").write_text(
            f'hostname = "mail.example.test"\ndata_dir = "data"\n{extra}\n[log]\nfile = "log.json"\n'
        )

    async def fill(self):
        self.clock = SystemClock()
        self.spool = open_spool(self.config, self.clock)
        self.delayed = await self.accept("a@example.test", "mx:far.test", "to@far.test", claim=True)
        error = "450 4.2.0 mailbox busy\x1b[2J"
        claim = self.claims[0]
        outcome = Outcome("to@far.test", OutcomeKind.DELAYED, 450, "4.2.0", "mailbox busy", "mx.far.test")
        remaining = [Recipient("to@far.test", last_error=error)]
        assert await self.spool.record(Record(claim, [outcome], remaining, self.clock.now() + 3600))
        self.fresh = await self.accept("b@example.test", "mx:near.test", "to@near.test", claim=False)
        self.tried = await self.accept("", "local", "c@example.test", claim=True)

    async def accept(self, sender, hop, recipient, *, claim):
        draft = self.spool.begin()
        draft.write(CONTENT)
        envelope = Envelope(sender, self.clock.now(), Origin(door="relay", client="192.0.2.1"), len(CONTENT))
        envelope.header_octets = CONTENT.index(b"\r\n\r\n") + 4
        envelope.message_id = f"<{sender or 'null'}>"
        self.claims = await self.spool.accept(draft, envelope, [NewLeg(hop, [Recipient(recipient)])], claim=claim)
        return render_id(draft.letter)

    def run(self, *arguments, status=0, text=True):
        done = subprocess.run([*COMMAND, *arguments], capture_output=True, cwd=self.folder)
        assert done.returncode == status, (done.stdout, done.stderr)
        self.errors = done.stderr.decode()
        return done.stdout.decode() if text else done.stdout

    def listed(self, *options):
        return [letter["letter"] for letter in json.loads(self.run("queue", "list", "--json", *options))]


@pytest.fixture
async def house(tmp_path):
    house = House(tmp_path)
    await house.fill()
    yield house
    await house.spool.close()


async def test_list(house):
    assert house.listed() == [house.delayed, house.fresh, house.tried]
    assert house.listed("--domain", "FAR.test") == [house.delayed]
    assert house.listed("--sender", "<>") == [house.tried]
    assert house.listed("--state", "claimed") == [house.tried]
    assert house.listed("--limit", "1", "--after", house.delayed) == [house.fresh]
    text = house.run("queue", "list", "--limit", "2")
    assert text.splitlines()[0].split() == ["ID", "AGE", "SIZE", "NEXT", "TRY", "FROM", "TO"]
    assert r"450 4.2.0 mailbox busy\x1b[2J" in text
    assert "2 of 3 letters; legs: 1 claimed, 2 waiting" in text
    assert f"more: --after {house.fresh}" in text


async def test_show_and_trace_tell_the_attempt(house):
    for arguments in (["queue", "show", house.delayed], ["trace", house.delayed.upper()], ["trace", "a@example.test"]):
        text = house.run(*arguments)
        assert f"Letter {house.delayed}" in text
        assert "delayed to@far.test: 450 4.2.0 mailbox busy (said mx.far.test)" in text
        assert "next in 59m" in text or "next in 60m" in text
    (story,) = json.loads(house.run("trace", house.delayed, "--json"))
    assert story["trail"][0]["outcomes"][0]["remote"] == "mx.far.test"
    assert json.loads(house.run("queue", "show", house.delayed, "--json")) == story


async def test_content_comes_out_octet_for_octet(house):
    header, empty, _ = CONTENT.partition(b"\r\n\r\n")
    assert house.run("queue", "show", house.fresh, "--content", text=False) == CONTENT
    assert house.run("queue", "show", house.fresh, "--header", text=False) == header + empty
    told = json.loads(house.run("queue", "show", house.fresh, "--content", "--json"))
    assert (base64.b64decode(told["content_base64"]), told["octets"]) == (CONTENT, len(CONTENT))
    told = json.loads(house.run("queue", "show", house.fresh, "--header", "--json"))
    assert base64.b64decode(told["header_base64"]) == header + empty
    house.run("queue", "show", house.fresh, "--header", "--content", status=2)


async def test_a_site_is_suspended_and_resumed(house):
    text = house.run("queue", "suspend", "Near.test", "--for", "2h", "--reason", "they asked")
    assert text.startswith("near.test is suspended until ")
    assert text.endswith(f" (by {operator()}: they asked); 1 leg waits for the domain near.test\n")
    assert "1 site is suspended" in house.run("queue", "list")
    assert "why: a person suspended its site: near.test is suspended until" in house.run("queue", "show", house.fresh)
    story = json.loads(house.run("queue", "show", house.fresh, "--json"))
    assert (story["legs"][0]["state"], story["legs"][0]["why"]) == ("waiting", "suspended")
    assert "they asked" in house.run("queue", "suspensions")
    (told,) = json.loads(house.run("queue", "suspensions", "--json"))
    assert (told["site"], told["by"], told["waiting"]) == ("near.test", operator(), 1)
    assert [one.site for one in await house.spool.suspensions()] == ["near.test"]
    assert json.loads(house.run("queue", "resume", "near.test", "--json"))["waiting"] == 1
    assert house.run("queue", "suspensions") == "no site is suspended\n"
    house.run("queue", "resume", "near.test", status=1)
    assert "is not suspended" in house.errors
    for wrong, says in ((["no site"], "is no site"), (["far.test", "--for", "soon"], "is no duration")):
        house.run("queue", "suspend", *wrong, status=2)
        assert says in house.errors
    events = [json.loads(line) for line in (house.folder / "log.json").read_text().splitlines()]
    assert [(e["event"], e["action"], e["site"], e["by"]) for e in events] == [
        ("site.changed", action, "near.test", operator()) for action in ("suspend", "resume")
    ]


async def test_letters_are_rerouted_and_sent_back(house):
    assert house.run("queue", "reroute", house.fresh, "--to", "SMTP://192.0.2.1") == (
        "1 leg rerouted to smtp://192.0.2.1:25\n"
    )
    assert house.listed("--site", "via:smtp://192.0.2.1:25") == house.listed("--site", "smtp://192.0.2.1")
    assert house.listed("--site", "via:smtp://192.0.2.1:25") == [house.fresh]
    assert "to smtp://192.0.2.1:25 (rerouted): next now" in house.run("queue", "show", house.fresh)
    told = json.loads(house.run("queue", "reroute", "--all", "--to", "lmtp://192.0.2.2", "--json"))
    assert told == {"ok": True, "legs": 2, "to": "lmtp://192.0.2.2:24"}
    assert house.run("queue", "reroute", "--all", "--site", "lmtp://192.0.2.2:24", "--to", "mx") == (
        "2 legs back on the usual way\n"
    )
    assert house.run("queue", "reroute", house.tried, "--to", "mx").startswith("nothing was rerouted")
    for wrong in ("far.test", "smtp://a:b@far.test", "smtp://far.test:0"):
        house.run("queue", "reroute", "--all", "--to", wrong, status=2)
    events = [json.loads(line) for line in (house.folder / "log.json").read_text().splitlines()]
    assert [(e["action"], e["legs"], e["to"]) for e in events] == [
        ("reroute", 1, "smtp://192.0.2.1:25"),
        ("reroute", 2, "lmtp://192.0.2.2:24"),
        ("reroute", 2, "mx"),
    ]


async def test_retry_makes_it_due_for_the_server(house):
    assert house.run("queue", "retry", house.delayed) == "1 leg due now\n"
    due = {render_id(claim.letter) for claim in await house.spool.claim(house.clock.now(), 10)}
    assert due == {house.delayed, house.fresh}


async def test_remove_leaves_who_did_it_in_trail_and_log(house):
    assert house.run("queue", "remove", house.fresh) == f"removed 1 leg of {house.fresh}\n"
    assert house.listed() == [house.delayed, house.tried]
    assert "removed to@near.test: removed by " in house.run("trace", house.fresh)
    event = json.loads((house.folder / "log.json").read_text())
    assert (event["event"], event["action"], event["letter"]) == ("queue.changed", "remove", house.fresh)


async def test_what_is_being_tried_is_not_removed(house):
    house.run("queue", "remove", house.tried, status=1)
    assert "1 leg being tried right now" in house.errors
    assert house.tried in house.listed()


async def test_root_looks_as_the_service_user():
    """Also where that user cannot read the folder that Python is in."""
    if os.geteuid() != 0:
        pytest.skip("only root can act as another user")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        house = House(folder)
        await house.fill()
        await house.spool.close()
        house.write_config('user = "nobody"')
        for path in (folder / "data", *(folder / "data").rglob("*")):
            shutil.chown(path, "nobody")
        assert house.delayed in house.run("queue", "list")
        assert "mailbox busy" in house.run("queue", "show", house.delayed)
        assert "mailbox busy" in house.run("trace", house.delayed)


async def test_an_id_nobody_has(house):
    for arguments in (["queue", "show"], ["queue", "retry"], ["queue", "remove"], ["trace"]):
        house.run(*arguments, "0000000000009", status=1)
        assert "no letter 0000000000009" in house.errors


async def test_filters(house):
    assert house.listed("--site", "FAR.test") == house.listed("--next-hop", "mx:far.test") == [house.delayed]
    assert house.listed("--site", "local") == [house.tried]
    assert house.listed("--error", "MAILBOX busy") == [house.delayed]
    assert house.listed("--older-than", "1h") == house.listed("--newer-than", "0.0s") == []
    assert house.listed("--newer-than", "1h", "--account", "") == [house.delayed, house.fresh, house.tried]
    house.run("queue", "list", "--older-than", "soon", status=2)
    assert '"soon" is no duration' in house.errors


async def test_hold_and_release(house):
    assert house.run("queue", "hold", house.fresh, "--reason", "ask b") == "1 leg held\n"
    assert house.listed("--state", "held") == [house.fresh]
    assert f"held (held by {operator()}: ask b)" in house.run("queue", "show", house.fresh)
    assert [render_id(claim.letter) for claim in await house.spool.claim(house.clock.now() + 9, 10)] == []
    assert house.run("queue", "retry", house.fresh).startswith("nothing was waiting")
    assert json.loads(house.run("queue", "release", "--all", "--domain", "near.test", "--json"))["legs"] == 1
    assert house.run("queue", "release", "--all") == "nothing was held\n"
    assert [render_id(claim.letter) for claim in await house.spool.claim(house.clock.now(), 10)] == [house.fresh]


async def test_bounce_leaves_a_report_in_the_queue(house):
    house.run("queue", "bounce", "--all", "--json", status=1)
    assert "1 leg being tried right now" in house.errors
    reports = json.loads(house.run("queue", "list", "--sender", "<>", "--json"))
    assert [r["legs"][0]["recipients"][0]["forward_path"] for r in reports if r["is_report"]] == [
        "a@example.test",
        "b@example.test",
    ]
    assert f"bounced by {operator()}" in house.run("trace", house.fresh)
    events = [json.loads(line) for line in (house.folder / "log.json").read_text().splitlines()]
    assert [e["event"] for e in events] == ["report.made", "report.made", "queue.changed"]


async def test_shape(house):
    text = house.run("queue", "shape")
    assert text.splitlines()[0].split() == [
        "NEXT",
        "HOP",
        "<5m",
        "<20m",
        "<60m",
        "<4h",
        "<24h",
        "<2d",
        ">2d",
        "TOTAL",
        "STATE",
    ]
    assert text.splitlines()[-1].split() == ["all", "3", ".", ".", ".", ".", ".", ".", "3"]
    assert "2 more" in house.run("queue", "shape", "--limit", "1")
    shape = json.loads(house.run("queue", "shape", "--json"))
    legs = {row["next_hop"]: row["legs"] for row in shape["next_hops"]}
    assert legs == {
        "local": 1,
        "mx:far.test": 1,
        "mx:near.test": 1,
    }


@pytest.mark.parametrize("action", ["hold", "release", "retry", "bounce", "remove"])
async def test_what_changes_letters_names_one_or_says_all(house, action):
    for arguments in ([], [house.fresh, "--all"], ["--domain", "near.test"], [house.fresh, "--domain", "near.test"]):
        house.run("queue", action, *arguments, status=2)
    assert len(house.listed()) == 3
