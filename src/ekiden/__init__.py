"""Ekiden: a complete mail system. Start reading at docs/flow.md, which follows one letter through the code."""
