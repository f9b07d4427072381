"""What happens outside on account of a known sighting. What is consequential waits for two people.

Each act is in the ledger before it takes effect, with who confirmed it. A message says which camera saw
whom, by a random id, and when; no name, no picture, no score.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from consentry.clock import iso_utc
from consentry.config import Webhook
from consentry.errors import ConsentryError
from consentry.ledger.entry import Event
from consentry.notify.webhook import Webhooks, where_of
from consentry.people.confirmations import Answer, Confirmation, confirm
from consentry.people.site import Site
from consentry.store.schema import SightingRow

_ACTOR = "consentry"
_MS_PER_S = 1000
_Message = dict[str, str | int]

log = structlog.get_logger("consentry.server")


@dataclass(frozen=True, slots=True)
class HookState:
    """How an action goes.

    Attributes:
        where: Host and port that is told.
        consequential: Whether it waits for two people.
        delivered: Messages it has taken since the start.
        failed: Messages given up since the start, by cause.
    """

    where: str
    consequential: bool
    delivered: int
    failed: dict[str, int]


@dataclass(frozen=True, slots=True)
class Actions:
    """The outside actions of a site.

    Attributes:
        site: Whose ledger.
        hooks: Who is told.
        webhooks: Delivers.
    """

    site: Site
    hooks: tuple[Webhook, ...]
    webhooks: Webhooks

    def sighted(self, sighting_id: int) -> None:
        """Tell of a sighting that has just been recorded, if it is known: what has no consequences."""
        if not self.hooks:
            return
        messages: list[tuple[Webhook, _Message]] = []
        try:
            with self.site.write() as session:
                row = session.get(SightingRow, sighting_id)
                if row is not None:
                    messages += self._take(session, row, (), consequential=False)
        except ConsentryError as error:
            log.error("action_not_taken", error=type(error).__name__, cause=error.cause)
            return
        self._send(messages)

    def confirmed(self, sighting_id: int, answer: Answer, *, user_id: str) -> Confirmation:
        """Take a user's answer; once two have said `same`, do what is consequential. Raises as `confirm`."""
        messages: list[tuple[Webhook, _Message]] = []

        def act(session: Session, row: SightingRow, confirmed_by: tuple[str, ...]) -> None:
            messages.extend(self._take(session, row, confirmed_by, consequential=True))

        found = confirm(self.site, sighting_id, answer, user_id=user_id, on_confirmed=act)
        self._send(messages)
        return found

    def states(self) -> list[HookState]:
        """How the messages of each action arrive."""
        webhooks = self.webhooks
        return [
            HookState(
                where=where_of(hook),
                consequential=hook.consequential,
                delivered=webhooks.delivered[where_of(hook)],
                failed={cause: n for (where, cause), n in webhooks.failed.items() if where == where_of(hook)},
            )
            for hook in self.hooks
        ]

    def _take(
        self, session: Session, row: SightingRow, confirmed_by: tuple[str, ...], *, consequential: bool
    ) -> Iterator[tuple[Webhook, _Message]]:
        """Log each action of a sighting; gives what to send once that is kept."""
        if row.person_id is None:
            return
        message: _Message = {
            "event": "sighting.known",
            "sighting": row.id,
            "camera": row.camera,
            "person_id": row.person_id,
            "first": iso_utc(row.first_unix_ms / _MS_PER_S),
            "last": iso_utc(row.last_unix_ms / _MS_PER_S),
            "confirmations": len(confirmed_by),
        }
        pseudonym = self.site.person_key(session, row.person_id).pseudonym(row.person_id)
        for hook in self.hooks:
            if hook.consequential != consequential or row.camera not in (hook.cameras or [row.camera]):
                continue
            self.site.log(
                session,
                Event.ACTION_TAKEN,
                actor=_ACTOR,
                payload={
                    "sighting": row.id,
                    "webhook": where_of(hook),
                    "consequential": consequential,
                    "confirmed_by": list(confirmed_by),
                },
                subject_pseudonym=pseudonym,
            )
            yield hook, message

    def _send(self, messages: list[tuple[Webhook, _Message]]) -> None:
        for hook, message in messages:
            self.webhooks.send(hook, message)
