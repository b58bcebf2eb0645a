"""The queue and the directory in SQLite."""
