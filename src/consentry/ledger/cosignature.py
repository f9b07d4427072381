"""Cosignatures: a witness says that a checkpoint contradicts nothing it saw (C2SP `tlog-cosignature`).

Type 4: Ed25519, with the time. The line goes beside the log's own signature on the same note.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consentry.ledger.checkpoint import (
    KEY_ID_BYTES,
    VerifierKey,
    open_note,
    signature_line,
    split_note,
)

_TIME = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class WitnessKey(VerifierKey):
    """The public half of a witness's key, under the witness's name."""

    TYPE: ClassVar[bytes] = b"\x04"

    def check(self, text: bytes, signature: bytes) -> None:
        """Raise unless `signature`, a time and what Ed25519 made of it, is this witness's over `text`.

        Raises:
            InvalidSignature: it is not.
        """
        if len(signature) < _TIME.size:
            raise InvalidSignature
        (unix_s,) = _TIME.unpack(signature[: _TIME.size])
        self.public.verify(signature[_TIME.size :], _message(text, unix_s))


def cosign(text: str, name: str, key: Ed25519PrivateKey, unix_s: int) -> str:
    """The signature line of a witness.

    Args:
        text: A checkpoint's text.
        name: The witness's; non-empty, without spaces and `+`.
        key: The witness's.
        unix_s: When it does so, seconds since 1970 UTC.
    """
    key_id = WitnessKey(name, key.public_key()).key_id()
    signature = key.sign(_message(text.encode(), unix_s))
    return signature_line(name, key_id + _TIME.pack(unix_s) + signature)


def cosignature_in(note: str, key: WitnessKey) -> str:
    """The signature line of witness `key` in `note`, once it has been verified.

    Raises:
        LedgerBroken: there is none, or it is wrong.
    """
    open_note(note, key)
    _, signatures = split_note(note)
    return next(
        signature_line(name, signed)
        for name, signed in signatures
        if name == key.name and signed[:KEY_ID_BYTES] == key.key_id()
    )


def _message(text: bytes, unix_s: int) -> bytes:
    return b"cosignature/v1\ntime %d\n" % unix_s + text
