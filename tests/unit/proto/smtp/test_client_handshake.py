"""From the greeting to Ready, and every way not to get there."""

from __future__ import annotations

from base64 import b64encode

import pytest

from ekiden.ports.wire import TlsMode
from ekiden.proto.smtp.client_events import (
    ClientSettings,
    Phase,
    Ready,
    SessionEnded,
    SessionRefused,
    StartTlsWanted,
)
from ekiden.proto.smtp.faults import LocalProtocolError
from ekiden.proto.smtp.timeouts import Wait
from tests.fakes.smtp_talk import Talk, ehlo

PLAIN = b64encode(b"\0u\0secret")
VERIFY = TlsMode(required=True, verify=True, name="mx.test")


def refused(talk: Talk) -> tuple[int, str, Phase]:
    event = talk.only(SessionRefused)
    return event.reply.code, event.reply.status, event.phase


def test_ready_after_ehlo():
    talk = Talk()
    assert talk.client.deadline_kind is Wait.GREETING
    assert talk.said() == b""
    talk.server(b"220-welcome\r\n220 to us\r\n")
    assert talk.said() == b"EHLO me.test\r\n"
    assert talk.client.deadline_kind is Wait.HELLO
    assert not talk.client.can_send
    talk.server(ehlo("SIZE 1000", "PIPELINING"))
    assert talk.events == [Ready({"SIZE": "1000", "PIPELINING": ""}, "mx.test")]
    assert talk.client.can_send
    assert talk.client.deadline_kind is None


@pytest.mark.parametrize("code", [500, 502, 504, 550, 554])
def test_helo_when_ehlo_is_refused_for_good(code):
    talk = Talk()
    talk.server(b"220 x\r\n", b"%d no\r\n" % code)
    assert talk.said().endswith(b"HELO me.test\r\n")
    talk.server(b"250-old.test\r\n250 SIZE 5\r\n")
    assert talk.only(Ready) == Ready({}, "old.test")


@pytest.mark.parametrize("code", [421, 450, 452])
def test_no_helo_when_ehlo_is_refused_for_now(code):
    talk = Talk()
    talk.server(b"220 x\r\n", b"%d 4.3.2 later\r\n" % code)
    assert talk.said() == b"EHLO me.test\r\n"
    assert refused(talk) == (code, "4.3.2", Phase.HELLO)


def test_helo_refused_as_well():
    talk = Talk()
    talk.server(b"220 x\r\n", b"500 no\r\n", b"550 go away\r\n")
    assert refused(talk) == (550, "", Phase.HELLO)


def test_lmtp_has_no_older_form():
    talk = Talk(lmtp=True)
    talk.server(b"220 x\r\n")
    assert talk.said() == b"LHLO me.test\r\n"
    talk.server(b"500 what\r\n")
    assert refused(talk) == (500, "", Phase.HELLO)


def test_a_refusing_greeting_then_quit():
    talk = Talk()
    talk.server(b"554 5.7.1 you are listed\r\n")
    assert refused(talk) == (554, "5.7.1", Phase.GREETING)
    assert talk.said() == b""
    assert not talk.client.is_closed
    talk.client.quit()
    assert talk.said() == b"QUIT\r\n"
    assert talk.client.deadline_kind is Wait.QUIT
    talk.server(b"221 bye\r\n")
    talk.only(SessionEnded)
    assert talk.client.is_closed


def test_421_as_greeting_closes():
    talk = Talk()
    talk.server(b"421 4.3.2 too busy\r\n")
    assert refused(talk) == (421, "4.3.2", Phase.GREETING)
    assert talk.client.is_closed
    talk.client.quit()
    assert talk.said() == b""


@pytest.mark.parametrize("octets", [b"SSH-2.0-x\r\n", b"354 what\r\n", b"+OK pop\r\n"])
def test_noise_instead_of_a_greeting(octets):
    talk = Talk()
    talk.server(octets)
    assert refused(talk) == (451, "4.5.0", Phase.GARBAGE)
    assert talk.client.is_closed


# --- STARTTLS ---------------------------------------------------------------------------------------------------------


def test_starttls_when_offered_and_all_is_learned_anew():
    talk = Talk(TlsMode())
    talk.greet("STARTTLS", "SIZE 1", "AUTH PLAIN")
    assert talk.client.deadline_kind is Wait.STARTTLS
    talk.server(b"220 go\r\n")
    talk.only(StartTlsWanted)
    assert talk.client.deadline_kind is Wait.HANDSHAKE
    assert talk.said() == b""
    talk.client.tls_started(verified=False)
    assert talk.said() == b"EHLO me.test\r\n"
    talk.server(ehlo("STARTTLS", "PIPELINING"))
    assert talk.only(Ready).extensions == {"STARTTLS": "", "PIPELINING": ""}
    assert talk.said() == b""


def test_no_starttls_when_not_allowed():
    talk = Talk(TlsMode(allowed=False)).greet("STARTTLS")
    talk.only(Ready)


@pytest.mark.parametrize("behind", [b"250 injected\r\n", b"25", b"\n"])
def test_octets_behind_the_220(behind):
    talk = Talk(TlsMode())
    talk.greet("STARTTLS")
    talk.server(b"220 go\r\n" + behind)
    assert refused(talk) == (451, "4.7.5", Phase.STARTTLS)
    assert not talk.all(StartTlsWanted)
    assert talk.client.is_closed


def test_octets_in_clear_after_the_220():
    talk = Talk(TlsMode())
    talk.greet("STARTTLS")
    talk.server(b"220 go\r\n", b"250 injected\r\n")
    assert refused(talk)[2] is Phase.STARTTLS
    assert talk.client.is_closed


def test_part_of_a_line_in_clear_after_the_220():
    talk = Talk(TlsMode())
    talk.greet("STARTTLS")
    talk.server(b"220 go\r\n", b"250 inj")
    talk.client.tls_started(verified=True)
    talk.collect()
    assert refused(talk)[2] is Phase.STARTTLS
    assert talk.said() == b""


@pytest.mark.parametrize("tls", [TlsMode(required=True), VERIFY, TlsMode(required=True, allowed=False)])
def test_required_but_not_offered_is_temporary(tls):
    talk = Talk(tls).greet("PIPELINING")
    assert refused(talk) == (451, "4.7.4", Phase.STARTTLS)


def test_required_after_helo():
    talk = Talk(TlsMode(required=True))
    talk.server(b"220 x\r\n", b"502 no\r\n", b"250 old.test\r\n")
    assert refused(talk) == (451, "4.7.4", Phase.STARTTLS)


@pytest.mark.parametrize("answer", [b"454 4.7.0 no certificate\r\n", b"502 5.5.1 what\r\n"])
def test_starttls_refused(answer):
    talk = Talk(TlsMode()).greet("STARTTLS", "SIZE")
    talk.server(answer)
    assert talk.only(Ready).extensions == {"STARTTLS": "", "SIZE": ""}
    talk = Talk(TlsMode(required=True)).greet("STARTTLS")
    talk.server(answer)
    assert refused(talk) == (451, "4.7.4", Phase.STARTTLS)


def test_421_to_starttls():
    talk = Talk(TlsMode()).greet("STARTTLS")
    talk.server(b"421 4.3.2 bye\r\n")
    assert refused(talk) == (421, "4.3.2", Phase.STARTTLS)


def test_an_unproven_name_where_it_must_be_proven():
    talk = Talk(VERIFY).greet("STARTTLS")
    talk.server(b"220 go\r\n")
    talk.client.tls_started(verified=False)
    talk.collect()
    assert refused(talk) == (451, "4.7.5", Phase.STARTTLS)
    assert talk.said() == b""
    talk = Talk(TlsMode(implicit=True, verify=True), tls_active=True)
    talk.server(b"220 x\r\n")
    assert refused(talk) == (451, "4.7.5", Phase.STARTTLS)


def test_implicit_tls_that_is_not_there():
    talk = Talk(TlsMode(implicit=True), tls_active=False).greet()
    assert refused(talk)[2] is Phase.STARTTLS


def test_quit_during_the_tls_handshake_writes_nothing():
    talk = Talk(TlsMode()).greet("STARTTLS")
    talk.server(b"220 go\r\n")
    talk.client.quit()
    assert talk.said() == b""
    talk.only(SessionEnded)
    talk.client.tls_started(verified=True)
    assert talk.said() == b""


def test_tls_that_nobody_asked_for_is_our_bug():
    with pytest.raises(LocalProtocolError):
        Talk().client.tls_started(verified=True)
    with pytest.raises(LocalProtocolError):
        Talk().client.connected()


# --- AUTH -------------------------------------------------------------------------------------------------------------


def login(**more) -> Talk:
    more = {"tls_active": True, "verified": True, "username": "u", "password": "secret"} | more
    return Talk(TlsMode(implicit=True), **more)


def test_plain_is_the_first_choice():
    talk = login()
    talk.server(b"220 x\r\n", ehlo("AUTH LOGIN PLAIN"))
    assert talk.said().endswith(b"AUTH PLAIN " + PLAIN + b"\r\n")
    assert talk.client.deadline_kind is Wait.AUTH
    assert not talk.client.can_send
    talk.server(b"235 2.7.0 welcome\r\n")
    talk.only(Ready)


def test_plain_when_the_initial_response_was_overlooked():
    talk = login().greet("AUTH PLAIN")
    talk.server(b"334 \r\n")
    assert talk.said() == PLAIN + b"\r\n"
    talk.server(b"235 welcome\r\n")
    talk.only(Ready)


def test_login_else():
    talk = login()
    talk.server(b"220 x\r\n", ehlo("AUTH CRAM-MD5 LOGIN"))
    assert talk.said().endswith(b"AUTH LOGIN\r\n")
    talk.server(b"334 VXNlcm5hbWU6\r\n")
    assert talk.said() == b64encode(b"u") + b"\r\n"
    talk.server(b"334 UGFzc3dvcmQ6\r\n")
    assert talk.said() == b64encode(b"secret") + b"\r\n"
    talk.server(b"235 welcome\r\n")
    talk.only(Ready)


@pytest.mark.parametrize(
    "answers",
    [
        (b"535 5.7.8 no\r\n",),
        (b"454 4.7.0 later\r\n",),
    ],
)
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_a_refused_login_is_temporary(mechanism, answers):
    talk = login().greet(f"AUTH {mechanism}")
    talk.server(*answers)
    assert refused(talk) == (454, "4.7.8", Phase.AUTH)
    assert "secret" not in str(talk.only(SessionRefused).reply)


def test_a_password_refused_after_the_user_name():
    talk = login().greet("AUTH LOGIN")
    talk.server(b"334 x\r\n", b"334 y\r\n", b"535 no\r\n")
    assert refused(talk) == (454, "4.7.8", Phase.AUTH)


@pytest.mark.parametrize("answers", [(b"250 ok\r\n",), (b"334 \r\n", b"334 again\r\n")])
def test_an_answer_to_auth_that_makes_no_sense(answers):
    talk = login().greet("AUTH PLAIN")
    talk.server(*answers)
    assert refused(talk)[2] is Phase.GARBAGE


def test_no_mechanism_in_common():
    talk = login().greet("AUTH GSSAPI")
    assert refused(talk) == (454, "4.7.4", Phase.AUTH)
    assert refused(login().greet())[2] is Phase.AUTH


@pytest.mark.parametrize("allow", [True, False])
def test_never_in_clear(allow):
    talk = Talk(username="u", password="secret", allow_unverified_login=allow)
    talk.server(b"220 x\r\n", ehlo("AUTH PLAIN LOGIN"))
    assert talk.said() == b"EHLO me.test\r\n"
    assert refused(talk) == (454, "4.7.11", Phase.AUTH)


def test_never_in_clear_when_starttls_was_refused():
    talk = Talk(TlsMode(), username="u", password="secret").greet("STARTTLS", "AUTH PLAIN")
    talk.server(b"454 no\r\n")
    assert talk.said() == b""
    assert refused(talk) == (454, "4.7.11", Phase.AUTH)


def test_never_to_an_unproven_name_unless_allowed():
    talk = login(verified=False).greet("AUTH PLAIN")
    assert refused(talk) == (454, "4.7.5", Phase.AUTH)
    talk = login(verified=False, allow_unverified_login=True)
    talk.server(b"220 x\r\n", ehlo("AUTH PLAIN"))
    assert PLAIN in talk.said()


def test_what_was_offered_in_clear_is_forgotten_for_auth():
    talk = Talk(TlsMode(), username="u", password="secret").greet("STARTTLS", "AUTH PLAIN")
    talk.server(b"220 go\r\n")
    talk.client.tls_started(verified=True)
    talk.server(ehlo("SIZE"))
    assert refused(talk) == (454, "4.7.4", Phase.AUTH)


def test_the_password_does_not_show():
    assert "secret" not in repr(ClientSettings("me.test", username="u", password="secret"))
