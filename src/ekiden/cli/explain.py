"""`ekiden explain`: what a door would say to a client, and why. A face of `admin.explain`; nothing is decided here."""

from __future__ import annotations

import ipaddress
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import click

from ekiden.cli.options import Failure, complaints, config_option, finish, json_option, load_config
from ekiden.cli.output import echo_json, safe

if TYPE_CHECKING:
    from ekiden.admin.explain import Explanation, Question, Step
    from ekiden.config.model import Config

_DOORS: Final = ("relay", "submission", "submissions")
#: What stands before the text of each step.
_INDENT: Final = " " * 20


@click.command()
@click.option("--door", type=click.Choice(_DOORS), required=True, help="25, 587 or 465, by their names in [listen].")
@click.option("--client", required=True, metavar="ADDRESS", help="The client's IP address.")
@click.option("--from", "reverse_path", required=True, metavar="ADDRESS", help="In MAIL FROM; '' or <> for reports.")
@click.option("--to", "forward_paths", required=True, multiple=True, metavar="ADDRESS", help="In RCPT TO; repeatable.")
@click.option("--login", default="", metavar="ACCOUNT", help="Who has logged in; the password is taken for right.")
@click.option("--helo", default="", metavar="NAME", help="In EHLO. Default: the client's address as a literal.")
@click.option("--header-from", default="", metavar="ADDRESS", help="In the From field. Default: as --from, or --login.")
@click.option(
    "--content",
    type=click.File("rb"),
    metavar="FILE",
    help="A letter to send, so that the content rules are asked about it; - is standard input.",
)
@click.option("--clear", is_flag=True, help="The client does not use STARTTLS.")
@config_option
@json_option
def explain(config_path: str, *, as_json: bool, **said: Any) -> None:
    """Say what a door would answer to a client, step by step, and which rule decided.

    The answers come from the code that serves, with the configuration as it is on disk now and the accounts of this
    server. Nothing is sent or stored, and no other server is asked: with recipients = "callahead" the next hop is taken
    for content. Works while the server runs, and when it does not.

    Exits with 1 if anything would be refused.
    """
    from ekiden.admin.explain import Question
    from ekiden.model.door import Door

    for option, value in said.items():
        texts = (value,) if isinstance(value, str) else value if isinstance(value, tuple) else ()
        if any(not text.isprintable() for text in texts):
            name = {"reverse_path": "--from", "forward_paths": "--to"}.get(option, f"--{option.replace('_', '-')}")
            raise click.UsageError(f"{name}: control characters cannot be in it", click.get_current_context())
    file = said.pop("content")
    content = file.read() if file is not None else b""
    question = Question(**said | {"content": content, "door": Door(said["door"]), "client": _address(said["client"])})
    explanation = _explained(load_config(config_path), question)
    if as_json:
        from ekiden.admin.explain import explanation_json

        echo_json(explanation_json(explanation))
    else:
        for line in explanation_lines(explanation):
            click.echo(safe(line))
    click.get_current_context().exit(0 if explanation.accepted else 1)


def _address(client: str) -> str:
    try:
        return str(ipaddress.ip_address(client.strip("[]").removeprefix("IPv6:")))
    except ValueError:
        message = f'--client: "{client}" is no IP address; write 192.0.2.1 or 2001:db8::1'
        raise click.UsageError(message, click.get_current_context()) from None


def _explained(config: Config, question: Question) -> Explanation:
    from ekiden.app.explaining import explain as explain_it
    from ekiden.app.stores import act_as_user, open_directory
    from ekiden.session.rehearsal import NoAnswer

    async def ask() -> Explanation:
        act_as_user(config, make=False)
        with closing(open_directory(config, make=False)) as directory:
            return await explain_it(config, directory, question)

    try:
        with complaints():
            return finish(ask())
    except NoAnswer as error:
        raise Failure(f"it could not be found out: {error}") from None


def explanation_lines(explanation: Explanation) -> list[str]:
    """For people."""
    lines = []
    for step in explanation.steps:
        lines += _step_lines(step)
    refused = [step for step in explanation.steps if not step.ok]
    if not refused:
        return [*lines, "", "accepted"]
    return [*lines, "", *(f"refused at {step.name}: {_why(step)}" for step in refused)]


def _step_lines(step: Step) -> list[str]:
    reply = step.reply.split("\n")
    if step.name == "hello" and step.ok:  # extensions are of no use here; --json has them
        reply = reply[:1]
    rule = f"rule {step.rule}" if step.name != "next-hop" else step.rule
    decided = f"{rule}: {step.reason}" if step.rule else step.reason
    texts = [text for text in (step.said, *reply, decided) if text]
    head = f"{step.name:<11}{'ok' if step.ok else 'REFUSED':<9}"
    return [f"{head}{texts[0]}" if texts else head.rstrip(), *(f"{_INDENT}{text}" for text in texts[1:])]


def _why(step: Step) -> str:
    first = step.reply.partition("\n")[0]
    return f"{first} (rule {step.rule})" if first and step.rule else first or step.reason
