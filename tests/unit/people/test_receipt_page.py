"""The receipt on paper."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

from tests.unit.people.kit import ACTOR, consent, enrolled, opened

from consentry.cli.verify_receipt import verify_receipt_command
from consentry.people.consents import add_consent
from consentry.people.erase import withdraw
from consentry.people.receipt_page import receipt_page
from consentry.people.receipts import Terms, issue_erasure_receipt, verify_receipt
from consentry.people.site import Site


class _Outside(HTMLParser):
    """Collects scripts, and everything that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "img", "link", "iframe"} or {name for name, _ in attrs} & {"src", "href"}:
            self.found.append(tag)


def _page(site: Site, receipt: bytes) -> str:
    page = receipt_page(verify_receipt(receipt, str(site.ledger.verifier)))
    outside = _Outside()
    outside.feed(page)
    assert outside.found == []
    return page


def test_a_page_says_what_was_agreed_and_draws_the_link(tmp_path: Path) -> None:
    terms = Terms(public_url="https://cameras.example.org")
    with opened(tmp_path, declared=True) as site:
        first = enrolled(site, 1, "Ada Example")
        assert "<svg" not in _page(site, first.receipt)  # a path leads nowhere from paper
        record = consent().model_copy(update={"alternative": "a <b>badge</b>"})
        page = _page(site, add_consent(site, first.person_id, record, ACTOR, terms=terms).receipt)
    assert "<svg" in page
    assert "a &lt;b&gt;badge&lt;/b&gt;" in page
    assert "Example Ltd, privacy@example.org" in page
    assert re.search(r"https://cameras\.example\.org/my/[\w-]{43}<", page)


def test_a_page_of_an_erasure(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        report = withdraw(site, person_id, reason="asked", actor=ACTOR)
        page = _page(site, issue_erasure_receipt(site, report, actor=ACTOR))
    assert "2 template(s), 2 photo(s), name, consents and key" in page
    assert "Your own page" not in page


def test_the_command_writes_one_for_a_genuine_receipt(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        receipt = enrolled(site, 1, "Ada Example").receipt
        vkey = str(site.ledger.verifier)
    file, page = tmp_path / "receipt.json", tmp_path / "receipt.html"
    file.write_text(json.dumps(json.loads(receipt), indent=1))
    verify_receipt_command(file, vkey, page)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert page.stat().st_mode & 0o777 == 0o600
