"""Causes: judged by what the other side said, and told in the words that the page uses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ekiden.admin import causes
from ekiden.admin.causes import CAUSES, CROWDED, DNS, FULL, LIMITS, LOGIN, OURS, REFUSED, SILENT, TLS, judge

PAGE = Path(__file__).parents[3] / "docs" / "queue.md"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ("451 4.7.1 greylisted, come again", REFUSED),
        ("450 4.2.0 busy", REFUSED),
        ("452 4.3.1 insufficient system storage", REFUSED),
        ("451 4.3.0 their mail system has an internal error", REFUSED),
        ("421 too busy", REFUSED),
        ("452 4.2.2 over quota", FULL),
        ("451 4.4.1 mx.far.test (192.0.2.1:25): 421 4.4.1 192.0.2.1:25: Connection refused", SILENT),
        ("451 4.4.2 the server closed the connection", SILENT),
        ("451 4.4.3 127.0.0.1: SERVFAIL", DNS),
        ("451 4.7.4 a (b): 451 4.7.4 TLS is required, but the server does not offer STARTTLS", TLS),
        ("451 4.7.5 a (b): 421 4.7.5 certificate has expired", TLS),
        ("451 4.7.1 a (b): 454 4.7.1 not now (at starttls)", TLS),
        ("451 4.7.8 a (b): 454 4.7.8 535 5.7.8 wrong password (at auth)", LOGIN),
        ("451 4.7.5 a (b): 454 4.7.5 our login is not sent to a server that has not proven its name", LOGIN),
        ("451 4.7.4 a (b): 454 4.7.4 the server offers neither AUTH PLAIN nor AUTH LOGIN", LOGIN),
        ("451 4.3.5 the password of the route out could not be read", LOGIN),
        ("451 4.4.5 their system is congested", REFUSED),
        ("451 4.4.5 its 10 letters a minute are used up", LIMITS),
        ("451 4.4.5 all connections that the site may have are in use by other workers", LIMITS),
        ("451 4.4.5 many letters for the same place are before it", LIMITS),
        ("451 4.4.5 all connections that this server can have are in use, by other sites", CROWDED),
        ("451 4.3.0 internal fault, incident 0a1b", OURS),
        ("451 4.3.5 source of [delivery]: this machine cannot send from 192.0.2.7: no", OURS),
        ("451 4.2.0 the mailbox could not take the message now", OURS),
        ("451 4.4.1 this network blocks port 25: connections over IPv4 are silently dropped", causes.BLOCKED),
    ],
)
def test_an_answer_is_judged(error, cause):
    assert judge(error) is cause


def test_the_page_has_all_causes_in_their_words_and_no_others():
    section = PAGE.read_text().partition("\n## The ten usual causes\n")[2].partition("\n## ")[0]
    parts = re.split(r"\n### \d+\. ", section)[1:]
    assert len(parts) == len(CAUSES) == 10
    for part, cause in zip(parts, CAUSES, strict=True):
        heading, _, text = part.partition("\n")
        assert heading.lower() == cause.title.lower()
        assert f"Next: {cause.step}" in " ".join(text.split())
    others = PAGE.read_text().partition("\n## Four more\n")[2]
    for cause in (causes.BLOCKED, CROWDED, causes.TURN, OURS):
        assert f"**{cause.title[0].upper()}{cause.title[1:]}**" in others
        assert cause.step in " ".join(others.split())
