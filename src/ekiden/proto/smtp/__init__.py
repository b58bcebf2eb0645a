"""SMTP (RFC 5321) without I/O: the server's machine, the client's machine, and the words they share."""
