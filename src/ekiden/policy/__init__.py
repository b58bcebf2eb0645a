"""Decisions: facts in, decision out. Pure; no I/O, no waiting. Grade A."""
