"""A witness: remembers what it saw of a log and cosigns only what continues it (C2SP `tlog-witness`).

It belongs on another machine than the log, under another person's hand. It needs Python and `cryptography`
and nothing else of this project than the modules named below.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import logging
import os
import re
import threading
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consentry.clock import Clock
from consentry.errors import DataDamaged, DiskFull, EnvironmentLack, LedgerBroken, UsageError
from consentry.ledger.checkpoint import Checkpoint, VerifierKey, open_note, split_note
from consentry.ledger.cosignature import WitnessKey, cosign
from consentry.ledger.tree import EMPTY_ROOT, HASH_BYTES, verify_consistency

MOST_PROOF_HASHES = 63
MOST_EVIDENCE = 1000
SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"
KEY_FILE, SEEN_FILE, LOCK_FILE, REFUSED_FOLDER = "key.json", "seen.json", "lock", "refused"
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")

log = logging.getLogger("consentry.witness")


@dataclass(frozen=True, slots=True)
class Submission:
    """What a log asks a witness to cosign.

    Attributes:
        old_size: Of the checkpoint that the witness cosigned last, as far as the log knows; 0: none.
        proof: That the log still begins with those entries (RFC 6962 section 2.1.2).
        note: The new checkpoint, signed by the log.
    """

    old_size: int
    proof: tuple[bytes, ...]
    note: str

    def text(self) -> str:
        """The body of the request."""
        hashes = "".join(f"{base64.b64encode(one).decode()}\n" for one in self.proof)
        return f"old {self.old_size}\n{hashes}\n{self.note}"

    @classmethod
    def parse(cls, body: bytes) -> Submission:
        """The reverse of `text`.

        Raises:
            ValueError: it is no such thing.
        """
        head, gap, note = body.decode("utf-8").partition("\n\n")
        first, *lines = head.split("\n")
        old = _OLD.fullmatch(first)
        if old is None:
            raise ValueError("no old size")
        proof = tuple(base64.b64decode(line, validate=True) for line in lines)
        submission = cls(int(old[1]), proof, note)
        if not gap or len(proof) > MOST_PROOF_HASHES or any(len(one) != HASH_BYTES for one in proof):
            raise ValueError("no proof that a witness reads")
        if submission.text() != body.decode("utf-8"):
            raise ValueError("not in the form that is specified")
        return submission


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness says: an HTTP status and a body."""

    status: HTTPStatus
    body: str
    media_type: str = TEXT_TYPE


class Witness:
    """One witness with its memory; safe to share between threads. At most one per folder.

    Args:
        folder: Where it keeps key and memory; made if it is new.
        logs: The public keys of the logs it knows, each named as its log is.
        clock: For the time in its cosignatures.

    Raises:
        UsageError: two keys for one log.
        DataDamaged: it has lost its memory or its key, or they cannot be read.
        EnvironmentLack: another process is this witness.
        DiskFull: the folder cannot be written to.
    """

    def __init__(self, folder: Path, logs: Sequence[VerifierKey], clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._logs = {key.name: key for key in logs}
        if len(self._logs) != len(logs):
            raise UsageError("two keys for one log", "Give each log once")
        self._changing = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / REFUSED_FOLDER).mkdir(mode=0o700, exist_ok=True)
            self._hold = (folder / LOCK_FILE).open("ab")
        except OSError as error:
            raise _cannot_write(folder, error) from None
        try:
            fcntl.flock(self._hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._hold.close()
            raise EnvironmentLack(
                f"another process is the witness of {folder}", "Stop it, or give another folder"
            ) from None
        try:
            self._seen = self._read_or_begin()
            self._name, self._key = self._read_key()
        except BaseException:
            self._hold.close()
            raise
        self.public = WitnessKey(self._name, self._key.public_key())

    def close(self) -> None:
        """Let another process be this witness."""
        self._hold.close()

    def add_checkpoint(self, body: bytes) -> Answer:
        """Cosign a checkpoint, or say why not. What it cosigns is on the disk before it answers.

        Args:
            body: Of the request.
        """
        try:
            asked = Submission.parse(body)
            text, _ = split_note(asked.note)
            offered = _checkpoint_of(text)
        except (ValueError, LedgerBroken):
            return Answer(HTTPStatus.BAD_REQUEST, "this is no request for a cosignature\n")
        key = self._logs.get(offered.origin)
        if key is None:
            return Answer(HTTPStatus.NOT_FOUND, "this witness does not know that log\n")
        try:
            open_note(asked.note, key)
        except LedgerBroken:
            return Answer(HTTPStatus.FORBIDDEN, "the checkpoint is not signed by the log's key\n")
        if asked.old_size > offered.size:
            return Answer(HTTPStatus.BAD_REQUEST, "the old size is larger than the new one\n")
        with self._changing:
            try:
                return self._judge(asked, text, offered)
            except OSError as error:
                log.error("cannot keep what it has seen: %s", error.strerror)
                return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, "the witness cannot write to its disk\n")

    def _judge(self, asked: Submission, text: str, offered: Checkpoint) -> Answer:
        """Answer a checkpoint that its log has signed, the lock being held."""
        note = self._seen.get(offered.origin)
        known = None if note is None else _checkpoint_of(split_note(note)[0])
        old_size, old_root = (known.size, known.root) if known else (0, EMPTY_ROOT)
        if note is not None and offered.size == old_size and offered.root != old_root:
            self._keep_evidence(note, asked.note)
            return Answer(HTTPStatus.CONFLICT, f"{old_size}\n", SIZE_TYPE)
        if asked.old_size != old_size:
            log.warning("%s asks to go on from %s, not %s", offered.origin, asked.old_size, old_size)
            return Answer(HTTPStatus.CONFLICT, f"{old_size}\n", SIZE_TYPE)
        follows = verify_consistency(old_size, old_root, offered.size, offered.root, asked.proof)
        if not follows or (offered.size == 0 and offered.root != EMPTY_ROOT):
            log.warning("%s does not continue the log of %s entries seen before", offered.origin, old_size)
            return Answer(HTTPStatus.UNPROCESSABLE_ENTITY, "the proof does not hold\n")
        if known != offered:
            seen = self._seen | {offered.origin: asked.note}
            self._write(SEEN_FILE, seen)
            self._seen = seen
        line = cosign(text, self._name, self._key, int(self._clock.unix_s()))
        return Answer(HTTPStatus.OK, line)

    def _keep_evidence(self, known: str, offered: str) -> None:
        """Keep two signed checkpoints of one size that differ: they convict whoever holds the log's key."""
        both = f"{known}\n{offered}"
        name = f"{REFUSED_FOLDER}/{hashlib.sha256(both.encode()).hexdigest()[:16]}.json"
        log.error("two histories of one size: see %s", self._folder / name)
        kept = list((self._folder / REFUSED_FOLDER).iterdir())
        if self._folder / name not in kept and len(kept) < MOST_EVIDENCE:
            self._write(name, {"cosigned": known, "refused": offered})

    def _read_or_begin(self) -> dict[str, str]:
        """What it has seen: a signed checkpoint for each log. Key and memory live and die together."""
        path = self._folder / SEEN_FILE
        if not path.exists():
            if (self._folder / KEY_FILE).exists():
                raise DataDamaged(
                    f"this witness has lost its memory, {path}",
                    "Begin another one in an empty folder, and give its new key to the log",
                )
            self._write(SEEN_FILE, {})
        seen = _read_json(path)
        with suppress(LedgerBroken):
            for origin, note in seen.items():
                if _checkpoint_of(split_note(note)[0]).origin != origin:
                    break
            else:
                return seen
        raise _unreadable(path)

    def _read_key(self) -> tuple[str, Ed25519PrivateKey]:
        """Name and key, made first if there are none."""
        path = self._folder / KEY_FILE
        if not path.exists():
            if self._seen:
                raise DataDamaged(
                    f"this witness has lost its key, {path}", "Begin another in an empty folder"
                )
            seed = Ed25519PrivateKey.generate().private_bytes_raw()
            name = f"consentry/witness/{uuid.uuid4()}"
            self._write(KEY_FILE, {"name": name, "seed": base64.b64encode(seed).decode()})
        kept = _read_json(path)
        try:
            seed = base64.b64decode(kept["seed"], validate=True)
            return kept["name"], Ed25519PrivateKey.from_private_bytes(seed)
        except (KeyError, ValueError):
            raise _unreadable(path) from None

    def _write(self, name: str, content: dict[str, str]) -> None:
        """Put a file in its place, whole and on the disk, or not at all.

        Raises:
            OSError: it could not be written.
        """
        path = self._folder / name
        begun = path.with_suffix(".new")
        descriptor = os.open(begun, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        begun.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _checkpoint_of(text: str) -> Checkpoint:
    """The checkpoint in a note's text, which may have more lines than the three that matter here."""
    return Checkpoint.parse("".join(text.splitlines(keepends=True)[:3]))


def _read_json(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise _unreadable(path) from None
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise _unreadable(path)
    return content


def _unreadable(path: Path) -> DataDamaged:
    return DataDamaged(
        f"{path} of this witness cannot be read", "Begin another in an empty folder, give the log its new key"
    )


def _cannot_write(path: Path, error: OSError) -> DiskFull:
    return DiskFull(f"the witness cannot write to {path}: {error.strerror}", "Give a folder of its own")
