"""Proofs that a log holds an entry, as text that needs no log to check: C2SP `tlog-proof`, version 1."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from consentry.errors import ReceiptInvalid
from consentry.ledger.checkpoint import Checkpoint, VerifierKey, open_note
from consentry.ledger.tree import HASH_BYTES, leaf_hash, verify_inclusion

HEADER = "c2sp.org/tlog-proof@v1"
MOST_HASHES = 63
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_AS_PRINTED = "Give the whole text as it was printed"


@dataclass(frozen=True, slots=True)
class Proof:
    """That one entry is in a log.

    Attributes:
        index: Position of the entry, from 0.
        path: Sibling hashes from the leaf up, 32 bytes each.
        checkpoint: The signed note over the log, with the cosignatures of witnesses if there are any.
        extra: Whatever came along; nothing vouches for it.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def text(self) -> str:
        """The proof as a `.tlog-proof` file."""
        extra = "" if self.extra is None else f"extra {_encoded(self.extra)}\n"
        path = "".join(f"{_encoded(sibling)}\n" for sibling in self.path)
        return f"{HEADER}\n{extra}index {self.index}\n{path}\n{self.checkpoint}"


def parse_proof(text: str) -> Proof:
    """The reverse of `Proof.text`; says nothing yet about whether it proves anything.

    Raises:
        ReceiptInvalid: it is no such proof.
    """
    head, gap, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not gap or lines[0] != HEADER:
        raise ReceiptInvalid(f"this is no proof: it does not begin with {HEADER}", _AS_PRINTED)
    rest = lines[1:]
    extra = _decoded(rest.pop(0).removeprefix("extra ")) if rest and rest[0].startswith("extra ") else None
    index = rest.pop(0).removeprefix("index ") if rest and rest[0].startswith("index ") else ""
    if not _NUMBER.fullmatch(index):
        raise ReceiptInvalid("the proof does not say which entry it is about", _AS_PRINTED)
    path = tuple(_decoded(line) for line in rest)
    if len(path) > MOST_HASHES or any(len(sibling) != HASH_BYTES for sibling in path):
        raise ReceiptInvalid("the proof's hashes are not those of a tree", _AS_PRINTED)
    return Proof(int(index), path, checkpoint, extra)


def verify_proof(proof: Proof, leaf: bytes, verifier: VerifierKey) -> Checkpoint:
    """The checkpoint under which `leaf` is in the log of `verifier`.

    Args:
        proof: What is to be shown.
        leaf: The entry, byte by byte as the log has it (canonical JSON).
        verifier: The log's public key, known from elsewhere.

    Raises:
        LedgerBroken: the checkpoint is not signed by that key.
        ReceiptInvalid: the checkpoint is another log's, or the entry does not lead to it.
    """
    checkpoint = Checkpoint.parse(open_note(proof.checkpoint, verifier))
    if checkpoint.origin != verifier.name:
        raise ReceiptInvalid(
            f"the checkpoint is of the log {checkpoint.origin}, the key of {verifier.name}",
            "Give the key of the log that the proof is from",
        )
    if not verify_inclusion(leaf_hash(leaf), proof.index, checkpoint.size, proof.path, checkpoint.root):
        raise ReceiptInvalid(
            f"the entry does not lead to the signed checkpoint as number {proof.index}",
            "Entry or proof was changed, or they do not belong together",
        )
    return checkpoint


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(line: str) -> bytes:
    try:
        data = base64.b64decode(line, validate=True)
    except ValueError:
        data = b""
    if _encoded(data) != line:
        raise ReceiptInvalid("a line of the proof is no base64", _AS_PRINTED)
    return data
