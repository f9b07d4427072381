"""The copy of everything held about someone that they take with them: a ZIP, made while it is sent.

One photo and one page of sightings at a time are in memory, and no view of the database stays open while
a slow reader takes the copy, so that it never holds up an erasure.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from consentry.clock import iso_utc
from consentry.config import Retention
from consentry.gallery.rounding import rounded
from consentry.ledger.entry import Event
from consentry.people.held import Held, log_own_act, own_photo, read_held
from consentry.people.receipts import receipts_of
from consentry.people.requests import record_request
from consentry.people.roster import photo_ending
from consentry.people.sightings import RecordedSighting, sightings_of
from consentry.people.site import Site

SIGHTINGS_AT_ONCE = 500
_MS_PER_S = 1000


@dataclass(frozen=True, slots=True)
class OwnCopy:
    """A copy that was asked for and logged, ready to be sent.

    Attributes:
        site: Where the rest is read from.
        held: What there is.
        receipts: As they were given, newest first.
        checkpoint: The ledger's signed checkpoint, which covers the entry about this very copy.
    """

    site: Site
    held: Held
    receipts: tuple[bytes, ...]
    checkpoint: str

    def zipped(self) -> Iterator[bytes]:
        """The bytes of the ZIP, in parts.

        Raises:
            NotFound: the person withdrew meanwhile; what was sent so far is no whole ZIP.
            DataDamaged: a photo does not open.
        """
        sent = _Sent()
        with zipfile.ZipFile(sent, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(self._entry("person.json"), _json(_document(self.held)))
            archive.writestr(self._entry("checkpoint.txt"), self.checkpoint)
            for number, receipt in enumerate(self.receipts, start=1):
                archive.writestr(self._entry(f"receipt-{number}.json"), receipt)
            yield sent.taken()
            with archive.open(self._entry("sightings.jsonl"), "w", force_zip64=True) as lines:
                for part in self._sightings():
                    lines.write("".join(_line(one) for one in part).encode())
                    yield sent.taken()
            for number in range(1, self.held.photos + 1):
                original = own_photo(self.site, self.held.person_id, number)
                entry = self._entry(f"photo-{number}.{photo_ending(original)}")
                archive.writestr(entry, original, zipfile.ZIP_STORED)  # photos are compressed already
                yield sent.taken()
        yield sent.taken()

    def _sightings(self) -> Iterator[list[RecordedSighting]]:
        before_id = None
        while part := sightings_of(
            self.site, self.held.person_id, limit=SIGHTINGS_AT_ONCE, before_id=before_id
        ):
            yield part
            before_id = part[-1].id

    def _entry(self, name: str) -> zipfile.ZipInfo:
        now = datetime.fromtimestamp(self.site.clock.unix_s(), UTC)
        entry = zipfile.ZipInfo(name, now.timetuple()[:6])
        entry.compress_type = zipfile.ZIP_DEFLATED
        return entry


class _Sent(io.RawIOBase):
    """A file that can only be written to and gives back what was written since last asked."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        content = bytes(part)
        self._parts.append(content)
        return len(content)

    def taken(self) -> bytes:
        """What is new."""
        whole = b"".join(self._parts)
        self._parts.clear()
        return whole


def ask_own_copy(site: Site, person_id: str, retention: Retention) -> OwnCopy:
    """Log that the person takes a copy of their data, and gather what goes into it.

    Args:
        retention: How long someone is kept at most.

    Raises:
        NotFound: no such person.
        DataDamaged: something sealed does not open.
    """
    with site.write() as session:
        log_own_act(site, session, person_id, Event.PERSON_EXPORTED)
        record_request(site, session, "export", "done")
        held = read_held(site, session, person_id, retention)
        checkpoint = site.ledger.checkpoint(session.connection())
    return OwnCopy(site, held, tuple(receipts_of(site, person_id)), checkpoint)


def _document(held: Held) -> dict[str, object]:
    return {
        "id": held.person_id,
        "name": held.name,
        "known_here_since": _time(held.enrolled_unix_ms),
        "photos_refused": held.refusal,
        "erased_by": iso_utc(held.ends_unix_s) if math.isfinite(held.ends_unix_s) else None,
        "consents": [
            {"id": one.id, "why_not_in_force": one.why_not, **one.record.model_dump(mode="json")}
            for one in held.consents
        ],
        "photos": held.photos,
        "templates": [
            {"recogniser_sha256": sha256, "count": count} for sha256, count in held.templates.items()
        ],
        "sightings": held.sightings,
        "ledger": [
            {
                "seq": look.seq,
                "time": _time(look.time_unix_ms),
                "event": look.event,
                "actor": look.actor,
                "role": look.role,
                "why": look.why,
            }
            for look in reversed(held.looks)
        ],
    }


def _line(recorded: RecordedSighting) -> str:
    seen = recorded.sighting
    document = {
        "camera": seen.camera,
        "first": _time(seen.first_unix_ms),
        "last": _time(seen.last_unix_ms),
        "decision": seen.decision,
        "score": rounded(seen.score_cosine),
        "threshold": rounded(seen.known_cosine),
        "recogniser_sha256": seen.recogniser_sha256,
        "calibration": seen.calibration,
    }
    return json.dumps(document, ensure_ascii=False) + "\n"


def _json(document: dict[str, object]) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def _time(unix_ms: int) -> str:
    return iso_utc(unix_ms / _MS_PER_S)
