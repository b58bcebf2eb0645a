"""POP3, server side: bytes <-> events, without I/O (RFC 1939, 2449, 2595, 3206, 5034, 6856)."""
