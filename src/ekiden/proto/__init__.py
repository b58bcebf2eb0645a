"""Bytes to events and replies to bytes, without I/O: SMTP server and client, LMTP, POP3, SASL. Grade A."""
