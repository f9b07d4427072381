"""One golden clip through the whole command line, compared row by row with what it gave before."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from consentry.cli.root import main
from consentry.models.catalogue import Catalogue
from consentry.models.store import ModelStore

pytestmark = pytest.mark.models
TABLE = Path(__file__).parent / "clip.json"


def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """One command; what it printed."""
    monkeypatch.setattr(sys, "argv", ["consentry", *map(str, arguments)])
    main_exit = 0
    try:
        main()
    except SystemExit as end:
        main_exit = int(end.code or 0)
    captured = capsys.readouterr()
    assert main_exit == 0, captured.err
    return captured.out


def rows(printed: str) -> list[dict[str, Any]]:
    """The JSON lines of `watch --jsonl`."""
    return [json.loads(line) for line in printed.splitlines()]


def test_the_clip_gives_the_expected_table(
    demo_clip: Path,
    model_store: ModelStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    photo = tmp_path / "collins.png"
    photo.write_bytes(model_store.path(Catalogue.load().entry("eileen-collins")).read_bytes())
    monkeypatch.setenv("CONSENTRY_VISION__RUNTIME", "onnxruntime")
    site = tmp_path / "site"
    call(monkeypatch, capsys, "declare", "--demo", "--data", site)
    call(monkeypatch, capsys, "person", "enrol", "Eileen Collins", photo, "--consent-demo", "--data", site)
    (person,) = json.loads(call(monkeypatch, capsys, "person", "list", "--json", "--data", site))
    out = tmp_path / "redacted.mp4"
    found = rows(call(monkeypatch, capsys, "watch", demo_clip, "--jsonl", "--out", out, "--data", site))
    expected = json.loads(TABLE.read_text(encoding="utf-8"))
    assert len(found) == len(expected)
    for row, wanted in zip(found[:-1], expected[:-1], strict=True):
        assert row["track"] == wanted["track"]
        assert row["decision"] == wanted["decision"]
        assert row["first_s"] == pytest.approx(wanted["first_s"], abs=0.15)
        assert row["last_s"] == pytest.approx(wanted["last_s"], abs=0.15)
        assert row["frames"] == pytest.approx(wanted["frames"], abs=3)
        assert row["score"] == pytest.approx(wanted["score"], abs=0.02)
        assert row["margin"] == pytest.approx(wanted["margin"], abs=0.02)
        assert row["quality"] == pytest.approx(wanted["quality"], abs=0.1)
        assert row["crops"] == wanted["crops"]
        assert row["threshold"] == wanted["threshold"]
        assert row["best_xyxy"] == pytest.approx(wanted["best_xyxy"], abs=8)
        assert row["person"] == ({"id": person["id"], "name": "Eileen Collins"} if wanted["known"] else None)
        assert row["model"] == Catalogue.load().entry("mobilefacenet-512").sha256
        assert row["calibration"] == wanted["calibration"]
        assert len(row["gallery_digest"]) == 64
    summary, wanted = found[-1]["summary"], expected[-1]
    assert {key: summary[key] for key in wanted} == wanted
    assert out.stat().st_size > 100_000


def test_the_contract_of_the_lines(
    demo_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scripts rely on these keys; nobody is enrolled, so nobody is known."""
    site = tmp_path / "site"
    call(monkeypatch, capsys, "declare", "--demo", "--data", site)
    found = rows(call(monkeypatch, capsys, "watch", demo_clip, "--jsonl", "--max-seconds", 5, "--data", site))
    track = {
        "camera", "track", "first_s", "last_s", "frames", "decision", "person", "score", "margin", "quality",
        "best_xyxy", "model", "calibration",
    }  # fmt: skip
    assert len(found) == 2
    assert track <= set(found[0])
    assert found[0]["decision"] == "unknown"
    assert found[0]["reason"] == "nobody is enrolled"
    assert set(found[1]["summary"]) == {
        "frames_read", "frames_decoded", "frames_analysed", "faces", "tracks", "drops", "seconds",
    }  # fmt: skip
    assert found[1]["summary"]["frames_analysed"] == 75
