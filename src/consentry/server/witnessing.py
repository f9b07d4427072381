"""The hub's thread that has the log cosigned: it never holds up an act, and an act never waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from consentry.config import Ledger
from consentry.errors import ConsentryError
from consentry.people.site import Site
from consentry.people.witnesses import ask_witnesses

log = structlog.get_logger("consentry.witnessing")


def keep_witnessed(
    site: Site, settings: Ledger, stopping: threading.Event, *, on_answer: Callable[[], None]
) -> None:
    """Ask each witness that has not cosigned the newest checkpoint, at most once per `witness_every_s`.

    Args:
        site: Whose log.
        settings: Who is asked, and how often.
        stopping: Ends it.
        on_answer: Told when a witness was asked, whatever it said.
    """
    while not stopping.is_set():
        try:
            for state in ask_witnesses(site, settings.witnesses, only_behind=True):
                if state.refused:
                    log.error("witness_refused", witness=state.name, problem=state.problem)
                elif state.problem:
                    log.warning("witness_not_reached", witness=state.name, problem=state.problem)
                on_answer()
        except ConsentryError as error:
            log.error("witnesses_not_asked", error=type(error).__name__, cause=error.cause)
        stopping.wait(settings.witness_every_s)
