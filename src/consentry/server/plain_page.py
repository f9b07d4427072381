"""Plain HTML pages without a script, for those who have not signed in: nothing else need be open for them."""

from __future__ import annotations

import base64
import hashlib
import html

from fastapi.responses import HTMLResponse

PALETTE = """
:root { color-scheme: light dark; --back: #f5f6f8; --card: #fff; --ink: #17202b; --soft: #5b6776;
  --line: #d9dee5; --main: #0b6b5d; --on-main: #fff; --bad: #a3262a; }
@media (prefers-color-scheme: dark) { :root { --back: #11161c; --card: #1a212a; --ink: #e8edf3;
  --soft: #9aa7b6; --line: #2f3945; --main: #4fc3ae; --on-main: #06231e; --bad: #ff9a94; } }
* { box-sizing: border-box; }
a { color: var(--main); }
:focus-visible { outline: 3px solid var(--main); outline-offset: 2px; }
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} · Consentry</title>
<meta name="viewport" content="width=device-width, initial-scale=1">{refresh}
<link rel="icon" href="data:,"><style>{style}</style></head><body><main>{body}</main></body></html>"""


def plain_page(
    title: str, body: str, *, style: str, status: int = 200, pictures: bool = False, leads_to: str = ""
) -> HTMLResponse:
    """A page under a policy that allows its own style and forms, and nothing else.

    Args:
        title: Text of the tab.
        body: HTML; whatever comes from outside must be escaped in it already.
        style: CSS.
        status: HTTP status.
        pictures: Whether it shows pictures of this server.
        leads_to: Path that the browser goes on to at once; empty for none.
    """
    refresh = f'<meta http-equiv="refresh" content="0;url={html.escape(leads_to)}">' if leads_to else ""
    style_hash = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    images = "'self' data:" if pictures else "data:"
    policy = (
        f"default-src 'none'; style-src 'sha256-{style_hash}'; img-src {images}; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(
        _PAGE.format(title=html.escape(title), style=style, body=body, refresh=refresh),
        status_code=status,
        headers={"Content-Security-Policy": policy},
    )
