"""The pages without a script in a real browser: declaring by keyboard and form, and the public pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from tests.console.conftest import page_of, small_server, watch

pytestmark = pytest.mark.browser


def test_the_owner_declares_and_the_banner_goes(chromium: Browser, tmp_path: Path) -> None:
    with small_server(tmp_path) as server, page_of(chromium) as page:
        seen = watch(page)
        server.signed_in(page)
        page.goto(server.address)
        page.get_by_role("link", name="Declare what for").click()
        expect(page.get_by_role("heading", name="What people are recognised for")).to_be_visible()
        for label, words in {
            "Purposes": "entrance\ncanteen till",
            "Controller": "Example Ltd",
            "Contact": "privacy@example.org",
            "Legal basis": "Explicit consent",
            "Where the notice hangs": "at the door",
        }.items():
            page.get_by_label(label, exact=True).fill(words)
        page.get_by_label("Notice", exact=True).fill("Cameras here recognise people.")
        assert seen.errors == []
        page.get_by_role("button", name="Declare").click()
        expect(page.get_by_text("must be accepted")).to_be_visible()
        assert page.get_by_label("Purposes").input_value() == "entrance\ncanteen till"
        page.get_by_label("We accept this").check()
        page.get_by_role("button", name="Declare").click()
        expect(page.get_by_role("heading", name="Sightings")).to_be_visible()
        expect(page.get_by_text("Nobody is recognised.")).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True])
def test_public_pages_need_no_session_no_script_and_fit_a_phone(
    chromium: Browser, tmp_path: Path, dark: bool
) -> None:
    with (
        small_server(tmp_path, "declared", "people") as server,
        page_of(chromium, width=360, height=700, dark=dark) as page,
    ):
        seen = watch(page)
        for path, heading in (
            ("/transparency", "What these cameras recognise, and how that is watched"),
            ("/policy", "What is kept, for how long, and your rights"),
        ):
            page.goto(server.address + path)
            expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible()
            assert page.locator("script").count() == 0
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            assert "Söhne" not in page.content()
        page.get_by_role("link", name="Cameras, counts and error").click()
        expect(page.get_by_text("fewer than 5").first).to_be_visible()
        assert seen.errors == []
        assert seen.hosts == {server.address.removeprefix("http://")}
