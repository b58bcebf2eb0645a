"""Everything an explanation needs, opened for looking: works beside a running server, and without one.

    explanation = await explain(config, directory, question)        # directory: open_directory(config, make=False)

Called by `cli.explain`. What is explained, and how, is in `admin.explain`.
"""

from __future__ import annotations

from typing import Final

from ekiden.admin.explain import Explainer, Explanation, Question, telling_sessions
from ekiden.app.neighbourhood import read_neighbourhood
from ekiden.app.recipient_lists import FileRecipientLists
from ekiden.app.rehearsal import Believing, Stage
from ekiden.config.model import Config
from ekiden.model.decision import Decision
from ekiden.model.mailbox import Mailbox
from ekiden.model.reply import Reply
from ekiden.policy.trusted import Neighbourhood
from ekiden.ports.directory import Directory

_NOT_ASKED: Final = Reply(250, "2.1.5", "(it was not asked: explain sends nothing)")


class _NobodyAsked:
    """Call-ahead that asks nobody: the next hop is taken for content."""

    def peek(self, mailbox: Mailbox) -> Reply | None:
        return _NOT_ASKED

    async def ask(self, mailbox: Mailbox) -> Reply:
        return _NOT_ASKED


async def explain(
    config: Config, directory: Directory, question: Question, neighbourhood: Neighbourhood | None = None
) -> Explanation:
    """Raises NoAnswer, DirectoryFailed. A recipient list that cannot be read is empty, as at a server's start."""
    gateways = (neighbourhood or read_neighbourhood()).gateways
    decisions: list[Decision] = []
    stage = Stage(
        config,
        directory=directory,
        authenticator=Believing(directory, [domain.name for domain in config.domain]),
        lists=FileRecipientLists(config, lambda path, text: None),
        probe=_NobodyAsked(),
        gateways=gateways,
        sessions=telling_sessions(decisions.append),
    )
    return await Explainer(config, directory, stage, decisions, gateways).explain(question)
