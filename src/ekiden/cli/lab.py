"""`ekiden demo` and `ekiden bench`: things to watch on this machine alone."""

from __future__ import annotations

import sys

import click


@click.command()
@click.option(
    "--stay/--no-stay",
    default=True,
    help="Keep the servers up until Ctrl-C (default), or end when the letters are read.",
)
def demo(*, stay: bool) -> None:
    """Two servers on this machine, two letters, and the whole way each of them took."""
    from ekiden.lab.demo import run_demo

    sys.exit(run_demo(stay=stay))


@click.command()
@click.option("--letters", default=20_000, show_default=True, help="Letters a run.")
@click.option("--pairs", default=3, show_default=True, help="Runs of each server; the median is shown.")
@click.option("--workers", default=2, show_default=True, help="Ekiden's worker processes.")
@click.option("--folder", default="", help="Where the queues go: a folder on a real disk.")
def bench(letters: int, pairs: int, workers: int, folder: str) -> None:
    """Letters a second on this machine, beside Postfix where it is installed; talks to 127.0.0.1 alone."""
    from ekiden.lab.bench import run_bench

    sys.exit(run_bench(letters=letters, pairs=pairs, workers=workers, folder=folder))
