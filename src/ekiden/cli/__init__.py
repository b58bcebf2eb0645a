"""The commands: a face of `admin` and `app`. Grade C. Empty, to start quickly."""
