"""The ledger: its entries and proofs for an auditor, its checkpoint and tiles for anyone.

Tiles hold hashes and tell nothing. Entries hold actors, so they are for those who audit, and the copy of them
that C2SP `tlog-tiles` knows too (`tile/entries/`) is not served at all.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel
from sqlalchemy import select

from consentry.clock import iso_utc
from consentry.errors import NotFound
from consentry.ledger.entry import Entry, Event
from consentry.ledger.log import stored_tile
from consentry.ledger.recompute import leaf_of
from consentry.ledger.tiles import parse_tile_path
from consentry.ledger.tree import HASH_BYTES
from consentry.server.services import Asking, Behind
from consentry.store.schema import LedgerEntryRow, LedgerPayloadRow

HIGHEST_LEVEL = 63
MOST_ENTRIES = 1000
_MS_PER_S = 1000
_HIGHEST_SEQ = 2**53
_HIDDEN = "person_id"  # an auditor sees no people

routes = APIRouter(tags=["ledger"])
open_routes = APIRouter(prefix="/ledger", tags=["ledger"])


class CheckpointOut(BaseModel):
    """The ledger's newest signed checkpoint (C2SP tlog-checkpoint) and the key that verifies it."""

    checkpoint: str
    verifier_key: str


class EntryOut(BaseModel):
    """One entry. `about` is a pseudonym; `payload` is null once deleted, and never tells a person's id.

    `leaf` is what goes into the tree, byte by byte, for whoever checks a proof.
    """

    seq: int
    time: str
    event: str
    actor: str
    about: str | None
    payload: dict[str, Any] | None
    leaf: str


@routes.get("/ledger/checkpoint")
def checkpoint(behind: Behind) -> CheckpointOut:
    """The state of the ledger, to keep elsewhere and compare later; with the cosignatures of witnesses."""
    with behind.site.read() as session:
        note = behind.site.ledger.checkpoint(session.connection())
    return CheckpointOut(checkpoint=note, verifier_key=str(behind.site.ledger.verifier))


@routes.get("/ledger/entries")
def entries(
    behind: Behind,
    asking: Asking,
    after: Annotated[int, Query(ge=-1, le=_HIGHEST_SEQ)] = -1,
    limit: Annotated[int, Query(ge=1, le=MOST_ENTRIES)] = 100,
    event: Event | None = None,
    about: Annotated[str | None, Query(pattern="^[0-9a-f]{64}$")] = None,
) -> list[EntryOut]:
    """At most `limit` entries after number `after`, oldest first; of one event, about one pseudonym."""
    behind.views.opened(asking.user, asking.session_token, "ledger")
    found = (
        select(LedgerEntryRow, LedgerPayloadRow.payload_json)
        .outerjoin(LedgerPayloadRow, LedgerPayloadRow.seq == LedgerEntryRow.seq)
        .where(LedgerEntryRow.seq > after)
        .order_by(LedgerEntryRow.seq)
        .limit(limit)
    )
    if event is not None:
        found = found.where(LedgerEntryRow.event == event.value)
    if about is not None:
        found = found.where(LedgerEntryRow.subject_pseudonym == about)
    with behind.site.read() as session:
        return [_entry_out(row, payload_json) for row, payload_json in session.execute(found)]


@routes.get("/ledger/entries/{seq}/proof", response_class=PlainTextResponse)
def proof(behind: Behind, seq: Annotated[int, Path(ge=0, le=_HIGHEST_SEQ)]) -> str:
    """The proof that an entry is in the log (C2SP tlog-proof)."""
    with behind.site.read() as session:
        return behind.site.ledger.prove(session.connection(), seq).text()


@open_routes.get("/checkpoint", response_class=PlainTextResponse)
def open_checkpoint(behind: Behind) -> str:
    """The newest signed checkpoint, as text."""
    with behind.site.read() as session:
        return behind.site.ledger.checkpoint(session.connection())


@open_routes.get("/tile/{level}/{path:path}", response_class=Response)
def tile(behind: Behind, level: str, path: str) -> Response:
    """A tile of hashes (C2SP tlog-tiles)."""
    where = parse_tile_path(path)
    known_level = level.isascii() and level.isdigit() and str(int(level[:3])) == level
    if where is None or not known_level or int(level) > HIGHEST_LEVEL:
        raise _no_tile(level, path)
    index, width = where
    with behind.site.read() as session:
        hashes = stored_tile(session.connection(), int(level), index)
    if hashes is None or len(hashes) < width * HASH_BYTES:
        raise _no_tile(level, path)
    return Response(hashes[: width * HASH_BYTES], media_type="application/octet-stream")


def _entry_out(row: LedgerEntryRow, payload_json: str | None) -> EntryOut:
    entry = Entry(
        row.seq, row.time_unix_ms, row.event, row.actor, row.subject_pseudonym, row.payload_commitment
    )
    payload = None if payload_json is None else json.loads(payload_json)
    return EntryOut(
        seq=row.seq,
        time=iso_utc(row.time_unix_ms / _MS_PER_S),
        event=row.event,
        actor=row.actor,
        about=row.subject_pseudonym,
        payload=payload and {name: value for name, value in payload.items() if name != _HIDDEN},
        leaf=leaf_of(entry).decode(),
    )


def _no_tile(level: str, path: str) -> NotFound:
    return NotFound(f"the ledger has no tile {level}/{path}", "See docs/ledger.md for those that it has")
