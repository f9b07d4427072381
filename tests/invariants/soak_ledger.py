"""Tampers with a ledger in thousands of ways and counts how often that is found out.

    python -m tests.invariants.soak_ledger --mutations 10000 [--seed 1]

Prints one JSON line with the counts; ends with 1 if anything went unnoticed. Each mutation is made on a fresh
copy of the same log, on real tables. What someone with the site key has made consistent again (an older state
put back, a history written anew and signed) no log can tell by itself: there a checkpoint that was kept
elsewhere, and a witness, must tell.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, text

from consentry.clock import SimulatedClock
from consentry.errors import DataDamaged, LedgerBroken
from consentry.ledger.checkpoint import Checkpoint, open_note, sign_note, split_note
from consentry.ledger.entry import Event
from consentry.ledger.log import Ledger
from consentry.ledger.witness import Submission, Witness
from consentry.store.database import Database, open_database

ORIGIN = "consentry/ledger/soak"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LEDGER = Ledger(ORIGIN, KEY)
START_UNIX_MS = 1_800_000_000_000
ENTRIES = {"small": 24, "large": 270}
LARGE_SHARE = 0.04
KEPT_AT = 0.6
TABLES = {
    "ledger_entry": "seq",
    "ledger_payload": "seq",
    "ledger_head": "id",
    "ledger_tile": "level, tile_index",
    "cosignature": "witness",
}


@dataclass
class Log:
    """A ledger to tamper with.

    Attributes:
        database: Where it is.
        size: Number of its entries.
        kept: A checkpoint of when it was smaller, kept elsewhere.
        witness: Has cosigned `kept`, and remembers.
        chance: Where the choices come from.
    """

    database: Database
    size: int
    kept: str
    witness: Witness
    chance: random.Random = field(default_factory=random.Random)

    def one(self, connection: Connection, query: str, **values: Any) -> Any:
        """One row of a query, at random."""
        return self.chance.choice(connection.execute(text(query), values).all())

    def seq(self) -> int:
        """The number of an entry."""
        return self.chance.randrange(self.size)

    def flipped(self, value: Any) -> Any:
        """A value that is not the same: a bit, a character or the type is another."""
        if value is None:
            return "ab" * 32
        if isinstance(value, int):
            return value + self.chance.choice([-1, 1, 1000, 1 << 40])
        raw = bytearray(value if isinstance(value, bytes) else value.encode())
        if not raw or self.chance.random() < 0.1:
            return self.chance.choice([b"\x00", "x"])
        raw[self.chance.randrange(len(raw))] ^= 1 << self.chance.randrange(7)
        return bytes(raw) if isinstance(value, bytes) else raw.decode("utf-8", errors="replace")


def append(connection: Connection, seq: int, *, word: str = "") -> None:
    """Entry number `seq` of the history; another one if there is a `word`."""
    person = f"{seq % 3 + 1:064x}" if seq % 2 else None
    event = Event.PERSON_VIEWED if seq % 2 else Event.VIEW_OPENED
    payload: dict[str, str | int] = {"what": f"live:{seq}{word}"}
    if seq == 13:
        LEDGER.erase_payloads(connection, person or "")
        event = Event.PERSON_WITHDRAWN
    elif seq == 16:
        LEDGER.delete_payloads(connection, START_UNIX_MS + 5)
        event, payload = Event.LEDGER_PAYLOADS_DELETED, {"before_unix_ms": START_UNIX_MS + 5}
    LEDGER.append(
        connection,
        event=event,
        actor=f"user:{seq % 4}",
        time_unix_ms=START_UNIX_MS + seq,
        payload=payload,
        subject_pseudonym=person,
    )


def build(folder: Path, size: int, chance: random.Random) -> Log:
    """A log of `size` entries, with erased payloads and a cosignature, and what is kept of it elsewhere."""
    database = open_database(folder / "data")
    witness = Witness(folder / "witness", [LEDGER.verifier], SimulatedClock())
    with database.write() as session:
        connection = session.connection()
        LEDGER.start(connection)
        for seq in range(round(KEPT_AT * size)):
            append(connection, seq)
        kept = LEDGER.checkpoint(connection)
        answer = witness.add_checkpoint(Submission(0, (), kept).text().encode())
        cosigned = f"{split_note(kept)[0]}\n{answer.body}"
        connection.execute(
            text("INSERT INTO cosignature VALUES (:witness, :size, :note, 0, '')"),
            {"witness": str(witness.public), "size": round(KEPT_AT * size), "note": cosigned},
        )
        for seq in range(round(KEPT_AT * size), size):
            append(connection, seq)
    with database.read() as session:
        assert LEDGER.verify(session.connection()).size == size
        LEDGER.verify_extends(session.connection(), kept)
    return Log(database, size, kept, witness, chance)


def change_entry(log: Log, connection: Connection) -> None:
    """Any column of any entry."""
    column = log.chance.choice(
        ["seq", "time_unix_ms", "event", "actor", "subject_pseudonym", "payload_commitment"]
    )
    seq = log.seq()
    before = log.one(connection, f"SELECT {column} FROM ledger_entry WHERE seq = :seq", seq=seq)[0]
    after = None if column == "subject_pseudonym" and log.chance.random() < 0.3 else log.flipped(before)
    if column == "seq":
        after = log.chance.choice([-1, log.size, log.size + 7, 1 << 40])
    connection.execute(
        text(f"UPDATE ledger_entry SET {column} = :after WHERE seq = :seq"), {"after": after, "seq": seq}
    )


def delete_entry(log: Log, connection: Connection) -> None:
    """With its payload or without."""
    seq = log.seq()
    if log.chance.random() < 0.7:
        connection.execute(text("DELETE FROM ledger_payload WHERE seq = :seq"), {"seq": seq})
    connection.execute(text("DELETE FROM ledger_entry WHERE seq = :seq"), {"seq": seq})
    if log.chance.random() < 0.5:
        _close_gap(connection, seq)


def insert_entry(log: Log, connection: Connection) -> None:
    """At the end, or in between, the others making room."""
    seq = log.chance.randrange(log.size + 1)
    for table in ("ledger_payload", "ledger_entry"):
        connection.execute(text(f"UPDATE {table} SET seq = -1 - seq WHERE seq >= :seq"), {"seq": seq})
        connection.execute(text(f"UPDATE {table} SET seq = -seq WHERE seq < 0"))
    other = 0 if seq else 1
    connection.execute(
        text(
            "INSERT INTO ledger_entry SELECT :seq, time_unix_ms, event, actor, subject_pseudonym,"
            " payload_commitment FROM ledger_entry WHERE seq = :other"
        ),
        {"seq": seq, "other": other},
    )
    if log.chance.random() < 0.5:
        connection.execute(text("INSERT INTO ledger_payload VALUES (:seq, x'00', '{}')"), {"seq": seq})


def reorder_entries(log: Log, connection: Connection) -> None:
    """Two of them change places, with their payloads or without; or several move on by one."""
    first, second = sorted(log.chance.sample(range(log.size), 2))
    places = list(range(first, second + 1))
    moved = [*places[1:], places[0]] if log.chance.random() < 0.5 else [places[-1], *places[1:-1], places[0]]
    tables = ["ledger_entry", "ledger_payload"][: log.chance.randint(1, 2)]
    for table in tables:
        for place, target in zip(places, moved, strict=True):
            connection.execute(
                text(f"UPDATE {table} SET seq = -1 - :target WHERE seq = :place"),
                {"target": target, "place": place},
            )
        connection.execute(text(f"UPDATE {table} SET seq = -1 - seq WHERE seq < 0"))


def change_payload(log: Log, connection: Connection) -> None:
    """Its text, its salt or its place."""
    seq = log.one(connection, "SELECT seq FROM ledger_payload")[0]
    column = log.chance.choice(["salt", "payload_json", "seq"])
    before = log.one(connection, f"SELECT {column} FROM ledger_payload WHERE seq = :seq", seq=seq)[0]
    after = log.chance.choice([-1, log.size, 1 << 40]) if column == "seq" else log.flipped(before)
    connection.execute(
        text(f"UPDATE ledger_payload SET {column} = :after WHERE seq = :seq"), {"after": after, "seq": seq}
    )


def exchange_payloads(log: Log, connection: Connection) -> None:
    """Each of two entries gets the other's."""
    seqs = connection.execute(text("SELECT seq FROM ledger_payload")).scalars().all()
    first, second = log.chance.sample(list(seqs), 2)
    for before, after in ((first, -1), (second, first), (-1, second)):
        connection.execute(
            text("UPDATE ledger_payload SET seq = :after WHERE seq = :before"),
            {"after": after, "before": before},
        )


def drop_payload(log: Log, connection: Connection) -> None:
    """One that nobody agreed to lose."""
    seq = log.one(connection, "SELECT seq FROM ledger_payload")[0]
    connection.execute(text("DELETE FROM ledger_payload WHERE seq = :seq"), {"seq": seq})


def add_payload(log: Log, connection: Connection) -> None:
    """To an entry whose own is gone, or to none."""
    gone = (
        connection.execute(
            text("SELECT seq FROM ledger_entry WHERE seq NOT IN (SELECT seq FROM ledger_payload)")
        )
        .scalars()
        .all()
    )
    seq = log.chance.choice([*gone, log.size, log.size + 5])
    salt = log.chance.randbytes(32)
    connection.execute(
        text("INSERT INTO ledger_payload VALUES (:seq, :salt, '{}')"), {"seq": seq, "salt": salt}
    )


def change_tile(log: Log, connection: Connection) -> None:
    """Its bytes, its length, its place, or whether it is there."""
    level, index, hashes = log.one(connection, "SELECT level, tile_index, hashes FROM ledger_tile")
    here = {"level": level, "tile_index": index}
    this = "WHERE level = :level AND tile_index = :tile_index"
    kind = log.chance.randrange(5)
    if kind == 0:
        connection.execute(text(f"DELETE FROM ledger_tile {this}"), here)
    elif kind == 1:
        connection.execute(
            text("INSERT INTO ledger_tile VALUES (:level + 3, :tile_index, :hashes)"),
            {**here, "hashes": hashes},
        )
    elif kind == 2:
        connection.execute(text(f"UPDATE ledger_tile SET tile_index = tile_index + 9 {this}"), here)
    else:
        other = (
            log.flipped(hashes) if kind == 3 else log.chance.choice([hashes[:-32], hashes * 2, hashes[1:]])
        )
        connection.execute(text(f"UPDATE ledger_tile SET hashes = :hashes {this}"), {**here, "hashes": other})


def change_frontier(log: Log, connection: Connection) -> None:
    """A bit, the length or the order."""
    before = log.one(connection, "SELECT frontier FROM ledger_head")[0]
    after = log.chance.choice([log.flipped(before), before[:-32], before * 2, b"", before[32:] + before[:32]])
    connection.execute(text("UPDATE ledger_head SET frontier = :after"), {"after": after})


def change_checkpoint(log: Log, connection: Connection) -> None:
    """A character, another signer, an older one, or none."""
    before = log.one(connection, "SELECT checkpoint FROM ledger_head")[0]
    head = Checkpoint.parse(open_note(before, LEDGER.verifier))
    signed_by_another = sign_note(head.text(), ORIGIN, Ed25519PrivateKey.generate())
    signed_for_one_more = sign_note(Checkpoint(ORIGIN, head.size + 1, head.root).text(), ORIGIN, KEY)
    after = log.chance.choice([None, log.flipped(before), signed_by_another, signed_for_one_more, log.kept])
    if after is None:
        connection.execute(text("DELETE FROM ledger_head"))
    else:
        connection.execute(text("UPDATE ledger_head SET checkpoint = :after"), {"after": after})


def change_cosignature(log: Log, connection: Connection) -> None:
    """What a witness is said to have cosigned."""
    column = log.chance.choice(["note", "size", "witness"])
    before = log.one(connection, f"SELECT {column} FROM cosignature")[0]
    connection.execute(text(f"UPDATE cosignature SET {column} = :after"), {"after": log.flipped(before)})


def cut_to_an_older_state(log: Log, connection: Connection) -> None:
    """All tables as they were, signature and tiles included."""
    _rewrite(connection, log.chance.randrange(1, round(KEPT_AT * log.size)))


def rewrite_and_sign_anew(log: Log, connection: Connection) -> None:
    """With the real key: an entry from before the kept checkpoint is another, and all the rest fits."""
    changed = log.chance.randrange(round(KEPT_AT * log.size))
    _rewrite(connection, log.chance.randrange(changed + 1, log.size + 3), changed)


Mutation = Callable[[Log, Connection], None]
DETECTED_BY_ITSELF: dict[Mutation, int] = {
    change_entry: 25,
    delete_entry: 8,
    insert_entry: 6,
    reorder_entries: 10,
    change_payload: 10,
    exchange_payloads: 4,
    drop_payload: 6,
    add_payload: 4,
    change_tile: 8,
    change_frontier: 5,
    change_checkpoint: 6,
    change_cosignature: 3,
}
DETECTED_FROM_OUTSIDE: dict[Mutation, int] = {cut_to_an_older_state: 2, rewrite_and_sign_anew: 3}
"""Each kind of mutation and how often it is drawn."""


def _rewrite(connection: Connection, size: int, changed: int | None = None) -> None:
    for table in ("ledger_payload", "ledger_entry", "ledger_head", "ledger_tile", "cosignature"):
        connection.execute(text(f"DELETE FROM {table}"))
    LEDGER.start(connection)
    for seq in range(size):
        append(connection, seq, word=" rewritten" if seq == changed else "")


def _close_gap(connection: Connection, seq: int) -> None:
    for table in ("ledger_payload", "ledger_entry"):
        connection.execute(text(f"UPDATE {table} SET seq = 1 - seq WHERE seq > :seq"), {"seq": seq})
        connection.execute(text(f"UPDATE {table} SET seq = -seq WHERE seq < 0"))


def _state(connection: Connection) -> list[tuple[Any, ...]]:
    return [
        tuple(row)
        for table, order in TABLES.items()
        for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY {order}"))
    ]


def _is_found(log: Log, mutation: Mutation, connection: Connection) -> bool:
    if mutation in DETECTED_BY_ITSELF:
        try:
            LEDGER.verify(connection)
        except LedgerBroken:
            return True
        return False
    LEDGER.verify(connection)  # by itself nobody can tell; a checkpoint kept elsewhere and a witness can
    try:
        LEDGER.verify_extends(connection, log.kept)
        return False
    except LedgerBroken:
        pass
    old_size, size = Checkpoint.parse(split_note(log.kept)[0]).size, LEDGER.signed_head(connection).size
    proof = LEDGER.prove_extends(connection, old_size) if size >= old_size else []
    asked = Submission(min(old_size, size), tuple(proof), LEDGER.checkpoint(connection))
    answer = log.witness.add_checkpoint(asked.text().encode())
    return answer.status in (HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)


def _try(log: Log, mutation: Mutation, before: list[tuple[Any, ...]]) -> bool | None:
    """Whether one mutation was found out; None if it happened to change nothing."""
    try:
        with log.database.read() as session:  # thrown away at its end
            connection = session.connection()
            connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            mutation(log, connection)
            if _state(connection) == before:
                return None
            return _is_found(log, mutation, connection)
    except DataDamaged:  # bytes that are no text: the database itself refuses to read them
        return True


def soak(mutations: int, seed: int, folder: Path) -> dict[str, Any]:
    """Tamper `mutations` times; returns what came of it."""
    chance, began_s = random.Random(seed), time.monotonic()
    logs = {name: build(folder / name, size, chance) for name, size in ENTRIES.items()}
    states = {}
    for name, log in logs.items():
        with log.database.read() as session:
            states[name] = _state(session.connection())
    weights = DETECTED_BY_ITSELF | DETECTED_FROM_OUTSIDE
    kinds: Counter[str] = Counter()
    unnoticed: list[str] = []
    while kinds.total() < mutations:
        name = "large" if chance.random() < LARGE_SHARE else "small"
        (mutation,) = chance.choices(list(weights), list(weights.values()))
        found = _try(logs[name], mutation, states[name])
        if found is None:
            continue
        kinds[mutation.__name__] += 1
        if not found:
            unnoticed.append(f"{mutation.__name__} on {name}, number {kinds.total()}")
    for log in logs.values():
        log.witness.close()
        log.database.close()
    return {
        "mutations": mutations,
        "detected": mutations - len(unnoticed),
        "seed": seed,
        "kinds": dict(sorted(kinds.items())),
        "unnoticed": unnoticed,
        "seconds": round(time.monotonic() - began_s, 1),
    }


def main() -> None:
    """The command of this module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    logging.getLogger("consentry.witness").setLevel(logging.CRITICAL)  # it complains of each, as it should
    with tempfile.TemporaryDirectory() as folder:
        result = soak(given.mutations, given.seed, Path(folder))
    print(json.dumps(result))
    sys.exit(bool(result["unnoticed"]))


if __name__ == "__main__":
    main()
