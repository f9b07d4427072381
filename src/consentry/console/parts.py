"""What the pages share: their head, and the bar at their top."""

from __future__ import annotations

from nicegui import html, ui

from consentry.server.access import ACCESS, ACCOUNT
from consentry.server.services import SignedIn

HEAD = '<link rel="stylesheet" href="/console/console.css"><meta name="color-scheme" content="light dark">'
_MARK = (
    '<svg class="c-mark" viewBox="0 0 32 32" aria-hidden="true"><circle cx="16" cy="16" r="15" '
    'fill="currentColor"/><rect x="6" y="12" width="20" height="8" rx="2" fill="var(--card)"/></svg>'
)
_PAGES = {"/": "Live", "/approvals": "Approvals", "/audit": "Audit"}


def top(says: str, asking: SignedIn) -> None:
    """The bar with the product's name, the pages that `asking` may open, and the way out.

    Args:
        says: What this page is.
        asking: Who looks at it.
    """
    with html.header().classes("c-top"):
        with html.div().classes("c-brand"):
            ui.html(_MARK, sanitize=False)
            with html.div():
                html.h1("Consentry")
                html.div(says).classes("c-site")
        for path, name in _PAGES.items():
            if asking.user.role in ACCESS[f"GET {path}"]:
                html.a(name, href=path).classes("c-link")
        html.a(asking.user.name, href=ACCOUNT).classes("c-user")
        with html.form().props('method="post" action="/logout"'):
            html.button("Sign out").props('type="submit"').classes("c-button")
