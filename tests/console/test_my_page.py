"""The whole way of a person through their own page, in a browser: see, take a copy, correct, withdraw."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Download, Error, Page, expect
from tests.console.conftest import page_of, watch
from tests.unit.people.kit import ACTOR, FakeAnalyser, consent, kept_without_photo, photo
from tests.unit.server.kit import Running, png, running

from consentry.people.enrol import Photo, enrol
from consentry.people.links import hand_out_link
from consentry.people.receipts import verify_receipt
from consentry.people.roster import list_people

pytestmark = pytest.mark.browser

MARKUP = "<script>document.title='taken'</script> <b>Söhne</b>"
PHONE, DESKTOP = (390, 844), (1360, 850)


def enrolled_with_pictures(server: Running, name: str) -> str:
    """Somebody whose photos a browser can show; returns their personal link."""
    made = enrol(
        server.site,
        FakeAnalyser(),
        name=name,
        photos=[Photo("a", png(1, pose, size=64), photo(1, pose).bgr) for pose in (0, 1)],
        consent=consent(),
        actor=ACTOR,
    )
    return f"{server.address}/my/{hand_out_link(server.site, made.person_id, actor=ACTOR)}"


def fits(page: Page) -> bool:
    """Whether nothing sticks out at the side."""
    return bool(page.evaluate("document.scrollingElement.scrollWidth <= window.innerWidth"))


def saved(download: Download, folder: Path) -> Path:
    target = folder / download.suggested_filename
    download.save_as(target)
    return target


@pytest.mark.parametrize(("wh", "dark"), [(PHONE, True), (DESKTOP, False)])
@pytest.mark.parametrize("name", ["Ada Example", MARKUP])
def test_open_see_take_a_copy_correct_and_withdraw(
    chromium: Browser, tmp_path: Path, wh: tuple[int, int], dark: bool, name: str
) -> None:
    with (
        running(tmp_path, declared=True) as server,
        page_of(chromium, width=wh[0], height=wh[1], dark=dark) as page,
    ):
        link = enrolled_with_pictures(server, name)
        seen = watch(page)
        page.goto(link)
        page.wait_for_url(f"{server.address}/my")
        expect(page.get_by_role("heading", name="What is held about you")).to_be_visible()
        expect(page.get_by_role("definition").filter(has_text=name).first).to_have_text(name)
        assert page.title() == "What is held about you · Consentry"
        assert fits(page)
        pictures = page.get_by_role("img", name=re.compile("^Photo "))
        expect(pictures).to_have_count(2)
        for picture in pictures.all():
            picture.scroll_into_view_if_needed()
            expect(picture).to_have_js_property("naturalWidth", 64)

        with page.expect_download() as copied:
            page.get_by_role("link", name="Download everything (ZIP)").click()
        with zipfile.ZipFile(saved(copied.value, tmp_path)) as archive:
            assert {"person.json", "photo-1.png", "receipt-1.json"} <= set(archive.namelist())

        page.get_by_label("Name", exact=True).fill(f"{name} Jr")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text("Your name has been corrected.")
        page.get_by_label("Add newer photos").set_input_files(
            {"name": "new.png", "mimeType": "image/png", "buffer": png(2, 1, size=64)}
        )
        page.get_by_role("button", name="Add photos").click()
        expect(page.get_by_role("alert")).to_contain_text("not the one enrolled")

        page.get_by_role("link", name="Withdraw…").click()
        expect(page.get_by_text("2 templates of your face")).to_be_visible()
        assert fits(page)
        page.get_by_role("button", name="Withdraw and erase everything").click()
        expect(page.get_by_role("heading", name="You have withdrawn")).to_be_visible()
        with page.expect_download() as proof:
            page.get_by_role("link", name="Save the receipt (JSON)").click()
        receipt = saved(proof.value, tmp_path).read_bytes()
        verify_receipt(receipt, str(server.site.ledger.verifier))
        assert fits(page)
        assert list_people(server.site) == []
        assert page.context.cookies() == []
        assert page.locator("script").count() == 0
        assert seen.hosts == {server.address.removeprefix("http://")}
        assert [error for error in seen.errors if "422" not in error] == []
        page.goto(link)
        expect(page.get_by_role("heading", name="This link leads nowhere")).to_be_visible()
        with pytest.raises(Error, match="ERR_CACHE_MISS"):  # nothing was kept to go back to
            page.go_back()


def test_by_keyboard_alone_and_for_somebody_whose_photo_was_refused(
    chromium: Browser, tmp_path: Path
) -> None:
    with running(tmp_path, declared=True) as server, page_of(chromium, width=390, height=844) as page:
        cleo = kept_without_photo(server.site, 3, "Cleo Refused")
        seen = watch(page)
        page.goto(f"{server.address}/my/{hand_out_link(server.site, cleo, actor=ACTOR)}")
        page.wait_for_url(f"{server.address}/my")
        expect(page.get_by_text("No photo of you could be used (")).to_be_visible()
        page.get_by_label("Add newer photos").set_input_files(
            {"name": "new.png", "mimeType": "image/png", "buffer": png(3, 1, size=64)}
        )
        reach(page, "Add photos")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text("Your photo has been added.")
        reach(page, "Withdraw…")
        page.keyboard.press("Enter")
        page.wait_for_url("**/my/withdraw")
        reach(page, "Withdraw and erase everything")
        page.keyboard.press("Space")
        expect(page.get_by_role("heading", name="You have withdrawn")).to_be_visible()
        assert seen.errors == []
        assert list_people(server.site) == []


def reach(page: Page, words: str) -> None:
    """Press Tab until the link or button with these words has the focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == words:
            return
    raise AssertionError(f"the Tab key does not lead to “{words}”")
