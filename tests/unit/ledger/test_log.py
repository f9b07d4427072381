"""The ledger on real tables: whoever changes, removes, adds or reorders an entry is found out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from consentry.errors import LedgerBroken, NotFound, UsageError
from consentry.ledger import tables
from consentry.ledger.checkpoint import Checkpoint, open_note
from consentry.ledger.entry import Event
from consentry.ledger.log import Ledger
from consentry.ledger.tiles import tile_shapes
from consentry.ledger.tree import leaf_hash, verify_inclusion
from consentry.store.database import Database, open_database
from consentry.store.schema import Base

LEDGER = Ledger("consentry/ledger/test", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
COUNT = 9
PSEUDONYM = "ab" * 32


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path)
    with database.write() as session:
        LEDGER.start(session.connection())
    yield database
    database.close()


@contextmanager
def _rolled_back(database: Database) -> Iterator[Connection]:
    """A connection whose changes are thrown away."""
    with database.read() as session:
        yield session.connection()


def _fill(connection: Connection, count: int = COUNT) -> None:
    for number in range(count):
        LEDGER.append(
            connection,
            event=Event.PERSON_VIEWED,
            actor=f"user {number}",
            time_unix_ms=1_800_000_000_000 + number,
            payload={"number": number},
            subject_pseudonym=PSEUDONYM if number % 2 else None,
        )


def test_named_columns_are_the_tables_own() -> None:
    for named in (tables.ENTRY, tables.PAYLOAD, tables.HEAD, tables.TILE, tables.COSIGNATURE):
        assert list(named.c.keys()) == list(Base.metadata.tables[named.name].c.keys())


def test_an_empty_log_verifies(database: Database) -> None:
    with _rolled_back(database) as connection:
        state = LEDGER.verify(connection)
    assert (state.size, state.payloads_kept, state.payloads_erased) == (0, 0, 0)


def test_what_was_appended_verifies(database: Database) -> None:
    with database.write() as session:
        _fill(session.connection())
    with _rolled_back(database) as connection:
        state = LEDGER.verify(connection)
        signed = Checkpoint.parse(open_note(LEDGER.checkpoint(connection), LEDGER.verifier))
    assert (state.size, state.payloads_kept) == (COUNT, COUNT)
    assert (signed.size, signed.root) == (state.size, state.root)


def test_an_act_that_fails_leaves_no_entry(database: Database) -> None:
    with pytest.raises(UsageError), database.write() as session:  # noqa: PT012 - the block is what is tested
        _fill(session.connection(), 1)
        raise UsageError("the act itself failed")
    with _rolled_back(database) as connection:
        assert LEDGER.verify(connection).size == 0


TAMPERINGS = {
    "changed actor": "UPDATE ledger_entry SET actor = 'someone else' WHERE seq = 3",
    "changed event": "UPDATE ledger_entry SET event = 'person.withdrawn' WHERE seq = 0",
    "changed time": "UPDATE ledger_entry SET time_unix_ms = time_unix_ms + 1 WHERE seq = 8",
    "time that is no exact number": "UPDATE ledger_entry SET time_unix_ms = 1 << 60 WHERE seq = 8",
    "changed pseudonym": "UPDATE ledger_entry SET subject_pseudonym = NULL WHERE seq = 1",
    "changed commitment": "UPDATE ledger_entry SET payload_commitment = 'ff' WHERE seq = 1",
    "removed in the middle": "DELETE FROM ledger_entry WHERE seq = 4",
    "removed at the end": "DELETE FROM ledger_entry WHERE seq = 8",
    "removed all": "DELETE FROM ledger_entry",
    "added": "INSERT INTO ledger_entry VALUES (9, 1, 'person.viewed', 'x', NULL, 'ff')",
    "reordered": "UPDATE ledger_entry SET seq = seq - 5 WHERE seq IN (2, 3);"
    "UPDATE ledger_entry SET seq = -seq WHERE seq < 0",
    "changed payload": "UPDATE ledger_payload SET payload_json = '{\"number\":77}' WHERE seq = 5",
    "changed salt": "UPDATE ledger_payload SET salt = zeroblob(32) WHERE seq = 5",
    "removed payload": "DELETE FROM ledger_payload WHERE seq = 5",
    "removed payload about nobody": "DELETE FROM ledger_payload WHERE seq = 4",
    "payload of no entry": "INSERT INTO ledger_payload VALUES (99, x'00', '{}')",
    "changed frontier": "UPDATE ledger_head SET frontier = zeroblob(64)",
    "cut frontier": "UPDATE ledger_head SET frontier = x''",
    "changed size in checkpoint": "UPDATE ledger_head"
    " SET checkpoint = replace(checkpoint, char(10) || '9', char(10) || '8')",
    "lost head": "DELETE FROM ledger_head",
    "changed tile": "UPDATE ledger_tile SET hashes = zeroblob(length(hashes))",
    "cut tile": "UPDATE ledger_tile SET hashes = substr(hashes, 1, 64)",
    "lost tiles": "DELETE FROM ledger_tile",
    "added tile": "INSERT INTO ledger_tile VALUES (1, 0, zeroblob(32))",
}


@pytest.mark.parametrize("statements", TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_tampering_is_found(database: Database, statements: str) -> None:
    with database.write() as session:
        _fill(session.connection())
    with _rolled_back(database) as connection:
        connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        for statement in statements.split(";"):
            assert connection.exec_driver_sql(statement).rowcount != 0
        with pytest.raises(LedgerBroken) as raised:
            LEDGER.verify(connection)
    assert raised.value.mend


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_character_is_found(database: Database, data: st.DataObject) -> None:
    table, column = data.draw(
        st.sampled_from(
            [
                ("ledger_entry", "event"),
                ("ledger_entry", "actor"),
                ("ledger_entry", "subject_pseudonym"),
                ("ledger_entry", "payload_commitment"),
                ("ledger_payload", "payload_json"),
                ("ledger_payload", "salt"),
                ("ledger_head", "frontier"),
                ("ledger_head", "checkpoint"),
            ]
        )
    )
    with _rolled_back(database) as connection:
        _fill(connection, 4)
        key = "id" if table == "ledger_head" else "seq"
        row = 1 if table == "ledger_head" else data.draw(st.sampled_from([1, 3]))
        before = connection.execute(text(f"SELECT {column} FROM {table} WHERE {key} = {row}")).scalar_one()
        raw = bytearray(before if isinstance(before, bytes) else before.encode())
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 127))
        after = bytes(raw) if isinstance(before, bytes) else raw.decode("utf-8", errors="replace")
        connection.execute(
            text(f"UPDATE {table} SET {column} = :after WHERE {key} = {row}"), {"after": after}
        )
        with pytest.raises(LedgerBroken):
            LEDGER.verify(connection)


def test_nothing_is_built_on_a_changed_head(database: Database) -> None:
    with database.write() as session:
        _fill(session.connection(), 3)
    with _rolled_back(database) as connection:
        connection.execute(text("UPDATE ledger_head SET frontier = zeroblob(64)"))
        with pytest.raises(LedgerBroken, match="not the one that was signed"):
            _fill(connection, 1)


def test_nothing_is_built_on_changed_tiles(database: Database) -> None:
    with _rolled_back(database) as connection:
        _fill(connection, 3)
        connection.execute(text("UPDATE ledger_tile SET hashes = substr(hashes, 1, 64)"))
        with pytest.raises(LedgerBroken, match="do not fit its head"):
            _fill(connection, 1)
    with _rolled_back(database) as connection:
        _fill(connection, 3)
        connection.execute(text("UPDATE ledger_tile SET hashes = zeroblob(96)"))
        with pytest.raises(LedgerBroken, match="does not lead to"):
            LEDGER.prove(connection, 1)
        with pytest.raises(LedgerBroken, match="do not lead to"):
            LEDGER.prove_extends(connection, 2)


def test_tiles_grow_with_the_log(database: Database) -> None:
    with _rolled_back(database) as connection:
        for size in (255, 256, 257, 513):
            _fill(connection, size - LEDGER.signed_head(connection).size)
            stored = connection.execute(
                text("SELECT level, tile_index, length(hashes) / 32 FROM ledger_tile")
            )
            assert sorted(map(tuple, stored)) == sorted(tile_shapes(size))
            assert LEDGER.verify(connection).size == size
            head = LEDGER.signed_head(connection)
            for seq in (0, 100, size - 1):
                proof = LEDGER.prove(connection, seq)
                assert verify_inclusion(leaf_hash(proof.leaf), seq, size, proof.path, head.root)


def test_a_log_from_before_tiles_gets_them(database: Database) -> None:
    with _rolled_back(database) as connection:
        assert not LEDGER.lacks_tiles(connection)  # an empty log has none to lack
        _fill(connection, 300)
        before = connection.execute(text("SELECT * FROM ledger_tile ORDER BY level, tile_index")).all()
        connection.execute(text("DELETE FROM ledger_tile"))
        assert LEDGER.lacks_tiles(connection)
        LEDGER.build_tiles(connection)
        assert not LEDGER.lacks_tiles(connection)
        assert (
            connection.execute(text("SELECT * FROM ledger_tile ORDER BY level, tile_index")).all() == before
        )
        connection.execute(text("DELETE FROM ledger_tile"))
        connection.execute(text("UPDATE ledger_entry SET actor = 'x' WHERE seq = 7"))
        with pytest.raises(LedgerBroken, match="do not lead to the signed checkpoint"):
            LEDGER.build_tiles(connection)


def _delete(connection: Connection, before_unix_ms: int) -> int:
    deleted = LEDGER.delete_payloads(connection, before_unix_ms)
    LEDGER.append(
        connection,
        event=Event.LEDGER_PAYLOADS_DELETED,
        actor="user",
        time_unix_ms=1_800_000_000_100,
        payload={"before_unix_ms": before_unix_ms},
    )
    return deleted


def test_payloads_may_go_with_a_logged_deletion(database: Database) -> None:
    first = 1_800_000_000_000
    with _rolled_back(database) as connection:
        _fill(connection)
        assert _delete(connection, first + 4) == 4
        assert LEDGER.verify(connection).payloads_erased == 4
        assert _delete(connection, first + 200) == COUNT - 4  # but not what tells of the first deletion
        assert LEDGER.verify(connection).payloads_kept == 2
        connection.execute(text("DELETE FROM ledger_payload WHERE seq = 9"))
        with pytest.raises(LedgerBroken, match="payload of ledger entry 9 was removed"):
            LEDGER.verify(connection)


@pytest.mark.parametrize(
    ("statement", "lost"),
    [
        ("DELETE FROM ledger_payload WHERE seq = 4", 4),  # younger than what was agreed to
        ("DELETE FROM ledger_payload WHERE seq = 9", 0),  # what allows the gaps is gone itself
    ],
)
def test_a_deletion_covers_what_it_says_and_no_more(database: Database, statement: str, lost: int) -> None:
    with _rolled_back(database) as connection:
        _fill(connection)
        _delete(connection, 1_800_000_000_004)
        connection.execute(text(statement))
        with pytest.raises(LedgerBroken, match=f"payload of ledger entry {lost} was removed"):
            LEDGER.verify(connection)


def test_a_deletion_does_not_cover_what_comes_after_it(database: Database) -> None:
    with _rolled_back(database) as connection:
        _fill(connection, 2)
        _delete(connection, 1_900_000_000_000)
        _fill(connection, 1)
        assert LEDGER.verify(connection).payloads_erased == 2
        connection.execute(text("DELETE FROM ledger_payload WHERE seq = 3"))
        with pytest.raises(LedgerBroken, match="payload of ledger entry 3 was removed"):
            LEDGER.verify(connection)


def test_payloads_may_go_with_a_withdrawal_only(database: Database) -> None:
    with database.write() as session:
        connection = session.connection()
        _fill(connection)
        assert LEDGER.erase_payloads(connection, PSEUDONYM) == COUNT // 2
        with pytest.raises(LedgerBroken, match="payload of ledger entry 1 was removed"):
            LEDGER.verify(connection)
        LEDGER.append(
            connection,
            event=Event.PERSON_WITHDRAWN,
            actor="user",
            time_unix_ms=1,
            payload={"reason": "asked"},
            subject_pseudonym=PSEUDONYM,
        )
        state = LEDGER.verify(connection)
    assert (state.size, state.payloads_erased) == (COUNT + 1, COUNT // 2)
    with _rolled_back(database) as connection:
        about = [entry.seq for entry in LEDGER.entries_about(connection, PSEUDONYM)]
    assert about == [1, 3, 5, 7, 9]


def test_proofs_hold_without_the_log(database: Database) -> None:
    with database.write() as session:
        _fill(session.connection())
    with _rolled_back(database) as connection:
        proofs = [LEDGER.prove(connection, seq) for seq in range(COUNT)]
        with pytest.raises(NotFound, match="no entry 9"):
            LEDGER.prove(connection, COUNT)
    for seq, proof in enumerate(proofs):
        signed = Checkpoint.parse(open_note(proof.checkpoint, LEDGER.verifier))
        assert verify_inclusion(leaf_hash(proof.leaf), seq, signed.size, proof.path, signed.root)
        assert json.loads(proof.leaf)["actor"] == f"user {seq}"
        lines = proof.text().split("\n")
        assert lines[:2] == ["c2sp.org/tlog-proof@v1", f"index {seq}"]
        assert proof.text().endswith("\n\n" + proof.checkpoint)


def test_a_proof_is_not_made_from_a_changed_entry(database: Database) -> None:
    with _rolled_back(database) as connection:
        _fill(connection)
        connection.execute(text("UPDATE ledger_entry SET actor = 'x' WHERE seq = 2"))
        with pytest.raises(LedgerBroken, match="does not lead to the signed checkpoint"):
            LEDGER.prove(connection, 2)


def test_a_kept_checkpoint_reveals_a_log_that_was_signed_anew(database: Database) -> None:
    with _rolled_back(database) as connection:
        _fill(connection, 5)
        kept = LEDGER.checkpoint(connection)
        _fill(connection, 3)
        assert LEDGER.verify_extends(connection, kept).size == 5
    with _rolled_back(database) as connection:  # the same key, another history: `verify` alone is content
        _fill(connection, 4)
        with pytest.raises(LedgerBroken, match="rolled back: it had 5 entries once, now 4"):
            LEDGER.verify_extends(connection, kept)
        _fill(connection, 4)
        assert LEDGER.verify(connection).size == 8
        with pytest.raises(LedgerBroken, match="first 5 entries"):
            LEDGER.verify_extends(connection, kept)


def test_a_checkpoint_of_another_site_is_not_compared(database: Database) -> None:
    other = Ledger("consentry/ledger/other", Ed25519PrivateKey.generate())
    with _rolled_back(database) as connection:
        connection.execute(text("DELETE FROM ledger_head"))
        other.start(connection)
        foreign = other.checkpoint(connection)
    with _rolled_back(database) as connection, pytest.raises(LedgerBroken, match="no signature of"):
        LEDGER.verify_extends(connection, foreign)


def test_a_payload_that_json_cannot_say(database: Database) -> None:
    with _rolled_back(database) as connection, pytest.raises(UsageError, match="cannot hold this payload"):
        LEDGER.append(
            connection, event=Event.SITE_MENDED, actor="x", time_unix_ms=1, payload={"number": 1 << 60}
        )


def test_the_same_payload_twice_has_two_commitments(database: Database) -> None:
    with _rolled_back(database) as connection:
        first, second = (
            LEDGER.append(connection, event=Event.SITE_MENDED, actor="x", time_unix_ms=1, payload={"n": 1})
            for _ in range(2)
        )
    assert first.payload_commitment != second.payload_commitment
