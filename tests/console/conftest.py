"""A headless Chromium, a running demo, and a small server without cameras, for the tests of the pages."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Error, Page, WebSocket, sync_playwright

from consentry.cli.serving import BUILTIN_VIDEO

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DEMO = [sys.executable, "-c", "from consentry.cli.root import main; main()", "demo"]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Headless Chromium, or a skip that says what is missing."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs Chromium, which is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        except Error as error:
            pytest.skip(f"needs Chromium, and {path} does not start: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@dataclass
class Seen:
    """What a page did besides showing itself."""

    errors: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)


@contextmanager
def page_of(browser: Browser, *, width: int = 1360, height: int = 850, dark: bool = False) -> Iterator[Page]:
    """A page in a browser profile of its own."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light"
    )
    try:
        yield context.new_page()
    finally:
        context.close()


def watch(page: Page) -> Seen:
    """Note errors and hosts from now on."""
    seen = Seen()

    def on_request(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob"):
            seen.hosts.add(parts.netloc)

    def on_socket(socket: WebSocket) -> None:
        on_request(socket.url)

    page.on(
        "console", lambda said: seen.errors.append(said.text) if said.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("request", lambda request: on_request(request.url))
    page.on("websocket", on_socket)
    return seen


@dataclass
class Demo:
    """`consentry demo` as a process."""

    process: subprocess.Popen[str]
    address: str
    link: str
    password: str | None


@contextmanager
def running_demo(data: Path, port: int = 0) -> Iterator[Demo]:
    """The demo on `data`, ended in order afterwards."""
    command = [*DEMO, "--data", str(data), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "Stop it with" in line:
                break
        try:
            address = re.search(r"^Consentry demo: (\S+)$", said, re.MULTILINE)
            link = re.search(r"(\S+/demo-login\S+)", said)
            password = re.search(r"with the password (\S+)", said)
            assert address, said
            assert link, said
            yield Demo(process, address.group(1), link.group(1), password.group(1) if password else None)
        finally:
            process.terminate()
            process.wait(30)


@pytest.fixture(scope="module")
def rendered(demo_clip: Path) -> Callable[[Path], Path]:
    """Makes a demo folder in which the video is already rendered."""

    def make(data: Path) -> Path:
        data.mkdir()
        shutil.copy(demo_clip, data / BUILTIN_VIDEO)
        return data

    return make


@dataclass(frozen=True)
class Small:
    """A server without cameras: its address, and a cookie for Playwright that signs in its owner."""

    address: str
    token: str

    def signed_in(self, page: Page) -> None:
        """Give the browser the session."""
        page.context.add_cookies([{"name": "consentry_session", "value": self.token, "url": self.address}])


@contextmanager
def small_server(folder: Path, *what: str) -> Iterator[Small]:
    """`small_server.py` in a process of its own: NiceGUI can serve one application in each process."""
    script = Path(__file__).with_name("small_server.py")
    command = [sys.executable, str(script), str(folder), *what]
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        line = process.stdout.readline().split()
        assert len(line) == 2, "the small server did not start"
        try:
            yield Small(*line)
        finally:
            process.stdin.close()
            process.wait(30)
