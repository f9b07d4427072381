"""Blobs are whole or absent, and a changed one is never taken for the original."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consentry.errors import DataDamaged
from consentry.store.blobs import Blobs, is_own_name


@given(content=st.binary(max_size=2000))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_comes_back(tmp_path: Path, content: bytes) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.write(content)
    assert name == hashlib.sha256(content).hexdigest()
    assert blobs.read(name) == content
    assert (blobs.folder / name).stat().st_mode & 0o777 == 0o600


def test_a_written_blob_is_the_only_file(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    assert list(blobs.names()) == []
    name = blobs.write(b"sealed")
    assert list(blobs.names()) == [name]
    blobs.remove(name)
    blobs.remove(name)  # a second removal does no harm
    assert list(blobs.names()) == []


def test_a_changed_blob_is_refused(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    name = blobs.write(b"sealed")
    (blobs.folder / name).write_bytes(b"Sealed")
    with pytest.raises(DataDamaged, match="has changed since it was written"):
        blobs.read(name)


def test_a_missing_blob_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(DataDamaged, match="is missing"):
        Blobs(tmp_path).read("0" * 64)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("a" * 64, True),
        ("a" * 64 + ".part", True),
        ("A" * 64, False),
        ("notes.txt", False),
        ("a" * 63, False),
    ],
)
def test_own_names(name: str, own: bool) -> None:
    assert is_own_name(name) is own
