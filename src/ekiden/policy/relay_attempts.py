"""How strangers try to relay: the ways that are known, as commands. Pure data, for the self-attack and for tests.

Rules
1. Each attempt is a whole transaction up to RCPT. Whether it was a success is not for this module to say: only what
   would leave the house counts (`app.self_attack`).
2. `TARGET` is nobody's (RFC 2606 §2: .invalid), the literals are documentation addresses: should one of these letters
   ever leave, it reaches nobody.

Called by `app.self_attack`, at every start and reload, and by the relay battery of the tests.
"""

from __future__ import annotations

from typing import Final, NamedTuple

TARGET: Final = "relay-test.invalid"
VICTIM: Final = "victim"
STRANGER: Final = f"stranger@{TARGET}"
#: Letters of other scripts that look like ours.
_LOOK_ALIKES: Final = str.maketrans("aceiopsxy", "асеіорѕху")


class Attempt(NamedTuple):
    """`forward_path`: as written behind RCPT TO:, brackets included. `before`: commands that come first. `parameters`:
    of MAIL, beside SMTPUTF8."""

    forward_path: str
    reverse_path: str = STRANGER
    helo: str = "client.relay-test.invalid"
    before: tuple[str, ...] = ()
    parameters: str = ""

    def __str__(self) -> str:
        said = "".join(f"{line}, " for line in self.before)
        return f"{said}EHLO {self.helo}, MAIL FROM:<{self.reverse_path}>{self.parameters}, RCPT TO:{self.forward_path}"


def spellings(own: str, hostname: str, literal: str) -> list[str]:
    """Forward-paths that mean the victim, or could. `own`: a domain of ours. `literal`: our address, as `[192.0.2.1]`
    or `[IPv6:…]`."""
    wide = TARGET.translate({ord(c): ord(c) + 0xFEE0 for c in "abcdefghijklmnopqrstuvwxyz"})
    return [
        f"<{VICTIM}@{TARGET}>",
        f"<{VICTIM.upper()}@{TARGET.upper()}>",
        f"<{VICTIM}@{TARGET}.>",
        f"<postmaster@{TARGET}>",
        f"<abuse@{TARGET}>",
        # percent hack
        f"<{VICTIM}%{TARGET}@{own}>",
        f"<{VICTIM}%{TARGET}@{own}.>",
        f"<{VICTIM}%{TARGET}@{hostname}>",
        f"<{VICTIM}%{TARGET}@{literal}>",
        f"<{VICTIM}%{TARGET}%{own}@{own}>",
        f"<{VICTIM}%{TARGET}>",
        f'<"{VICTIM}%{TARGET}"@{own}>',
        f'<"{VICTIM}%{TARGET}">',
        # bang paths
        f"<{TARGET}!{VICTIM}@{own}>",
        f"<{own}!{TARGET}!{VICTIM}@{own}>",
        f"<{TARGET}!{VICTIM}@{literal}>",
        f"<{TARGET}!{VICTIM}>",
        f'<"{TARGET}!{VICTIM}"@{own}>',
        # quoted, escaped and doubled @
        f'<"{VICTIM}@{TARGET}"@{own}>',
        f'<"{VICTIM}@{TARGET}"@{literal}>',
        f'<"{VICTIM}\\@{TARGET}"@{own}>',
        f'<"{VICTIM}@{TARGET}">',
        f"<{VICTIM}\\@{TARGET}@{own}>",
        f"<{VICTIM}@{TARGET}@{own}>",
        f"<{VICTIM}@{own}@{TARGET}>",
        # source routes
        f"<@{own}:{VICTIM}@{TARGET}>",
        f"<@{own},@{hostname}:{VICTIM}@{TARGET}>",
        f"<@{TARGET}:{VICTIM}%{TARGET}@{own}>",
        f"<@{literal}:{VICTIM}@{TARGET}>",
        # address literals
        f"<{VICTIM}@[198.51.100.99]>",
        f"<{VICTIM}@[IPv6:2001:db8::99]>",
        f"<{VICTIM}@[IPv6:::ffff:198.51.100.99]>",
        # names that have ours in them, or look like it
        f"<{VICTIM}@{own}.{TARGET}>",
        f"<{VICTIM}@not-{own}>",
        f"<{VICTIM}@not.{own}>",
        f"<{VICTIM}@{own.translate(_LOOK_ALIKES)}>",
        f"<{VICTIM}@{wide}>",
        f"<{VICTIM}@{TARGET.replace('.', '。')}>",
        f"<{VICTIM}@{TARGET}\u200b>",
        # two in one, and no brackets
        f"<{VICTIM}@{own},{VICTIM}@{TARGET}>",
        f"<{VICTIM}@{own}> <{VICTIM}@{TARGET}>",
        f"<{VICTIM}@{own}>,<{VICTIM}@{TARGET}>",
        f"{VICTIM}@{TARGET}",
        f"{VICTIM}@{TARGET} ORCPT=rfc822;{VICTIM}@{own}",
    ]


def attempts(own: str, hostname: str, literal: str) -> list[Attempt]:
    """All of them; more than thirty. Arguments as of `spellings`."""
    plain = f"<{VICTIM}@{TARGET}>"
    senders = ["", f"postmaster@{own}", f"{VICTIM}@{own}", f"@{own}:{STRANGER}", f"root@{hostname}", f"x@{literal}"]
    claims = [
        ("PROXY TCP4 127.0.0.1 127.0.0.1 1 25",),
        ("PROXY TCP6 ::1 ::1 1 25",),
        ("XCLIENT ADDR=127.0.0.1 LOGIN=root",),
        (f"EHLO {hostname}", "XFORWARD ADDR=127.0.0.1"),
        (f"EHLO {hostname}", "AUTH EXTERNAL ="),
        (f"HELO {own}", "RSET"),
    ]
    return [
        *(Attempt(path) for path in spellings(own, hostname, literal)),
        *(Attempt(plain, sender) for sender in senders),
        *(Attempt(plain, helo=helo) for helo in (hostname, own, "localhost", "[127.0.0.1]", literal)),
        *(Attempt(plain, before=before) for before in claims),
        Attempt(plain, f"{VICTIM}@{own}", parameters=f" AUTH={VICTIM}+40{own}"),
        Attempt(plain, "", parameters=" AUTH=<>"),
    ]
