"""A receipt on paper: a page without scripts or outside parts, with the personal link as a QR code."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

import segno

from consentry.clock import iso_utc
from consentry.people.receipt_form import ReceiptKind, VerifiedReceipt

_TITLES: Final[dict[ReceiptKind, str]] = {
    "consent": "You agreed",
    "refusal": "You said no",
    "withdrawal": "You withdrew your consent",
    "erasure": "What was held about you is destroyed",
}
_STYLE = (
    "body{font:11pt/1.4 serif;max-width:17cm;margin:1cm auto}td{padding:.1cm .5cm .1cm 0;vertical-align:top}"
    "svg{float:right}code{overflow-wrap:anywhere}"
)


def receipt_page(verified: VerifiedReceipt) -> str:
    """A receipt as HTML to print. It is for reading: what proves anything is the JSON file."""
    title = _TITLES[verified.body.kind]
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in _rows(verified)
    )
    rights = "".join(f"<li>{escape(right)}</li>" for right in verified.body.rights)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style>{_link(verified.body.personal_link)}<h1>{title}</h1>"
        f"<table>{rows}</table><h2>Your rights</h2><ul>{rights}</ul></html>\n"
    )


def _rows(verified: VerifiedReceipt) -> Iterator[tuple[str, str]]:
    body, entry, checkpoint = verified.body, verified.entry, verified.checkpoint
    yield "Issued", f"{body.issued:%Y-%m-%d %H:%M} UTC"
    if body.record is not None and body.record.is_demo:
        yield "Demo", "This is a demo; it binds nobody"
    for part in body.purposes:
        yield "What for", part.purpose
        for controller in part.pii_controllers:
            yield "Who answers for it", f"{controller.name}, {controller.contact}"
        yield "On what ground", part.lawful_basis
        yield "What is kept", ", ".join(part.pii_information)
        term = part.retention_period
        yield "Until", f"{term.valid_until:%Y-%m-%d %H:%M %Z}"
        yield "Or earlier", f"once you have not been seen for {term.last_seen_days} days"
        yield "Shown in pictures", "yes" if part.may_be_shown else "no, covered"
        yield "The other way", part.alternative
    if body.privacy_notice is not None:
        yield "Notice", f"{body.privacy_notice.uri}, version {body.privacy_notice.version}"
    if body.erasure is not None:
        done = body.erasure
        yield "Destroyed", f"{done.templates} template(s), {done.photos} photo(s), name, consents and key"
        yield "Searched", f"{done.files_scanned} files; nothing of you was found"
    yield "In the ledger", f"entry {entry.seq} of {checkpoint.origin}, {iso_utc(entry.time_unix_ms / 1000)}"
    yield "Ledger's root", f"{checkpoint.root.hex()} at {checkpoint.size} entries"
    yield "Receipt", body.receipt_id


def _link(personal_link: str | None) -> str:
    if personal_link is None:
        return ""
    # a path alone leads nowhere from paper: then it is only written out
    is_whole = personal_link.startswith(("https://", "http://"))
    drawn = segno.make(personal_link, error="m", micro=False).svg_inline(scale=3) if is_whole else ""
    words = "Your own page; whoever has this address is you"
    return f"{drawn}<p>{words}:<br><code>{escape(personal_link)}</code></p>"
