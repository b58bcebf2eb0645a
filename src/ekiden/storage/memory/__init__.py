"""The queue, the directory and mailboxes in memory: for tests, and the plainest statement of the contracts."""
