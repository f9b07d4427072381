"""Signed checkpoints: C2SP `tlog-checkpoint` inside C2SP `signed-note`, with Ed25519 (signature type 1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consentry.errors import LedgerBroken
from consentry.ledger.tree import HASH_BYTES

_ED25519 = b"\x01"
_KEY_ID_BYTES = 4
_SIGNATURE_START = "\u2014 "  # em dash


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log.

    Attributes:
        origin: The log's name.
        size: Number of entries.
        root: Root hash of the tree, 32 bytes.
    """

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The three lines that get signed, each ended by a newline."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """The reverse of `text`.

        Raises:
            LedgerBroken: it is no checkpoint.
        """
        lines = text.split("\n")
        try:
            origin, size, root = lines[:3]
            checkpoint = cls(origin, int(size), base64.b64decode(root, validate=True))
        except ValueError:
            raise _no_checkpoint() from None
        if checkpoint.text() != text or checkpoint.size < 0 or len(checkpoint.root) != HASH_BYTES:
            raise _no_checkpoint()
        return checkpoint


def _no_checkpoint() -> LedgerBroken:
    return LedgerBroken("this is no checkpoint of a log", "Give the text that `ledger checkpoint` printed")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of the key that signs a log's checkpoints, under the log's name."""

    name: str
    public: Ed25519PublicKey

    def key_id(self) -> bytes:
        """SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key), first 4 bytes."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._typed()).digest()[:_KEY_ID_BYTES]

    def _typed(self) -> bytes:
        return _ED25519 + self.public.public_bytes_raw()

    def __str__(self) -> str:
        """The `vkey` form: name, key id in hexadecimal and base64 of type and key, joined by `+`."""
        return f"{self.name}+{self.key_id().hex()}+{base64.b64encode(self._typed()).decode()}"

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """The reverse of `str`.

        Raises:
            LedgerBroken: it is no Ed25519 verifier key, or its key id is wrong.
        """
        try:
            name, _, encoded = vkey.split("+", 2)
            typed = base64.b64decode(encoded, validate=True)
            key = cls(name, Ed25519PublicKey.from_public_bytes(typed[1:]))
        except ValueError:
            raise LedgerBroken("this is no Ed25519 verifier key", "Copy it again, as one line") from None
        if str(key) != vkey:
            raise LedgerBroken("this verifier key does not match its own id", "Copy it again, as one line")
        return key


def sign_note(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """`text` as a note signed by `key` in the name `name`.

    Args:
        text: Ends with a newline; has no control character but newlines.
        name: Non-empty, without spaces and `+`.
    """
    key_id = VerifierKey(name, key.public_key()).key_id()
    signature = base64.b64encode(key_id + key.sign(text.encode())).decode()
    return f"{text}\n{_SIGNATURE_START}{name} {signature}\n"


def sign_statement(kind: str, statement: bytes, key: Ed25519PrivateKey) -> bytes:
    """An Ed25519 signature on something that is no note. A note has no NUL, so neither passes for the other.

    Args:
        kind: What is signed; a signature of one kind is none of another.
    """
    return key.sign(kind.encode() + b"\x00" + statement)


def verify_statement(kind: str, statement: bytes, signature: bytes, key: VerifierKey) -> bool:
    """Whether `sign_statement` made this signature with the private half of `key`."""
    try:
        key.public.verify(signature, kind.encode() + b"\x00" + statement)
    except InvalidSignature:
        return False
    return True


def open_note(note: str, key: VerifierKey) -> str:
    """The text of `note`, once `key`'s signature on it has been found and verified.

    Signatures of other keys are ignored, as the specification asks.

    Raises:
        LedgerBroken: no signature of `key`, a wrong one, or no note at all.
    """
    text, gap, signatures = note.rpartition("\n\n")
    if not gap or not signatures.endswith("\n"):
        raise LedgerBroken("this is no signed note", "Give the text as it was printed")
    text += "\n"
    for line in signatures.removesuffix("\n").split("\n"):
        name, _, encoded = line.removeprefix(_SIGNATURE_START).partition(" ")
        if not line.startswith(_SIGNATURE_START):
            raise LedgerBroken("this is no signed note", "Give the text as it was printed")
        try:
            signed = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            signed = b""
        if base64.b64encode(signed).decode() != encoded:
            raise LedgerBroken("a signature of the note is no base64", "Copy it again")
        if name != key.name or signed[:_KEY_ID_BYTES] != key.key_id():
            continue
        try:
            key.public.verify(signed[_KEY_ID_BYTES:], text.encode())
        except InvalidSignature:
            raise LedgerBroken("the signature on the note is wrong", "Someone changed it") from None
        return text
    raise LedgerBroken(f"the note bears no signature of {key.name}", "Check whose log it is from")
