"""The scan that proves an erasure finds what is there, wherever it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consentry.people import scan as scan_module
from consentry.people.scan import Hit, Needle, pieces, scan_for


def test_it_reads_every_file(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("consentry.db", "consentry.db-wal", "deep/er/blob", ".hidden"):
        (tmp_path / name).write_bytes(b"..." + name.encode() + b"...")
    (tmp_path / "link").symlink_to(tmp_path / "consentry.db")
    needles = [Needle(name, name.encode()) for name in ("-wal", "er/blob", ".hidden", "absent")]
    scan = scan_for(tmp_path, needles)
    assert set(scan.hits) == {
        Hit("-wal", "consentry.db-wal"),
        Hit("er/blob", "deep/er/blob"),
        Hit(".hidden", ".hidden"),
    }
    assert scan.files == 4


@given(place=st.integers(0, 900), length=st.integers(1, 80))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_sees_across_the_edges_of_its_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int, length: int
) -> None:
    monkeypatch.setattr(scan_module, "_CHUNK_BYTES", 100)
    needle = b"N" * length
    (tmp_path / "file").write_bytes(b"." * place + needle + b"." * 50)
    assert scan_for(tmp_path, [Needle("it", needle), Needle("not", needle + b"N")]).hits == (
        Hit("it", "file"),
    )


def test_a_file_that_vanishes_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"needle")
    monkeypatch.setattr(Path, "is_file", lambda _path: True)  # the folder below counts as a file now gone
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    monkeypatch.setattr(Path, "is_symlink", lambda _path: False)
    assert scan_for(tmp_path, [Needle("it", b"needle")]).hits == (Hit("it", "a"),)


@given(length=st.integers(33, 4000), count=st.integers(2, 6), seed=st.integers(0, 2**32))
def test_pieces_are_parts_from_start_to_end(length: int, count: int, seed: int) -> None:
    content = np.random.default_rng(seed).bytes(length)
    found = [needle.content for needle in pieces("it", content, count)]
    assert 1 <= len(found) <= count
    assert all(len(piece) == 32 and piece in content for piece in found)
    assert content.startswith(found[0])
    assert content.endswith(found[-1])


def test_pieces_that_say_nothing_are_passed_over() -> None:
    telling = bytes(range(32))
    assert pieces("it", bytes(3200), 4) == []
    assert pieces("it", bytes(640) + telling + bytes(640), 3) == [Needle("it", telling)]


def test_what_is_shorter_is_looked_for_whole() -> None:
    assert pieces("it", b"short", 4) == [Needle("it", b"short")]
