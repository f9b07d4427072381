"""Bad input on the command line: one line with cause and mend, the right exit code, nothing half-written."""

from __future__ import annotations

import json
import socket
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from consentry.cli.root import main
from consentry.clock import SystemClock
from consentry.media import VideoWriter
from consentry.models.catalogue import Catalogue
from consentry.models.store import ModelStore
from consentry.people.roster import list_people
from consentry.people.site import Site
from consentry.types import Picture

pytestmark = pytest.mark.models


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    exit_code: int
    out: str
    error: str


Run = Callable[..., Answer]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line in this process."""

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["consentry", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "400")
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


@pytest.fixture
def site(run: Run, tmp_path: Path) -> Path:
    """A demo installation without anyone."""
    folder = tmp_path / "site"
    assert run("declare", "--demo", "--data", folder).exit_code == 0
    return folder


@pytest.fixture
def portrait(model_store: ModelStore, tmp_path: Path) -> Path:
    """Eileen Collins as a file."""
    path = tmp_path / "collins.png"
    path.write_bytes(model_store.path(Catalogue.load().entry("eileen-collins")).read_bytes())
    return path


def refused(answer: Answer, exit_code: int, *words: str) -> None:
    """One line on standard error with these words, nothing on standard output, no traceback."""
    assert answer.exit_code == exit_code, answer
    assert answer.error.count("\n") == 1, answer.error
    assert answer.error.startswith("error: ")
    assert "Traceback" not in answer.error
    for word in words:
        assert word in answer.error, answer.error
    assert answer.out == ""


def nobody_enrolled(site: Path) -> None:
    """The site has no person and no file but its own."""
    with Site.open(site, clock=SystemClock()) as opened:
        assert list_people(opened) == []
    assert [path for path in (site / "blobs").rglob("*") if path.is_file()] == []


def huge_png() -> bytes:
    """A PNG that says it is 20 000×20 000 and would take 1.2 GB to decode."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\0" * 60_001 * 20_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("note.jpg", b"this is a text, not a photo", ("note.jpg",)),
        ("empty.png", b"", ("empty.png",)),
        ("huge.png", huge_png(), ("20000",)),
    ],
)
def test_what_is_no_usable_photo_is_refused_everywhere(
    name: str, content: bytes, words: tuple[str, ...], run: Run, site: Path, portrait: Path, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    refused(run("verify", portrait, path), 1, *words)
    refused(run("redact", path, tmp_path / "out.jpg"), 1, *words)
    assert not (tmp_path / "out.jpg").exists()
    refused(run("person", "enrol", "A", path, "--consent-demo", "--data", site), 1)
    nobody_enrolled(site)


def test_a_missing_photo_is_named(run: Run, portrait: Path, tmp_path: Path) -> None:
    refused(run("verify", portrait, tmp_path / "nowhere.jpg"), 1, "nowhere.jpg")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda face: np.full((300, 300, 3), 128, np.uint8), ("no face",)),
        (lambda face: np.hstack([face, face]), ("2 faces",)),
        (
            lambda face: cv2.copyMakeBorder(
                cv2.resize(face, None, fx=0.23, fy=0.23, interpolation=cv2.INTER_AREA), 90, 90, 90, 90, 0
            ),
            ("px wide", "48"),
        ),
    ],
    ids=["no face", "two faces", "a 20-pixel face"],
)
def test_photos_that_cannot_be_enrolled(
    make: Callable[[Picture], Picture],
    words: tuple[str, ...],
    run: Run,
    site: Path,
    collins_bgr: Picture,
    tmp_path: Path,
) -> None:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), make(collins_bgr))
    refused(run("person", "enrol", "A", path, "--consent-demo", "--data", site), 1, "photo.png", *words)
    nobody_enrolled(site)


@pytest.mark.parametrize(
    ("name", "content"),
    [("text.mp4", b"no video at all"), ("empty.mp4", b""), ("folder.mp4", None)],
)
def test_what_is_no_video(name: str, content: bytes | None, run: Run, site: Path, tmp_path: Path) -> None:
    path, out = tmp_path / name, tmp_path / "out.mp4"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    answer = run("watch", path, "--jsonl", "--out", out, "--data", site)
    refused(answer, 1, name)
    assert not list(tmp_path.glob("out.mp4*"))


def test_a_truncated_video_gives_what_it_has_and_says_so(
    run: Run, site: Path, demo_clip: Path, tmp_path: Path
) -> None:
    """An index at the front and half of the frames."""
    path = tmp_path / "cut.mp4"
    path.write_bytes(demo_clip.read_bytes()[: demo_clip.stat().st_size // 2])
    answer = run("watch", path, "--jsonl", "--max-seconds", 30, "--data", site)
    assert answer.exit_code == 0, answer
    summary = json.loads(answer.out.splitlines()[-1])["summary"]
    assert 50 < summary["frames_analysed"] < 360
    assert summary["drops"], "a loss must be counted"


def test_a_wrong_codec_is_named(run: Run, site: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    with VideoWriter(path, frame_wh=(64, 64), fps=10) as writer:
        for number in range(5):
            writer.write(np.zeros((64, 64, 3), np.uint8), number / 10)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz9"))
    refused(run("watch", path, "--data", site), 1, "odd.mp4")


def test_a_host_that_never_answers(run: Run, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTRY_MEDIA__OPEN_TIMEOUT_S", "1")
    monkeypatch.setenv("CONSENTRY_MEDIA__READ_TIMEOUT_S", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        answer = run("watch", f"rtsp://admin:hunter2@127.0.0.1:{port}/live", "--data", site)
    refused(answer, 1, f"127.0.0.1:{port}")
    assert "hunter2" not in answer.error


def test_a_host_that_refuses(run: Run, site: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    answer = run("watch", f"http://admin:hunter2@127.0.0.1:{port}/live.mjpg", "--data", site)
    refused(answer, 1, f"127.0.0.1:{port}")
    assert "hunter2" not in answer.error


def consent(**changes: object) -> dict[str, object]:
    """A consent document as docs/consent.md has it, changed."""
    text = (Path(__file__).parents[2] / "docs" / "consent.md").read_text(encoding="utf-8")
    start = text.index("```json consent") + len("```json consent")
    document: dict[str, object] = json.loads(text[start : text.index("```", start)])
    return document | changes


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        (
            {
                "purpose": "verification",
                "given_on": "2020-01-01T00:00:00Z",
                "valid_from": "2020-01-01T00:00:00Z",
                "valid_until": "2021-01-01T00:00:00Z",
            },
            "2021",
        ),
        ({"purpose": "another purpose"}, "another purpose"),
        ({"unknown_field": 1}, "unknown_field"),
    ],
    ids=["expired", "for another purpose", "with an unknown field"],
)
def test_a_consent_that_does_not_hold(
    changes: dict[str, object], word: str, run: Run, site: Path, portrait: Path, tmp_path: Path
) -> None:
    path = tmp_path / "consent.json"
    path.write_text(json.dumps(consent(**changes)), encoding="utf-8")
    answer = run("person", "enrol", "Ada Example", portrait, "--consent", path, "--data", site)
    assert answer.exit_code in (1, 2)
    refused(answer, answer.exit_code, word)
    nobody_enrolled(site)


def test_enrolment_without_consent_is_wrong_usage(run: Run, site: Path, portrait: Path) -> None:
    assert run("person", "enrol", "A", portrait, "--data", site).exit_code == 2
    nobody_enrolled(site)


def test_a_site_without_declaration_does_not_identify(run: Run, demo_clip: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with Site.open(folder, clock=SystemClock(), create=True):
        pass
    refused(run("watch", demo_clip, "--data", folder), 1, "declare")


def test_a_video_is_never_written_over_its_source(run: Run, site: Path, demo_clip: Path) -> None:
    before = demo_clip.read_bytes()
    refused(run("watch", demo_clip, "--out", demo_clip, "--data", site), 2, "overwrite")
    refused(run("redact", demo_clip, demo_clip), 2, "overwrite")
    assert demo_clip.read_bytes() == before


def test_a_wrong_setting_is_named(run: Run, tmp_path: Path, portrait: Path) -> None:
    (tmp_path / "consentry.toml").write_text("[recognition]\nfpir = 7\n")
    refused(run("verify", portrait, portrait, "--data", tmp_path), 2, "recognition.fpir")
    (tmp_path / "consentry.toml").write_text("not toml at all")
    refused(run("verify", portrait, portrait, "--data", tmp_path), 2, "consentry.toml")


def test_models_that_are_not_there(
    run: Run, portrait: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSENTRY_MODELS_DIR", str(tmp_path / "no-models"))
    refused(run("verify", portrait, portrait), 3, "models pull")
    answer = run("doctor", "--json", "--data", tmp_path)
    assert answer.exit_code == 3
    findings = {item["name"]: item for item in json.loads(answer.out)["findings"]}
    assert findings["model centerface"]["state"] == "missing"
    assert "models pull" in findings["model centerface"]["mend"]
    assert findings["disk"]["state"] == "ok"


def test_doctor_is_content_on_a_good_machine(run: Run, site: Path) -> None:
    answer = run("doctor", "--json", "--data", site)
    assert answer.exit_code == 0, answer
    names = {item["name"] for item in json.loads(answer.out)["findings"]}
    assert {"consentry", "libraries", "processor", "runtime", "disk", "clock", "site"} <= names


def test_probe_says_what_a_source_is(run: Run, demo_clip: Path) -> None:
    answer = run("camera", "probe", demo_clip, "--json")
    assert answer.exit_code == 0, answer
    found = json.loads(answer.out)
    assert (found["kind"], found["codec"], found["frame_wh"]) == ("file", "h264", [960, 540])
    refused(run("camera", "probe", "nowhere.mp4"), 1, "nowhere.mp4")
