"""The proof of an erasure: looks for byte strings in every file of the data folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from consentry.store.failures import mapped_errors

PIECE_BYTES = 32
_TELLING_BYTES = 12  # different ones in a piece; random bytes have about 30, a plain surface has 1
_CHUNK_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Needle:
    """A byte string that must not be found, and what it is."""

    what: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Hit:
    """A needle that was found: what it is and the file, relative to the data folder."""

    what: str
    file: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan read and found.

    Attributes:
        files: Number of files read.
        size_bytes: How much that was.
        hits: Each pair of needle and file once.
    """

    files: int
    size_bytes: int
    hits: tuple[Hit, ...]


def scan_for(data_dir: Path, needles: Sequence[Needle]) -> Scan:
    """Look for `needles` in every file below `data_dir`: database, its log and index, blobs and all others.

    A file that vanishes meanwhile is left out.

    Raises:
        DiskFull, DataDamaged: a file cannot be read.
    """
    longest = max((len(needle.content) for needle in needles), default=1)
    files = size_bytes = 0
    hits: list[Hit] = []
    for path in sorted(data_dir.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        left = list(needles)
        files += 1
        for chunk in _chunks(path, overlap=longest - 1):
            size_bytes += len(chunk)
            found = [needle for needle in left if needle.content in chunk]
            hits += [Hit(needle.what, str(path.relative_to(data_dir))) for needle in found]
            left = [needle for needle in left if needle not in found]
    return Scan(files, size_bytes, tuple(dict.fromkeys(hits)))


def pieces(what: str, content: bytes, count: int) -> list[Needle]:
    """Up to `count` pieces of `content`, spread from its start to its end, so that a remnant is found too.

    A piece that says nothing, such as a run of zeros, would be found anywhere: the next one is taken.
    """
    if len(content) <= PIECE_BYTES:
        return [Needle(what, content)]
    last = len(content) - PIECE_BYTES
    found = {}
    for index in range(count):
        for start in range(last * index // max(1, count - 1), last + 1, PIECE_BYTES):
            piece = content[start : start + PIECE_BYTES]
            if len(set(piece)) >= _TELLING_BYTES:
                found[piece] = Needle(what, piece)
                break
    return list(found.values())


def _chunks(path: Path, *, overlap: int) -> Iterator[bytes]:
    """The content in pieces that share `overlap` bytes with the one before."""
    tail = b""
    with mapped_errors(path):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            while block := file.read(_CHUNK_BYTES):
                yield tail + block
                tail = (tail + block)[-overlap:] if overlap else b""
