"""The composition root: configuration file, stores, supervisor, worker. Grade C. Empty, to start quickly."""
