"""Pages of one small card: signing in, and messages."""

from __future__ import annotations

import html

from fastapi.responses import HTMLResponse

from consentry.server.plain_page import PALETTE, plain_page

_STYLE = (
    PALETTE
    + """
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--back); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main { width: min(24rem, 100%); background: var(--card); border: 1px solid var(--line);
  border-radius: 14px; padding: 2rem; }
h1 { margin: 0 0 .25rem; font-size: 1.4rem; }
p { margin: 0 0 1.25rem; color: var(--soft); }
label { display: block; margin: 1rem 0 .35rem; font-weight: 600; }
input { width: 100%; padding: .65rem .75rem; font: inherit; color: inherit; background: var(--back);
  border: 1px solid var(--line); border-radius: 8px; }
button { width: 100%; margin-top: 1.5rem; padding: .7rem; font: inherit; font-weight: 600; cursor: pointer;
  color: var(--on-main); background: var(--main); border: 0; border-radius: 8px; }
svg { display: block; width: 12rem; height: auto; margin: 0 auto; background: #fff; border-radius: 8px; }
code { overflow-wrap: anywhere; }
.bad { color: var(--bad); font-weight: 600; }
.after { margin: 1.25rem 0 0; }
"""
)


def small_page(title: str, body: str, *, status: int = 200, leads_to: str = "") -> HTMLResponse:
    """A card with `body`, which is HTML; see `plain_page`."""
    return plain_page(title, body, style=_STYLE, status=status, leads_to=leads_to)


def message_page(title: str, text: str, *, status: int) -> HTMLResponse:
    """A page that says one thing and leads back to the live page."""
    body = f'<h1>{html.escape(title)}</h1><p>{html.escape(text)} <a href="/">Go to the live page</a></p>'
    return small_page(title, body, status=status)


def said(text: str) -> str:
    """HTML that says what went wrong."""
    return f'<p class="bad" role="alert">{html.escape(text)}</p>'
