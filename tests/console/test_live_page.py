"""The live page in a real browser, on the real demo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from tests.console.conftest import Demo, page_of, running_demo, watch

pytestmark = [pytest.mark.browser, pytest.mark.models]

APPEARS_MS = 60_000
PIXELS = """() => {
  const img = document.querySelector("img[data-camera]");
  const canvas = document.createElement("canvas");
  canvas.width = 48; canvas.height = 27;
  canvas.getContext("2d").drawImage(img, 0, 0, 48, 27);
  return Array.from(canvas.getContext("2d").getImageData(0, 0, 48, 27).data);
}"""


@pytest.fixture(scope="module")
def demo(
    chromium: Browser, tmp_path_factory: pytest.TempPathFactory, rendered: Callable[[Path], Path]
) -> Iterator[Demo]:
    """The demo, started once for the tests of this module."""
    with running_demo(rendered(tmp_path_factory.mktemp("demo") / "data")) as it:
        yield it


def _sign_in(page: Page, demo: Demo) -> None:
    assert demo.password is not None
    page.goto(demo.address)
    page.get_by_label("Name").fill("owner")
    page.get_by_label("Password").fill(demo.password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Consentry")).to_be_visible()


def _is_live(page: Page) -> None:
    expect(page.locator('.view[data-live="yes"] img')).to_be_visible(timeout=APPEARS_MS)


def test_sign_in_watch_and_see_who_enrolled_and_nobody_else(demo: Demo, chromium: Browser) -> None:
    with page_of(chromium) as page:
        seen = watch(page)
        _sign_in(page, demo)
        _is_live(page)
        assert page.evaluate("document.querySelector('img[data-camera]').naturalWidth") == 960
        expect(page.get_by_text("Demo.")).to_be_visible()
        sightings = page.get_by_role("region", name="Sightings")
        expect(sightings.get_by_text("Eileen Collins").first).to_be_visible(timeout=APPEARS_MS)
        expect(sightings.get_by_text("Not enrolled").first).to_be_visible(timeout=APPEARS_MS)
        page.wait_for_function(
            f"before => ({PIXELS})().filter((v, i) => Math.abs(v - before[i]) > 30).length > 50",
            arg=page.evaluate(PIXELS),
            timeout=APPEARS_MS,
        )
        people = page.get_by_role("region", name="Enrolled people")
        expect(people.get_by_text("Consents to be recognised and shown")).to_be_visible()
        content = page.content()
        assert "Hopper" not in content
        assert "Grace" not in content
        assert seen.errors == []
        assert seen.hosts == {urlsplit(demo.address).netloc}


def test_the_one_time_link_opens_the_page_and_works_once(demo: Demo, chromium: Browser) -> None:
    with page_of(chromium) as page:
        page.goto(demo.link)
        expect(page.get_by_role("heading", name="Consentry")).to_be_visible()
        assert "token" not in page.url
    with page_of(chromium) as page:
        response = page.goto(demo.link)
        assert response is not None
        assert response.status == 403


def test_a_phone_shows_everything_without_scrolling_sideways(demo: Demo, chromium: Browser) -> None:
    with page_of(chromium, width=360, height=740) as page:
        _sign_in(page, demo)
        _is_live(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        box = page.locator("img[data-camera]").bounding_box()
        assert box is not None
        assert 340 <= box["width"] <= 360
        for name in ("Sightings", "Enrolled people"):
            page.get_by_role("heading", name=name).scroll_into_view_if_needed()
            expect(page.get_by_role("heading", name=name)).to_be_in_viewport()


def test_light_and_dark_follow_the_reader(demo: Demo, chromium: Browser) -> None:
    shades = []
    for dark in (False, True):
        with page_of(chromium, dark=dark) as page:
            _sign_in(page, demo)
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            shades.append(sum(int(part) for part in background[4:-1].split(",")[:3]) / 3)
    assert shades[0] > 200 > 60 > shades[1]


def test_it_can_be_used_by_keyboard_and_read_aloud(demo: Demo, chromium: Browser) -> None:
    with page_of(chromium) as page:
        _sign_in(page, demo)
        _is_live(page)
        assert page.evaluate("document.documentElement.lang").startswith("en")
        assert page.locator("h1").count() == 1
        assert page.get_by_role("main").count() == 1
        assert page.locator("img:not([alt])").count() == 0
        expect(page.get_by_role("img", name="Live picture of Demo camera")).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the sightings")).to_be_focused()
        for name in ("Live", "Approvals", "Audit", "owner"):
            page.keyboard.press("Tab")
            expect(page.get_by_role("link", name=name, exact=True)).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Sign out")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_signing_out_in_one_window_ends_the_other(demo: Demo, chromium: Browser) -> None:
    with page_of(chromium) as page:
        _sign_in(page, demo)
        _is_live(page)
        second = page.context.new_page()
        second.goto(demo.address)
        second.get_by_role("button", name="Sign out").click()
        expect(second.get_by_role("button", name="Sign in")).to_be_visible()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=10_000)


def test_the_page_comes_back_when_the_hub_does(
    chromium: Browser, tmp_path: Path, rendered: Callable[[Path], Path]
) -> None:
    data = rendered(tmp_path / "data")
    with page_of(chromium) as page:
        with running_demo(data) as first:
            page.goto(first.link)
            _is_live(page)
            port = urlsplit(first.address).port
            assert port is not None
        expect(page.locator('.view[data-live="no"]')).to_have_count(1, timeout=20_000)
        with running_demo(data, port):
            _is_live(page)
            expect(page.get_by_role("heading", name="Consentry")).to_be_visible()
            expect(page.get_by_role("region", name="Enrolled people").get_by_text("Eileen")).to_be_visible()
