"""Mailboxes as Maildirs on disk: `ports.mailboxes` for one machine. The page is in `store`."""
