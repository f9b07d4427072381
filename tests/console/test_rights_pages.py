"""The pages of auditors and of two people, and one's own account."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.console.conftest import page_of, small_server, watch

pytestmark = pytest.mark.browser


def test_an_auditor_sees_declaration_ledger_and_models_and_nobody(chromium: Browser, tmp_path: Path) -> None:
    with small_server(tmp_path, "declared", "people", "auditor") as server, page_of(chromium) as page:
        seen = watch(page)
        server.signed_in(page)
        page.goto(server.address)
        assert page.url.endswith("/audit")
        expect(page.get_by_role("region", name="Declaration")).to_contain_text("Example Ltd")
        expect(page.get_by_role("region", name="Ledger")).to_contain_text("consentry/ledger/")
        expect(page.get_by_role("region", name="Models")).to_contain_text("SHA-256")
        expect(page.get_by_role("link", name="Live")).to_have_count(0)
        assert "Söhne" not in page.content()
        assert page.locator("img").count() == 0
        assert seen.errors == []


def test_one_agrees_to_what_another_asked_for(chromium: Browser, tmp_path: Path) -> None:
    with small_server(tmp_path, "declared", "approvals") as server, page_of(chromium) as page:
        seen = watch(page)
        server.signed_in(page)
        page.goto(f"{server.address}/approvals")
        rows = page.get_by_role("region", name="Approvals").get_by_role("listitem")
        expect(rows).to_have_count(2)
        expect(page.get_by_role("button", name="Agree")).to_have_count(1)
        expect(page.get_by_role("button", name="Take back")).to_have_count(1)
        page.get_by_role("button", name="Agree").click()
        expect(page.get_by_role("button", name="Agree")).to_have_count(0)
        expect(rows.filter(has_text="agreed")).to_have_count(1)
        page.get_by_role("button", name="Take back").click()
        expect(rows.filter(has_text="refused")).to_have_count(1)
        assert page.locator('img[src="x"]').count() == 0
        assert seen.errors == []


def test_ones_own_account_works_without_a_script(chromium: Browser, tmp_path: Path) -> None:
    with small_server(tmp_path) as server, page_of(chromium) as page:
        seen = watch(page)
        server.signed_in(page)
        page.goto(f"{server.address}/account")
        expect(page.get_by_role("heading", name="owner")).to_be_visible()
        assert page.locator("script").count() == 0
        page.get_by_label("Your password").fill("wrong")
        page.get_by_role("button", name="Set it up").click()
        expect(page.get_by_role("alert")).to_contain_text("the password is wrong")
        assert [error for error in seen.errors if "401" not in error] == []
