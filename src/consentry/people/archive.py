"""The form of a backup: a tar stream under a signed manifest, encrypted with age.

The members, in this order: `manifest.json`; `manifest.sig`, its Ed25519 signature by the key that signs the
site's ledger; then all that the manifest lists. `age --decrypt --identity KEYS FILE | tar --extract` opens
one without this program. Reading and writing go in small pieces, so memory does not grow with the backup.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable
from typing import Annotated, Literal, Protocol

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from consentry.config import SETTINGS_FILE
from consentry.errors import BackupRefused, DataDamaged, SiteKeyMissing
from consentry.people.consent import Sha256Hex
from consentry.people.seal import Kind, SealingKey
from consentry.store.blobs import BLOBS_FOLDER
from consentry.store.database import DATABASE_FILE

MANIFEST = "manifest.json"
SIGNATURE = "manifest.sig"
SIGNATURE_BYTES = 64
MOST_MANIFEST_BYTES = 64 * 1024 * 1024
_SIGNED = b"consentry-backup-manifest-1\n"  # a signature over a manifest is one over nothing else
_BLOCK_BYTES = 512
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
_PATH = rf"^({re.escape(DATABASE_FILE)}|{re.escape(SETTINGS_FILE)}|{BLOBS_FOLDER}/[0-9a-f]{{64}})$"

Hex = Annotated[str, Field(pattern=r"^([0-9a-f]{2})+$")]
Progress = Callable[[int, int], None]
"""Told how many bytes are done, and of how many."""


class Member(BaseModel):
    """A file of the backup. Its path is one of few forms, none of which leads out of the data folder."""

    model_config = _STRICT

    path: Annotated[str, Field(pattern=_PATH)]
    size_bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256Hex


class Manifest(BaseModel):
    """What a backup holds, and what is needed to verify that the site itself made it.

    Attributes:
        form: Of the backup.
        site_uuid, site_name: Whose it is.
        schema_revision: Of the database.
        made_unix_ms: When, milliseconds since 1970 UTC.
        checkpoint: The ledger's, as the database of the backup has it.
        kdf_salt, sealed_key_check, sealed_ledger_seed: As in the table `site`, hexadecimal.
        members: In the order in which they follow.

    Raises (on validation):
        ValidationError: a field is missing, unknown or malformed, or a member is named twice.
    """

    model_config = _STRICT

    form: Literal["consentry-backup-1"]
    site_uuid: Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
    site_name: str
    schema_revision: str
    made_unix_ms: int
    checkpoint: str
    kdf_salt: Hex | None
    sealed_key_check: Hex
    sealed_ledger_seed: Hex = Field(repr=False)
    members: Annotated[tuple[Member, ...], Field(strict=False)]

    @model_validator(mode="after")
    def _members_agree(self) -> Manifest:
        paths = [member.path for member in self.members]
        if len(set(paths)) != len(paths) or paths[:1] != [DATABASE_FILE]:
            raise ValueError("the members are not a database and other files, each once")
        return self

    @property
    def size_bytes(self) -> int:
        """Of all members."""
        return sum(member.size_bytes for member in self.members)

    def ledger_key(self, key: SealingKey) -> Ed25519PrivateKey:
        """The key that signs the site's ledger, and its backups.

        Args:
            key: The site key.

        Raises:
            SiteKeyMissing: it is another site's.
        """
        try:
            key.open(bytes.fromhex(self.sealed_key_check), Kind.KEY_CHECK, self.site_uuid)
            seed = key.open(bytes.fromhex(self.sealed_ledger_seed), Kind.LEDGER_SEED, self.site_uuid)
        except DataDamaged:
            raise SiteKeyMissing(
                f"the backup is of site {self.site_uuid} (“{self.site_name}”), and the site key found is not "
                "that site's",
                "Put the key of that site in place; see docs/backup.md for where it is looked for",
            ) from None
        return Ed25519PrivateKey.from_private_bytes(seed)


def pack_manifest(manifest: Manifest, key: SealingKey) -> tuple[bytes, bytes]:
    """The manifest as canonical JSON (RFC 8785), and its signature."""
    packed = rfc8785.dumps(manifest.model_dump(mode="json"))
    return packed, manifest.ledger_key(key).sign(_SIGNED + packed)


def parse_manifest(packed: bytes) -> Manifest:
    """A manifest, as yet unverified.

    Raises:
        BackupRefused: it is none of this version's.
    """
    try:
        return Manifest.model_validate_json(packed)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the whole"
        raise BackupRefused(
            f"the manifest of the backup is not in order, at {where}",
            "Was it made by a newer version? Then update Consentry; else take another backup",
        ) from None


def verify_manifest(manifest: Manifest, packed: bytes, signature: bytes, key: SealingKey) -> None:
    """Whether the site itself signed this manifest.

    Raises:
        SiteKeyMissing: the key is another site's.
        BackupRefused: the signature is wrong: somebody else made or changed the backup.
    """
    try:
        manifest.ledger_key(key).public_key().verify(signature, _SIGNED + packed)
    except InvalidSignature:
        raise BackupRefused(
            "the signature of the backup is wrong: it was made or changed by somebody else",
            "Take another backup",
        ) from None


def tar_header(path: str, size_bytes: int) -> bytes:
    """The header of a member, as GNU tar writes it."""
    info = tarfile.TarInfo(path)
    info.size, info.mode = size_bytes, 0o600
    return info.tobuf(tarfile.GNU_FORMAT)


def tar_padding(size_bytes: int) -> bytes:
    """What follows a member's content."""
    return bytes(-size_bytes % _BLOCK_BYTES)


TAR_END = bytes(2 * _BLOCK_BYTES)


class Receiver(Protocol):
    """Takes the members of an archive, one after the other."""

    def begin(self, path: str, size_bytes: int) -> None:
        """A member follows."""

    def content(self, chunk: bytes) -> None:
        """The next piece of it."""

    def end(self) -> None:
        """It is complete."""


class Untarring:
    """Takes a tar stream piece by piece. Anything but plain files is refused.

    Args:
        receiver: Gets the members.
    """

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._held = bytearray()
        self._left = self._padding = 0
        self._ended = False

    def take(self, data: bytes) -> None:
        """The next piece.

        Raises:
            BackupRefused: this is no tar stream, or it holds a link, a folder or a device.
        """
        self._held += data
        while self._step():
            pass

    def finish(self) -> None:
        """There is no more.

        Raises:
            BackupRefused: the stream has no end.
        """
        if not self._ended or self._left:
            raise BackupRefused("the backup is not complete", "Take another backup")

    def _step(self) -> bool:
        if self._left:
            piece = bytes(self._held[: self._left])
            del self._held[: self._left]
            self._left -= len(piece)
            if piece:
                self._receiver.content(piece)
            if piece and not self._left:
                self._receiver.end()
            return bool(piece)
        if self._padding:
            passed = min(self._padding, len(self._held))
            del self._held[:passed]
            self._padding -= passed
            return passed > 0
        if len(self._held) < _BLOCK_BYTES:
            return False
        block = bytes(self._held[:_BLOCK_BYTES])
        del self._held[:_BLOCK_BYTES]
        self._header(block)
        return True

    def _header(self, block: bytes) -> None:
        if not any(block):
            self._ended = True
            return
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError, ValueError):
            info = None
        if info is None or self._ended:
            raise BackupRefused("this is no backup of Consentry", "Give the file that `backup` wrote")
        if info.type != tarfile.REGTYPE or info.size < 0:
            raise BackupRefused(
                f"the backup holds {info.name!r}, which is no plain file: nobody's backup has that",
                "Somebody else made it: do not use it",
            )
        self._receiver.begin(info.name, info.size)
        self._left, self._padding = info.size, -info.size % _BLOCK_BYTES
        if not info.size:
            self._receiver.end()
