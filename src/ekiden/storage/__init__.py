"""Engines behind the ports: SQLite, memory, Maildir, password hashes. Grade C. Empty, to start quickly."""
