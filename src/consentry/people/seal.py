"""Sealing: AES-256-GCM with a fresh random 96-bit nonce, bound to what the ciphertext is and whose it is.

A sealed value is one version byte, the nonce, the ciphertext and its 16-byte tag. The associated data is
the canonical JSON of scheme, scope of the key, kind and record id, so a ciphertext that is moved to
another row, another person or another site does not open there.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from enum import StrEnum

import rfc8785
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from consentry.errors import DataDamaged

KEY_BYTES = 32
NONCE_BYTES = 12
_VERSION = b"\x01"


class Kind(StrEnum):
    """What a sealed value is."""

    KEY_CHECK = "key-check"
    LEDGER_SEED = "ledger-seed"
    CAMERA_URL = "camera-url"
    PERSON_KEY = "person-key"
    NAME = "name"
    CONSENT = "consent"
    TEMPLATE = "template"
    PHOTO = "photo"
    TOTP = "totp"
    SIGN_IN_STEP = "sign-in-step"


class SealingKey:
    """A 32-byte secret and what it may be used for. Never prints its secret.

    Args:
        secret: 32 random bytes.
        scope: Whose key it is: a site's UUID, or that and a person's id.
    """

    __slots__ = ("_aead", "_pseudonym_key", "_scope")

    def __init__(self, secret: bytes, scope: str) -> None:
        if len(secret) != KEY_BYTES:
            raise DataDamaged(f"a sealing key must have {KEY_BYTES} bytes, this one has {len(secret)}")
        self._aead = AESGCM(secret)
        self._scope = scope
        self._pseudonym_key = HKDF(SHA256(), KEY_BYTES, salt=None, info=b"consentry pseudonym 1").derive(
            secret
        )

    def __repr__(self) -> str:
        return f"SealingKey(***, scope={self._scope!r})"

    def seal(self, plain: bytes, kind: Kind, record_id: str) -> bytes:
        """`plain` sealed for the record `record_id`; 29 bytes longer."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return _VERSION + nonce + self._aead.encrypt(nonce, plain, self._bound_to(kind, record_id))

    def open(self, sealed: bytes, kind: Kind, record_id: str) -> bytes:
        """What was sealed for the record `record_id`.

        Raises:
            DataDamaged: one bit differs, it was sealed for another record, or with another key.
        """
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if sealed[:1] != _VERSION or len(nonce) != NONCE_BYTES:
            raise _does_not_open(kind)
        try:
            return self._aead.decrypt(nonce, ciphertext, self._bound_to(kind, record_id))
        except InvalidTag:
            raise _does_not_open(kind) from None

    def pseudonym(self, subject_id: str) -> str:
        """HMAC-SHA-256 of `subject_id`, hexadecimal, under a key derived from this one (HKDF, RFC 5869)."""
        return hmac.new(self._pseudonym_key, subject_id.encode(), hashlib.sha256).hexdigest()

    def _bound_to(self, kind: Kind, record_id: str) -> bytes:
        return rfc8785.dumps(["consentry-seal-1", self._scope, kind.value, record_id])


def _does_not_open(kind: Kind) -> DataDamaged:
    return DataDamaged(
        f"a sealed {kind.value} does not open: it was changed, moved or sealed with another key",
        "Run `consentry check`, or restore a backup",
    )
