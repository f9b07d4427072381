"""A document of headings, paragraphs, lists and tables, as Markdown or, printed, as PDF."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources

from consentry.people.printing import typeset

_MARKUP = re.compile(r"([\\`*_{}\[\]<>|#~])")
_AT_LINE_START = re.compile(r"^(\s*\d*)([-+.)])(?=\s)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Heading:
    """Begins a part."""

    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True, slots=True)
class Quote:
    """Text by someone else, with its line breaks."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Blank:
    """What only people can fill in."""

    question: str


Block = Heading | Paragraph | Quote | Bullets | Grid | Blank


@dataclass(frozen=True, slots=True)
class Document:
    """A whole document.

    Attributes:
        title: What it is.
        made_on: The day it was made.
        mark: A word kept in the file unseen, by which it is known again; of a PDF, among its keywords.
        blocks: Its content.
    """

    title: str
    made_on: date
    mark: str
    blocks: tuple[Block, ...]


def to_markdown(document: Document) -> bytes:
    """The document as Markdown, UTF-8."""
    parts = [f"# {_escaped(document.title)}", *(_block_markdown(block) for block in document.blocks)]
    return ("\n\n".join(parts) + f"\n\n<!-- {document.mark} -->\n").encode()


def to_pdf(document: Document) -> bytes:
    """The document as PDF, on A4; the same document gives the same bytes.

    Raises:
        EnvironmentLack: it cannot be typeset.
    """
    source = resources.files("consentry.people").joinpath("typesetting", "document.typ").read_bytes()
    content = {
        "title": document.title,
        "mark": document.mark,
        "blocks": [_block_json(block) for block in document.blocks],
    }
    return typeset(source, {"content": json.dumps(content)}, form="pdf", made_on=document.made_on)[0]


def _block_markdown(block: Block) -> str:
    match block:
        case Heading(text):
            return f"## {_escaped(text)}"
        case Paragraph(text):
            return _escaped(text)
        case Quote(text):
            return "\n".join(f"> {_escaped(line)}".rstrip() for line in text.splitlines())
        case Bullets(items):
            return "\n".join(f"- {_escaped(item)}" for item in items)
        case Grid(heads, rows):
            return "\n".join([_row(heads), _row(["---"] * len(heads), escape=False), *map(_row, rows)])
        case Blank(question):
            return f"**To be completed by the controller:** {_escaped(question)}\n\n…"


def _row(cells: Sequence[str], *, escape: bool = True) -> str:
    shown = (_escaped(" ".join(cell.split())) if escape else cell for cell in cells)
    return f"| {' | '.join(shown)} |"


def _escaped(text: str) -> str:
    """`text` so that Markdown shows it as it is."""
    return _AT_LINE_START.sub(r"\1\\\2", _MARKUP.sub(r"\\\1", text))


def _block_json(block: Block) -> dict[str, object]:
    match block:
        case Heading(text) | Paragraph(text) | Quote(text):
            return {"kind": type(block).__name__.lower(), "text": text}
        case Bullets(items):
            return {"kind": "bullets", "items": items}
        case Grid(heads, rows):
            return {"kind": "grid", "heads": heads, "rows": rows, "widths": _widths(heads, rows)}
        case Blank(question):
            return {"kind": "blank", "text": question}


def _widths(heads: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> list[float]:
    """Shares of the columns of a table: by the root of their longest cells, so that no column starves."""
    return [max(len(cell) for cell in column) ** 0.5 for column in zip(heads, *rows, strict=True)]
