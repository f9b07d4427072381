"""The notice: states what must be stated, never overflows, and comes out the same each time."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
import segno
from sqlalchemy import text
from tests.unit.people.kit import ACTOR, START_UNIX_S, declaration, duty, opened

from consentry.clock import SimulatedClock
from consentry.config import Server, Settings
from consentry.errors import NotDeclared, NotFound
from consentry.people.cameras import add_camera
from consentry.people.declaration import PostedNotice, declare
from consentry.people.notice import NoticeForm, print_notice, public_address
from consentry.people.site import Site

SETTINGS = Settings(server=Server(public_url="https://cameras.example.org/"))
LONG = ("Zażółć gęślą jaźń. Αυτή η κάμερα αναγνωρίζει. هذه الكاميرا. <b>$x$ #let \\ * _ " * 400)[:20_000]


def _printed(site: Site, form: NoticeForm, camera: str | None = None) -> bytes:
    return print_notice(site, SETTINGS, form, camera=camera, actor=ACTOR)


def _pages(pdf: bytes) -> int:
    found = re.search(rb"/Type/Pages/Count (\d+)", pdf)
    assert found is not None
    return int(found[1])


def _paths(svg: bytes) -> int:
    return svg.count(b"<use ") + svg.count(b"<path ")


def test_the_same_declaration_gives_the_same_bytes_on_any_day(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock, declared=True) as site:
        first = {form: _printed(site, form) for form in ("pdf", "svg")}
        clock.advance(86_400.0)
        assert {form: _printed(site, form) for form in ("pdf", "svg")} == first
        assert _pages(first["pdf"]) == 1
        with site.read() as session:
            logged = session.execute(
                text(
                    "SELECT payload_json FROM ledger_payload JOIN ledger_entry USING (seq) "
                    "WHERE event = 'notice.printed' ORDER BY seq"
                )
            ).scalars()
            entries = [json.loads(entry) for entry in logged]
        assert [entry["sha256"] for entry in entries] == 2 * [
            hashlib.sha256(made).hexdigest() for made in first.values()
        ]


def test_what_hangs_at_a_camera_differs_from_what_hangs_elsewhere(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        add_camera(site, name="door", url="rtsp://192.0.2.1/", duty=duty(), actor=ACTOR)
        add_camera(site, name="till", url="rtsp://192.0.2.2/", duty=duty("canteen"), actor=ACTOR)
        everywhere, door = _printed(site, "svg"), _printed(site, "svg", "door")
        assert _paths(door) > _paths(everywhere)
        assert b"192.0.2" not in door
        with pytest.raises(NotFound):
            _printed(site, "svg", "gate")
        with pytest.raises(NotDeclared, match="canteen"):
            _printed(site, "svg", "till")


def test_nothing_to_hang_before_a_declaration_or_after_it_is_overdue(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock) as site:
        with pytest.raises(NotDeclared):
            _printed(site, "pdf")
        declare(site, declaration(review_due_on=site.today() + timedelta(days=1)), actor=ACTOR)
        _printed(site, "pdf")
        clock.advance(3 * 86_400.0)
        with pytest.raises(NotDeclared):
            _printed(site, "pdf")


@pytest.mark.parametrize("words", [LONG, "x" * 20_000], ids=["scripts", "one word"])
def test_a_long_text_goes_on_over_pages_and_markup_is_text(tmp_path: Path, words: str) -> None:
    long = declaration().model_copy(
        update={
            "notice": PostedNotice(text=words, posted_at="at the door"),
            "controller": "Ω" * 500,
            "contact": "#import " + "y" * 490,
        }
    )
    with opened(tmp_path) as site:
        declare(site, long, actor=ACTOR)
        assert _pages(_printed(site, "pdf")) > 3
        svg = _printed(site, "svg")
        size = re.match(rb'<svg viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
        assert size is not None
        width, height = float(size[1]), float(size[2])
        assert width == pytest.approx(595.28, abs=0.01)  # A4; one page, as long as it takes
        assert height > 2 * 842
        rightmost = max(float(x) for x in re.findall(rb'transform="translate\(([\d.]+) ', svg))
        assert rightmost < width


def test_the_code_leads_to_the_public_page() -> None:
    assert public_address(SETTINGS) == "https://cameras.example.org/transparency"
    assert public_address(Settings()) == "http://127.0.0.1:8080/transparency"
    modules, _ = segno.make(public_address(SETTINGS), error="m", micro=False).symbol_size()
    assert modules <= 41  # on 60 mm, so that each is larger than a millimetre


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://", "https://a b/", "https://u:p@x/", "ftp://x/"]
)
def test_what_is_no_public_address(url: str) -> None:
    with pytest.raises(ValueError, match="public_url"):
        Server(public_url=url)
