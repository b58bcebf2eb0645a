"""Engines for the processes of one machine, over what its kernel keeps: locks of open files, small records."""
