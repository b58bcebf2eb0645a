"""The replies of the SMTP server machine, as constants, rendered once at import (RFC 5321 §4.2, RFC 3463, RFC 2034).

Rules
1. Enhanced status codes everywhere but in the greeting, the replies to HELO and EHLO, 354 and 334 (RFC 2034 §4).
2. A refusal says what was expected; no octet of the client is ever repeated to it.

Used by the server machine; sessions may answer with them too.
"""

from __future__ import annotations

from typing import Final

from ekiden.model.reply import Reply

# --- positive ---------------------------------------------------------------------------------------------------
SENDER_OK: Final = Reply(250, "2.1.0", "Sender ok")
RECIPIENT_OK: Final = Reply(250, "2.1.5", "Recipient ok")
CHUNK_OK: Final = Reply(250, "2.0.0", "Chunk received")
RESET: Final = Reply(250, "2.0.0", "Reset")
NOOP: Final = Reply(250, "2.0.0", "Ok")
HELP: Final = Reply(
    214,
    "2.0.0",
    "HELO EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT",
    "STARTTLS and AUTH where the answer to EHLO names them",
)
#: RFC 5321 §3.5.3: the answer of a server that does not verify.
CANNOT_VERIFY: Final = Reply(252, "2.0.0", "Not verified, but mail to it will be tried")
#: RFC 5321 §3.5.3: who is on a list is nobody's business, nor whether it is one.
CANNOT_EXPAND: Final = Reply(252, "2.0.0", "Lists are not shown, but mail to it will be tried")
BYE: Final = Reply(221, "2.0.0", "Bye")
GO_AHEAD: Final = Reply(354, "", "Send the content, end with CRLF.CRLF")
START_TLS: Final = Reply(220, "2.0.0", "Ready to start TLS")

# --- unknown, or not now ----------------------------------------------------------------------------------------
UNKNOWN_COMMAND: Final = Reply(500, "5.5.1", "Unknown command")
GARBAGE: Final = Reply(500, "5.5.2", "Expected a command of letters")
LINE_TOO_LONG: Final = Reply(500, "5.5.2", "Line too long")
#: RFC 4954 §4 gives it its own status.
AUTH_LINE_TOO_LONG: Final = Reply(500, "5.5.6", "Line of the authentication exchange too long")
FETCHED_ELSEWHERE: Final = Reply(500, "5.5.1", "This door is for sending (SMTP); mail is fetched on port 995 (POP3)")
NO_WEB_SERVER: Final = Reply(421, "4.7.0", "This is a mail server, not a web server, closing the connection")
NOT_IMPLEMENTED: Final = Reply(502, "5.5.1", "Command not implemented")
HELLO_FIRST: Final = Reply(503, "5.5.1", "Expected HELO or EHLO first")
MAIL_FIRST: Final = Reply(503, "5.5.1", "Expected MAIL first")
NESTED_MAIL: Final = Reply(503, "5.5.1", "A transaction is under way: expected RCPT, DATA or RSET")
CHUNKS_UNDER_WAY: Final = Reply(503, "5.5.1", "Content is under way: expected BDAT or RSET")
NO_RECIPIENTS: Final = Reply(554, "5.5.1", "No valid recipients")
TOO_MANY_RECIPIENTS: Final = Reply(452, "4.5.3", "Too many recipients: send the rest in another transaction")
TOO_MANY_COMMANDS: Final = Reply(421, "4.7.0", "Too many commands without a letter, closing the connection")
TOO_MANY_ERRORS: Final = Reply(421, "4.7.0", "Too many errors, closing the connection")

# --- syntax -----------------------------------------------------------------------------------------------------
EXPECTED_HELLO_NAME: Final = Reply(501, "5.5.4", "Expected a name of 1 to 255 printable ASCII characters")
EXPECTED_FROM: Final = Reply(501, "5.5.4", "Expected MAIL FROM:<address>")
EXPECTED_TO: Final = Reply(501, "5.5.4", "Expected RCPT TO:<address>")
EXPECTED_BLANK: Final = Reply(501, "5.5.4", "Expected a blank between the path and its parameters")
EXPECTED_NOTHING: Final = Reply(501, "5.5.4", "Expected no argument")
EXPECTED_ARGUMENT: Final = Reply(501, "5.5.4", "Expected an argument")
EXPECTED_CHUNK_SIZE: Final = Reply(501, "5.5.4", "Expected BDAT and a number of octets, then LAST or nothing")
EXPECTED_SENDER_DOMAIN: Final = Reply(501, "5.1.7", "Expected local-part@domain")
NULL_FORWARD_PATH: Final = Reply(501, "5.1.3", "Expected an address: only a reverse-path may be null")
#: RFC 6531 §3.5.
NEEDS_SMTPUTF8: Final = Reply(553, "5.6.7", "An address that is not ASCII needs MAIL with SMTPUTF8")

# --- parameters of MAIL and RCPT --------------------------------------------------------------------------------
UNKNOWN_MAIL_PARAMETER: Final = Reply(
    555, "5.5.4", "Unknown parameter: MAIL takes SIZE, BODY, SMTPUTF8, RET, ENVID, AUTH and MT-PRIORITY"
)
UNKNOWN_RCPT_PARAMETER: Final = Reply(555, "5.5.4", "Unknown parameter: RCPT takes NOTIFY and ORCPT")
BINARY_NOT_OFFERED: Final = Reply(555, "5.5.4", "BINARYMIME is not offered: BODY is 7BIT or 8BITMIME")
REPEATED_PARAMETER: Final = Reply(501, "5.5.4", "Expected each parameter once")
BAD_SIZE: Final = Reply(501, "5.5.4", "Expected SIZE= and a number of octets")
BAD_BODY: Final = Reply(501, "5.5.4", "Expected BODY=7BIT or BODY=8BITMIME")
BAD_SMTPUTF8: Final = Reply(501, "5.5.4", "Expected SMTPUTF8 without a value")
BAD_RET: Final = Reply(501, "5.5.4", "Expected RET=FULL or RET=HDRS")
BAD_ENVID: Final = Reply(501, "5.5.4", "Expected ENVID= and 1 to 100 printable characters as xtext")
BAD_AUTH_PARAMETER: Final = Reply(501, "5.5.4", "Expected AUTH=<> or AUTH= and an address as xtext")
#: RFC 6710 §4.1 gives it this status.
BAD_PRIORITY: Final = Reply(501, "5.5.2", "Expected MT-PRIORITY= and a number from -9 to 9")
BAD_NOTIFY: Final = Reply(501, "5.5.4", "Expected NOTIFY=NEVER or a list of SUCCESS, FAILURE and DELAY, each once")
BAD_ORCPT: Final = Reply(501, "5.5.4", "Expected ORCPT=type;address of at most 500 characters as xtext")

# --- content ----------------------------------------------------------------------------------------------------
TOO_LARGE: Final = Reply(552, "5.3.4", "Letter too large")
#: Bare CR, bare LF or NUL, in commands or content (DESIGN §8, invariants 5 and 8).
BARE_OCTET: Final = Reply(550, "5.5.2", "Bare CR, bare LF and NUL are refused: lines end with CRLF")
#: RFC 2920 §3.1: DATA and AUTH end a group of commands.
SENT_TOO_EARLY: Final = Reply(554, "5.5.0", "Sent before our reply was there, closing the connection")

# --- STARTTLS and AUTH ------------------------------------------------------------------------------------------
TLS_NOT_OFFERED: Final = Reply(502, "5.5.1", "STARTTLS is not offered here")
TLS_ACTIVE: Final = Reply(503, "5.5.1", "TLS is on already: leave STARTTLS out")
TLS_INJECTION: Final = Reply(554, "5.5.1", "Octets behind STARTTLS, closing the connection")
TLS_FIRST: Final = Reply(530, "5.7.0", "Must issue a STARTTLS command first")
#: MAIL where people send: it may be a server that brings mail to the wrong door.
MAIL_NEEDS_TLS: Final = Reply(
    530,
    "5.7.0",
    "Must issue a STARTTLS command first, and then log in",
    "Other mail servers bring mail for our domains to port 25",
)
MAIL_NEEDS_LOGIN: Final = Reply(
    530,
    "5.7.0",
    "Authentication required: this door is for people who send, with their login",
    "Other mail servers bring mail for our domains to port 25",
)
AUTH_NOT_OFFERED: Final = Reply(502, "5.5.1", "AUTH is not offered here")
AUTH_DONE: Final = Reply(503, "5.5.1", "Authenticated already")
AUTH_IN_TRANSACTION: Final = Reply(503, "5.5.1", "No AUTH while a transaction is under way")
EXPECTED_MECHANISM: Final = Reply(501, "5.5.4", "Expected AUTH mechanism, then an initial response or nothing")
BAD_BASE64: Final = Reply(501, "5.5.2", "Expected base64")
AUTH_CANCELLED: Final = Reply(501, "5.7.0", "Authentication cancelled")
