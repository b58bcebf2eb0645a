"""`ekiden serve`: runs the server in the foreground; a service manager, or a person, keeps it."""

from __future__ import annotations

import click

from ekiden.cli.options import Failure, config_file, config_option


@click.command()
@config_option
def serve(config_path: str) -> None:
    """Run the mail server, in the foreground.

    SIGTERM and Ctrl-C stop it after the transactions under way (twice: at once); SIGHUP reads the configuration and the
    certificates again, and opens the log file anew. What needs a restart: listen, user, data_dir, workers.
    """
    path = config_file(config_path)
    from ekiden.app.config_file import ConfigErrors
    from ekiden.app.refusal import StartRefused
    from ekiden.app.serving import serve as run

    try:
        status = run(path)
    except (ConfigErrors, StartRefused) as error:
        raise Failure(str(error)) from None
    click.get_current_context().exit(status)
