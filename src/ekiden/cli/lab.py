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
@click.option("--letters", default=0, help="Letters a run; 0: as many as --seconds take.  [default: 0]")
@click.option("--seconds", default=5.0, show_default=True, help="About how long a run takes.")
@click.option("--pairs", default=3, show_default=True, help="Runs of Ekiden and Postfix; the others run once.")
@click.option("--minutes", default=14.0, show_default=True, help="After these no further pair begins.")
@click.option("--workers", default=2, show_default=True, help="Ekiden's worker processes.")
@click.option("--folder", default="", help="Where the queues go: a folder on a real disk.")
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    type=click.Choice(["kept", "new", "large", "submission", "inbound", "logins", "guards"]),
    help="Only this one; may be given several times.",
)
@click.option(
    "--peer",
    "peers",
    multiple=True,
    type=click.Choice(["ekiden", "postfix", "exim", "aiosmtpd"]),
    help="Only this server; may be given several times.",
)
@click.option(
    "--scale", is_flag=True, help="Instead: memory, a backlog, many sites, large letters, with their targets."
)
@click.option("--queued", default=1_000_000, show_default=True, help="With --scale: the largest backlog.")
@click.option(
    "--part",
    "parts",
    multiple=True,
    type=click.Choice(["resting", "large", "silent", "sites", "sizes", "backlog"]),
    help="With --scale: only this part; may be given several times.",
)
@click.option("--write", default="", help="Put the tables into this page, between <!-- bench --> (bench-scale) marks.")
def bench(  # noqa: PLR0913 - one option each
    *,
    letters: int,
    seconds: float,
    pairs: int,
    minutes: float,
    workers: int,
    folder: str,
    scenarios: tuple[str, ...],
    peers: tuple[str, ...],
    scale: bool,
    queued: int,
    parts: tuple[str, ...],
    write: str,
) -> None:
    """Letters a second on this machine, beside Postfix, Exim and aiosmtpd where they are; talks to 127.0.0.1 alone."""
    if scale:
        from ekiden.lab.scale.run import ScaleWanted, run_scale

        sys.exit(run_scale(ScaleWanted(queued, parts, folder=folder, write=write)))
    from ekiden.lab.bench.run import Wanted, run_bench

    wanted = Wanted(letters, seconds, pairs, workers, minutes, folder, scenarios, peers, write)
    sys.exit(run_bench(wanted))
