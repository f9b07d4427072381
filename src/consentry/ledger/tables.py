"""The tables of the ledger, as far as this package uses them.

They belong to `consentry.store`, which this package may not import; a test holds the two together.
"""

from __future__ import annotations

from sqlalchemy import column, table

ENTRY = table(
    "ledger_entry",
    column("seq"),
    column("time_unix_ms"),
    column("event"),
    column("actor"),
    column("subject_pseudonym"),
    column("payload_commitment"),
)
PAYLOAD = table("ledger_payload", column("seq"), column("salt"), column("payload_json"))
HEAD = table("ledger_head", column("id"), column("frontier"), column("checkpoint"))
TILE = table("ledger_tile", column("level"), column("tile_index"), column("hashes"))
COSIGNATURE = table(
    "cosignature",
    column("witness"),
    column("size"),
    column("note"),
    column("asked_unix_ms"),
    column("problem"),
)
