"""Makes the pictures of the README anew from the running demo: `python tools/screenshots.py`.

Needs the pulled models and Chromium. Takes about a minute: the demo's video is played once, so that the
page has sightings to show, and again until both people are in the picture.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from consentry.cli.demo_setup import CAMERA
from consentry.pipeline.builtin import COLLINS, HOPPER, LENGTH_S

IMAGES = Path(__file__).parents[1] / "docs" / "images"
BOTH_FROM_S = HOPPER.enter_s + 2.5
BOTH_UNTIL_S = COLLINS.leave_s - 2.0
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WIDTH, HEIGHT = 1360, 800


def main() -> None:
    """Start the demo in a folder of its own and take `docs/images/live.png`."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("screenshots need Chromium; install it, for example with apt-get install chromium")
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from consentry.cli.root import main; main()", "demo"]
        command += ["--data", f"{folder}/consentry-demo", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as demo:
            try:
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
                    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
                    _take(page, _link(demo), IMAGES / "live.png")
                    browser.close()
            finally:
                demo.terminate()


def _link(demo: subprocess.Popen[str]) -> str:
    assert demo.stdout is not None
    for line in demo.stdout:
        found = re.search(r"http\S+/demo-login\S+", line)
        if found:
            return found.group()
    sys.exit("the demo ended before it was ready")


def _take(page: Page, link: str, path: Path) -> None:
    page.goto(link)
    page.wait_for_selector('.view[data-live="yes"]', timeout=60_000)
    address = re.sub(r"/demo-login.*", "", link)
    while not _time_s(page, address) >= LENGTH_S + BOTH_FROM_S:
        page.wait_for_timeout(100)
    while not BOTH_FROM_S <= _time_s(page, address) % LENGTH_S <= BOTH_UNTIL_S:
        page.wait_for_timeout(50)
    page.screenshot(path=path)
    print(f"{path}: {path.stat().st_size // 1024} kB")


def _time_s(page: Page, address: str) -> float:
    """Where the camera's own clock stands in the picture that is shown."""
    answer = page.request.get(f"{address}/api/v1/cameras/{CAMERA}/live.jpg")
    return float(answer.headers.get("x-time-s", "0"))


if __name__ == "__main__":
    main()
