"""Signed checkpoints: C2SP `tlog-checkpoint` inside C2SP `signed-note`, with Ed25519 (signature type 1)."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import ClassVar, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from consentry.errors import LedgerBroken
from consentry.ledger.tree import HASH_BYTES

KEY_ID_BYTES = 4
MOST_SIGNATURES = 64
SIGNATURE_START = "\u2014 "  # em dash


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

    #: Signature type of C2SP `signed-note`: the text as it is, signed with Ed25519.
    TYPE: ClassVar[bytes] = b"\x01"

    def key_id(self) -> bytes:
        """SHA-256(name ‖ 0x0A ‖ type ‖ public key), first 4 bytes."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._typed()).digest()[:KEY_ID_BYTES]

    def check(self, text: bytes, signature: bytes) -> None:
        """Raise unless `signature` is this key's over `text`.

        Raises:
            InvalidSignature: it is not.
        """
        self.public.verify(signature, text)

    def _typed(self) -> bytes:
        return self.TYPE + self.public.public_bytes_raw()

    def __str__(self) -> str:
        """The `vkey` form: name, key id in hexadecimal and base64 of type and key, joined by `+`."""
        return f"{self.name}+{self.key_id().hex()}+{base64.b64encode(self._typed()).decode()}"

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """The reverse of `str`.

        Raises:
            LedgerBroken: it is no Ed25519 verifier key of this type, or its key id is wrong.
        """
        try:
            name, _, encoded = vkey.split("+", 2)
            typed = base64.b64decode(encoded, validate=True)
            key = cls(name, Ed25519PublicKey.from_public_bytes(typed[1:]))
        except ValueError:
            raise LedgerBroken("this is no Ed25519 verifier key", "Copy it again, as one line") from None
        if typed[:1] != cls.TYPE:
            raise LedgerBroken(
                f"this verifier key is of type {typed[0]}, not {cls.TYPE[0]}",
                "A log's key is of type 1, a witness's of type 4: give the other one",
            )
        if str(key) != vkey or not name or any(character.isspace() for character in name):
            raise LedgerBroken("this verifier key does not match its own id", "Copy it again, as one line")
        return key


def sign_note(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """`text` as a note signed by `key` in the name `name`.

    Args:
        text: Ends with a newline; has no control character but newlines.
        name: Non-empty, without spaces and `+`.
    """
    key_id = VerifierKey(name, key.public_key()).key_id()
    return f"{text}\n{signature_line(name, key_id + key.sign(text.encode()))}"


def signature_line(name: str, signed: bytes) -> str:
    """One line of a note's signatures; `signed` is the key id and what follows it."""
    return f"{SIGNATURE_START}{name} {base64.b64encode(signed).decode()}\n"


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """The text of `note`, and of each signature the name and bytes, none of them verified.

    Raises:
        LedgerBroken: it is no note.
    """
    text, gap, lines = note.rpartition("\n\n")
    signatures = lines.removesuffix("\n").split("\n")
    if not gap or not lines.endswith("\n") or len(signatures) > MOST_SIGNATURES:
        raise LedgerBroken("this is no signed note", "Give the text as it was printed")
    return f"{text}\n", [_read_signature(line) for line in signatures]


def _read_signature(line: str) -> tuple[str, bytes]:
    name, _, encoded = line.removeprefix(SIGNATURE_START).partition(" ")
    if not line.startswith(SIGNATURE_START):
        raise LedgerBroken("this is no signed note", "Give the text as it was printed")
    try:
        signed = base64.b64decode(encoded, validate=True)
    except ValueError:
        signed = b""
    if base64.b64encode(signed).decode() != encoded:
        raise LedgerBroken("a signature of the note is no base64", "Copy it again")
    return name, signed


def open_note(note: str, key: VerifierKey) -> str:
    """The text of `note`, once `key`'s signature on it has been found and verified.

    Signatures of other keys are ignored, as the specification asks.

    Raises:
        LedgerBroken: no signature of `key`, a wrong one, or no note at all.
    """
    text, signatures = split_note(note)
    for name, signed in signatures:
        if name != key.name or signed[:KEY_ID_BYTES] != key.key_id():
            continue
        try:
            key.check(text.encode(), signed[KEY_ID_BYTES:])
        except (InvalidSignature, UnicodeEncodeError):
            raise LedgerBroken("the signature on the note is wrong", "Someone changed it") from None
        return text
    raise LedgerBroken(f"the note bears no signature of {key.name}", "Check whose log it is from")
