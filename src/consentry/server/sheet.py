"""Plain pages to read, fill in and print: HTML without a script, styled by one hashed style sheet."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from fastapi.responses import HTMLResponse

from consentry.server.plain_page import PALETTE, plain_page

_STYLE = (
    PALETTE
    + """
:root { --bad-back: #fde7e7; }
@media (prefers-color-scheme: dark) { :root { --bad-back: #3d1b1d; } }
body { margin: 0; background: var(--back); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
main { max-width: 50rem; margin: 0 auto; padding: 2.5rem 1.25rem 3rem; overflow-wrap: anywhere; }
h1 { margin: 0 0 .5rem; font-size: 1.75rem; line-height: 1.2; }
h2 { margin: 2.25rem 0 .6rem; font-size: 1.15rem; }
p, ul { margin: 0 0 .8rem; }
ul { padding-left: 1.2rem; }
.lead, .hint, caption { color: var(--soft); }
.hint { margin: 0 0 .35rem; font-size: .875rem; }
.wide { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; margin: 0 0 1rem; font-size: .94rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem .75rem .45rem 0;
  border-bottom: 1px solid var(--line); overflow-wrap: break-word; }
th { font-weight: 600; }
.facts th, .facts td { overflow-wrap: anywhere; }
.facts th { width: 38%; }
caption { text-align: left; }
td.number, th.number { text-align: right; padding: .45rem 0 .45rem .75rem;
  font-variant-numeric: tabular-nums; }
pre { margin: 0 0 1rem; padding: .8rem 1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; font: .8rem/1.5 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap; }
blockquote { margin: 0 0 1rem; padding: .1rem 0 .1rem 1rem; border-left: 3px solid var(--main); }
.notice { white-space: pre-line; }
fieldset { margin: 1.5rem 0 0; padding: 0; border: 0; }
label { display: block; margin: 1.25rem 0 .15rem; font-weight: 600; }
label.tick { display: flex; gap: .6rem; align-items: baseline; font-weight: 400; }
input:not([type=checkbox]), textarea { width: 100%; padding: .6rem .75rem; font: inherit; color: inherit;
  background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
textarea { min-height: 6rem; resize: vertical; }
[aria-invalid=true] { border-color: var(--bad) !important; }
button { margin-top: 1.75rem; padding: .7rem 1.4rem; font: inherit; font-weight: 600; cursor: pointer;
  color: var(--on-main); background: var(--main); border: 0; border-radius: 8px; }
.bad { color: var(--bad); font-weight: 600; }
p.bad { margin: .3rem 0 0; }
div.bad { background: var(--bad-back); border-radius: 10px; padding: .7rem 1rem; margin: 1rem 0; }
footer { margin-top: 2.5rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: .875rem; }
@media print { :root { color-scheme: light; --back: #fff; --card: #fff; --ink: #000; --soft: #333;
  --line: #999; --main: #000; } main { max-width: none; padding: 0; } a { text-decoration: none; }
  h2 { break-after: avoid; } tr, pre { break-inside: avoid; } }
"""
)


def sheet(title: str, body: str, *, status: int = 200) -> HTMLResponse:
    """A whole page.

    Args:
        title: Plain text.
        body: HTML; everything in it that is not fixed went through `text`.
        status: HTTP status.
    """
    return plain_page(title, body, style=_STYLE, status=status)


def text(value: object) -> str:
    """`value` as text in HTML, never as markup."""
    return html.escape(str(value))


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[object]], numbers: int = 0) -> str:
    """A table with a caption; the last `numbers` columns are set as numbers."""
    styles = [""] * (len(heads) - numbers) + [' class="number"'] * numbers
    head = "".join(
        f'<th scope="col"{style}>{text(name)}</th>' for name, style in zip(heads, styles, strict=True)
    )
    lines = "".join(
        "<tr>"
        + "".join(f"<td{style}>{text(value)}</td>" for value, style in zip(row, styles, strict=True))
        + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide"><table><caption class="hint">{text(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def facts(rows: Iterable[tuple[str, object]]) -> str:
    """A table of names and what they are."""
    lines = "".join(
        f'<tr><th scope="row">{text(name)}</th><td>{text(value)}</td></tr>' for name, value in rows
    )
    return f'<table class="facts"><tbody>{lines}</tbody></table>'


def bullets(items: Iterable[object]) -> str:
    """A list."""
    return f"<ul>{''.join(f'<li>{text(item)}</li>' for item in items)}</ul>"
