"""What waits for a second person, with buttons; and what became of the rest."""

from __future__ import annotations

import json
from collections.abc import Callable

from nicegui import html, ui
from starlette.concurrency import run_in_threadpool

from consentry.clock import iso_utc
from consentry.console.parts import HEAD, top
from consentry.errors import ConsentryError
from consentry.people.approvals import MAY_AGREE, Approval, agree, list_approvals, refuse
from consentry.server.accounts import list_accounts
from consentry.server.services import Services, SignedIn

_MS_PER_S = 1000


class ApprovalsPage:
    """One browser's page of approvals.

    Args:
        services: What it shows.
        asking: Who looks at it, and may answer.
    """

    def __init__(self, services: Services, asking: SignedIn) -> None:
        self._services, self._asking = services, asking

    async def build(self) -> None:
        """Make the page.

        Raises:
            ConsentryError: the data folder cannot be read.
        """
        ui.add_head_html(HEAD)
        with html.div().classes("c-root"):
            top(f"Approvals of {self._services.site.name}", self._asking)
            with html.div().classes("c-main c-plain"):
                self._said = html.div().props('role="status"')
                with html.section().props('aria-label="Approvals"').classes("c-card"):
                    with html.div().classes("c-head"):
                        html.h2("What two people must agree to")
                    self._list = html.ul()
        await self._show()

    async def _show(self) -> None:
        site = self._services.site
        items = await run_in_threadpool(list_approvals, site)
        accounts = await run_in_threadpool(list_accounts, site)
        names = {account.user.id: account.user.name for account in accounts}
        self._list.clear()
        with self._list:
            if not items:
                html.li(
                    "Nobody has asked for anything. A weaker setting, a bulk export, unsealing and deleting "
                    "what ledger entries are about wait here for a second person; ask with "
                    "POST /api/v1/approvals."
                ).classes("c-empty")
            for item in items:
                self._row(item, names)

    def _row(self, item: Approval, names: dict[str, str]) -> None:
        user = self._asking.user
        asked = iso_utc(item.asked_unix_ms / _MS_PER_S)
        with html.li().classes("c-row"):
            html.span("?" if item.state == "open" else "").props('aria-hidden="true"').classes("c-face")
            html.span(f"{item.kind}: {json.dumps(dict(item.payload))}").classes("c-who")
            html.span(item.state).classes("c-when")
            asker = names.get(item.asked_by, "somebody who was removed")
            html.span(f"asked by {asker}, {asked}: {item.reason}").classes("c-why")
            if item.state != "open":
                return
            with html.div().classes("c-why"):
                if item.asked_by != user.id and user.role in MAY_AGREE:
                    self._button("Agree", agree, item.id)
                if item.asked_by == user.id or user.role in MAY_AGREE:
                    self._button("Take back" if item.asked_by == user.id else "Refuse", refuse, item.id)

    def _button(self, label: str, answer: Callable[..., Approval], approval_id: str) -> None:
        async def act() -> None:
            self._said.clear()
            if not await run_in_threadpool(self._services.still, self._asking):
                ui.navigate.to("/login")
                return
            try:
                await run_in_threadpool(
                    answer, self._services.site, approval_id, user_id=self._asking.user.id
                )
            except ConsentryError as error:
                with self._said:
                    html.div(str(error)).classes("c-banner bad")
            await self._show()

        html.button(label).classes("c-button").on("click", act)
