"""Accounts, logins, verifiers and the rules of the address book. Grade B: awaits ports only."""
