"""Empty states, banners and hostile names, on a server without cameras."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.console.conftest import page_of, small_server, watch

pytestmark = pytest.mark.browser


def test_an_empty_site_says_what_to_do_next(chromium: Browser, tmp_path: Path) -> None:
    with small_server(tmp_path) as server, page_of(chromium) as page:
        seen = watch(page)
        server.signed_in(page)
        page.goto(server.address)
        expect(page.get_by_text("Nobody is recognised.")).to_be_visible()
        expect(page.get_by_role("link", name="Declare what for")).to_have_attribute("href", "/setup")
        expect(page.get_by_text("No camera is set up yet.")).to_be_visible()
        expect(page.get_by_text("consentry camera add")).to_be_visible()
        expect(page.get_by_text("No face has been seen yet.")).to_be_visible()
        expect(page.get_by_text("Nobody is enrolled")).to_be_visible()
        expect(page.get_by_text("consentry person enrol")).to_be_visible()
        assert seen.errors == []


def test_names_are_text_never_markup(chromium: Browser, tmp_path: Path) -> None:
    with small_server(tmp_path, "declared", "people") as server, page_of(chromium) as page:
        seen = watch(page)
        server.signed_in(page)
        page.goto(server.address)
        people = page.get_by_role("region", name="Enrolled people")
        expect(people.get_by_text("<img src=x onerror=alert(1)> & Söhne")).to_be_visible()
        expect(people.get_by_text("recognised, but covered")).to_be_visible()
        sightings = page.get_by_role("region", name="Sightings")
        expect(sightings.get_by_role("listitem")).to_have_count(3)
        rows = sightings.get_by_role("listitem").all_inner_texts()
        assert [row.split("\n")[1] for row in rows] == [
            "Not enrolled",
            "Unsure",
            "<img src=x onerror=alert(1)> & Söhne",
        ]
        assert "nobody enrolled comes near 0.41" in rows[0]
        assert "score 0.38, 0.41 needed for a name" in rows[1]
        assert "score 0.70, at least 0.41 needed" in rows[2]
        assert page.locator('img[src="x"]').count() == 0
        assert seen.errors == []


def test_a_witness_that_is_not_content_is_told_of(chromium: Browser, tmp_path: Path) -> None:
    with small_server(tmp_path, "declared", "unreached witness") as server, page_of(chromium) as page:
        seen = watch(page)
        server.signed_in(page)
        for path in ("/", "/audit"):
            page.goto(server.address + path)
            expect(page.get_by_text("pi.example not reached")).to_be_visible()
        assert seen.errors == []


def test_without_a_session_only_the_form_is_shown(chromium: Browser, tmp_path: Path) -> None:
    with small_server(tmp_path, "declared") as server, page_of(chromium) as page:
        seen = watch(page)
        page.goto(server.address)
        assert page.url.endswith("/login")
        expect(page.get_by_label("Password")).to_be_focused()
        assert page.locator("script").count() == 0
        assert seen.errors == []
        page.get_by_label("Password").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("name, password or code is wrong")
