"""Encrypting to age recipients and back, in small pieces, with this project's errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyrage

from consentry.errors import BackupRefused, UsageError
from consentry.store.failures import mapped_errors

CHUNK_BYTES = 1024 * 1024
Take = Callable[[bytes], object]


def read_recipients(given: Sequence[str]) -> list[pyrage.x25519.Recipient]:
    """Age recipients from their text, `age1…`.

    Raises:
        UsageError: there is none, or one is malformed.
    """
    if not given:
        raise UsageError(
            "nobody is named who may open the backup",
            "Give --to age1…, or set backup.recipient; `age-keygen` makes a pair of keys",
        )
    recipients = []
    for number, text in enumerate(given, start=1):
        try:
            recipients.append(pyrage.x25519.Recipient.from_str(text))
        except pyrage.RecipientError:
            raise UsageError(
                f"recipient {number} is no age recipient", "Give the public key, which begins with age1"
            ) from None
    return recipients


def read_identities(path: Path) -> list[pyrage.x25519.Identity]:
    """The secret keys in a file as `age-keygen` writes it.

    Raises:
        UsageError: it holds none, or cannot be read. The message never repeats what it holds.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        identities = [
            pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")
        ]
    except (OSError, UnicodeDecodeError, pyrage.IdentityError):
        identities = []
    if not identities:
        raise UsageError(
            f"{path} holds no age identity",
            "Give the file that age-keygen made",
        )
    return identities


@dataclass
class _Source:
    """Pulled by age; keeps what went wrong, of which age would pass on the text only."""

    chunks: Iterator[bytes]
    failure: BaseException | None = None
    _held: bytes = b""

    def read(self, size: int) -> bytes:
        try:
            while not self._held:
                self._held = next(self.chunks)
        except StopIteration:
            return b""
        except BaseException as error:
            self.failure = error
            raise
        piece, self._held = self._held[:size], self._held[size:]
        return piece


@dataclass
class _Sink:
    """Pushed by age; keeps what went wrong."""

    take: Take
    failure: BaseException | None = None

    def write(self, data: bytes) -> int:
        try:
            self.take(bytes(data))
        except BaseException as error:
            self.failure = error
            raise
        return len(data)


def encrypt(chunks: Iterator[bytes], take: Take, recipients: Sequence[pyrage.x25519.Recipient]) -> None:
    """Encrypt `chunks` to `recipients` and give the result to `take`. Raises what these two raise."""
    source, sink = _Source(chunks), _Sink(take)
    try:
        pyrage.encrypt_io(source, sink, recipients)
    except (pyrage.EncryptError, OSError):
        failure = source.failure or sink.failure
        if failure is None:
            raise
        raise failure from None


def decrypt(
    path: Path, take: Callable[[bytes], object], identities: Sequence[pyrage.x25519.Identity]
) -> None:
    """Give the content of `path` to `take`, piece by piece, each shown to be whole and in its place.

    Raises:
        BackupRefused: it is not encrypted to these identities, cut off, changed, or no age file.
        DiskFull, DataDamaged, EnvironmentLack: it cannot be read.
        Whatever `take` raises.
    """
    sink = _Sink(take)
    with mapped_errors(path), path.open("rb") as file:
        source = _Source(iter(lambda: file.read(CHUNK_BYTES), b""))
        try:
            pyrage.decrypt_io(source, sink, identities)
        except (pyrage.DecryptError, OSError) as error:
            failure = source.failure or sink.failure
            if failure is not None:
                raise failure from None
            if "No matching keys" in str(error):
                raise BackupRefused(
                    f"{path} is not encrypted to the identity given",
                    "Give that of one of its recipients",
                ) from None
            raise BackupRefused(
                f"{path} is damaged, cut off, or no backup", "Take another copy or another backup"
            ) from None
