"""Entries made up for these tests: any bytes can be given a name in a catalogue."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from consentry.models.catalogue import ModelEntry

EntryMaker = Callable[..., ModelEntry]


@pytest.fixture(scope="session")
def make_entry() -> EntryMaker:
    """`make_entry(content, **changes)`: a valid picture entry for the bytes `content`."""

    def make(content: bytes = b"weights", **changes: object) -> ModelEntry:
        row: dict[str, object] = {
            "name": "sample",
            "kind": "picture",
            "pack": "trial",
            "source": "pypi:sample==1.0",
            "file": "sample/weights.bin",
            "size_bytes": max(1, len(content)),
            "sha256": hashlib.sha256(content).hexdigest(),
            "licence": "CC0-1.0",
            "intended_use": "Tests.",
            "limits": "None known.",
        }
        return ModelEntry.model_validate(row | changes)

    return make
