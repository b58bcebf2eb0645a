"""SASL, server side, as pure step machines (RFC 4422): PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-256-PLUS,
OAUTHBEARER and XOAUTH2.

    exchange = mechanism("PLAIN")          # None: not a mechanism of ours
    exchange.step(initial)                 # octets, or None if the client sent no initial response
        -> Challenge(data)                 # send it, feed the answer to `step`
        -> Credentials(authzid, login, password)   # ask `accounts.login.Authenticator`
        -> ScramLookup(login)              # find what is stored for it, give it to `Scram.offer`
        -> BearerToken(login, token)       # ask who knows the issuer; `Bearer.failure` if it is wrong
        -> ScramResult(matched, final)     # which of the stored keys the client has proven, None: none of them
        -> SaslFault(reason, malformed)    # refuse; the exchange is over

Rules
1. SMTP (RFC 4954) and POP3 (RFC 5034) sessions use the same machines; base64 and `*` (cancel) are theirs.
2. Nothing here says whether a login exists: a fault depends on the client's octets alone.
3. An authorization identity must be empty or name the login itself: nobody acts for somebody else here.
4. Passwords and tokens appear in no `repr`, so that no traceback or log line can show one.

`accounts.exchange` drives them for both protocols. Never decides whether credentials are right.
"""

from ekiden.proto.sasl.bearer import Bearer
from ekiden.proto.sasl.mechanisms import PASSWORD_MECHANISMS, TOKEN_MECHANISMS, mechanism, offered
from ekiden.proto.sasl.prepare import prepare
from ekiden.proto.sasl.scram import Scram, ScramKeys
from ekiden.proto.sasl.steps import (
    MAX_LOGIN_OCTETS,
    MAX_PASSWORD_OCTETS,
    BearerToken,
    Challenge,
    Credentials,
    Exchange,
    SaslFault,
    ScramLookup,
    ScramResult,
    Step,
)

__all__ = [
    "MAX_LOGIN_OCTETS",
    "MAX_PASSWORD_OCTETS",
    "PASSWORD_MECHANISMS",
    "TOKEN_MECHANISMS",
    "Bearer",
    "BearerToken",
    "Challenge",
    "Credentials",
    "Exchange",
    "SaslFault",
    "Scram",
    "ScramKeys",
    "ScramLookup",
    "ScramResult",
    "Step",
    "mechanism",
    "offered",
    "prepare",
]
