"""Servers to try things on: the demo, the benchmark, and what tests start. Grade C; talks to this machine only."""
