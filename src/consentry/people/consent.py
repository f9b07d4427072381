"""Consent records: their form, their validity, and the one question everything asks of them.

Fields follow the words of ISO/IEC TS 27560 where it has one; `docs/consent.md` explains each of them. The
notice is given by address, version and SHA-256 of its exact text, so that what was agreed to stays known.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from consentry.errors import ConsentInvalid, UsageError

Act = Literal["enrol", "match", "show", "export"]
VERIFICATION = "verification"  # the purpose of 1:1 comparison, the only one without a declaration
DEMO = "demo"
MAX_VALIDITY = timedelta(days=3 * 365 + 1)  # three years; 740 ILCS 14/15(a) has the same ceiling
MAX_NAME_CHARACTERS = 200
_DEMO_VALIDITY = timedelta(days=365)
_MAX_FILE_BYTES = 65536

Sha256Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")]
_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something happens: a camera's name, and the zone it stands in if it has one."""

    camera: str
    zone: str | None = None


class ConsentPerson(BaseModel):
    """Who consents. The name is optional: if given, it must be the one enrolled."""

    model_config = _STRICT

    name: Line | None = None


class ConsentNotice(BaseModel):
    """The notice the person was given: where it is, which version, and the SHA-256 of its text."""

    model_config = _STRICT

    uri: Line
    version: Line
    sha256: Sha256Hex


class ConsentScope(BaseModel):
    """Where the consent holds: names of cameras and of zones; null for all of its purpose.

    If both are given, the camera must be one of `cameras` and stand in one of `zones`.
    """

    model_config = _STRICT

    cameras: frozenset[Line] | None = None
    zones: frozenset[Line] | None = None


class ConsentEvent(BaseModel):
    """What became of a consent after it was given: its state from then on, and who or what ended it."""

    model_config = _STRICT

    time: AwareDatetime
    state: Literal["withdrawn", "expired"]
    entity: Line


class ConsentRecord(BaseModel):
    """One person's consent to one purpose.

    Raises (on validation):
        ValidationError: a field is missing, unknown or malformed, or the dates contradict each other.
    """

    model_config = _STRICT

    schema_version: Literal["consentry-consent-1"]
    person: ConsentPerson = ConsentPerson()
    purpose: Line
    state: Literal["given", "refused", "withdrawn", "expired"]
    given_on: AwareDatetime
    valid_from: AwareDatetime
    valid_until: AwareDatetime
    notice: ConsentNotice
    may_be_shown: bool
    alternative: Line
    scope: ConsentScope = ConsentScope()
    given_by: Literal["person", "legal_representative"]
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] | None = None
    jurisdiction: Annotated[str, Field(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")] | None = None
    collection_method: Line | None = None
    events: tuple[ConsentEvent, ...] = ()
    is_demo: bool = False

    @model_validator(mode="after")
    def _dates_agree(self) -> ConsentRecord:
        if self.valid_until <= self.valid_from:
            raise ValueError("valid_until is not after valid_from")
        if self.valid_until - self.valid_from > MAX_VALIDITY:
            raise ValueError("valid_until is more than 3 years after valid_from")
        if self.given_on > self.valid_from:
            raise ValueError("valid_from is before given_on: consent never reaches back")
        return self

    def why_not(self, *, purpose: str, at_unix_s: float, place: Place | None = None, act: Act) -> str | None:
        """Why this record does not allow `act`; None if it does. See `live_consent`."""
        for problem in (
            self._why_not_in_force(at_unix_s),
            f"is for purpose “{self.purpose}”, not “{purpose}”" if self.purpose != purpose else None,
            self._why_not_here(place) if place else None,
            "does not allow showing the person"
            if act in {"show", "export"} and not self.may_be_shown
            else None,
        ):
            if problem is not None:
                return problem
        return None

    def ended(
        self, state: Literal["withdrawn", "expired"], *, at_unix_s: float, entity: str
    ) -> ConsentRecord:
        """This record once it has ended, with the event that says when and through whom."""
        event = ConsentEvent(time=datetime.fromtimestamp(at_unix_s, UTC), state=state, entity=entity)
        return self.model_copy(update={"state": state, "events": (*self.events, event)})

    def why_ended(self) -> str | None:
        """Why it allows nothing whatever the time: refused, withdrawn or noted as run out; None if given."""
        if self.state == "expired":
            return f"ended on {_utc(self.valid_until)}"
        return None if self.state == "given" else f"was {self.state}"

    def begun_unix_s(self, now_unix_s: float) -> float:
        """Now, or when it begins if that is later."""
        return max(now_unix_s, self.valid_from.timestamp())

    def starts_after(self, unix_s: float) -> bool:
        """Whether it has not begun by `unix_s`."""
        return self.valid_from.timestamp() > unix_s

    def has_run_out(self, at_unix_s: float) -> bool:
        """Whether it was given and its last moment has passed; not if someone withdrew it before."""
        return self.state == "given" and at_unix_s >= self.valid_until.timestamp()

    def until_at_most(self, unix_s: float) -> ConsentRecord:
        """This record, cut short where it would hold beyond `unix_s`, to nothing if it begins later."""
        if self.valid_until.timestamp() <= unix_s:
            return self
        end = datetime.fromtimestamp(max(unix_s, self.valid_from.timestamp()), UTC)
        return self.model_copy(update={"valid_until": end})

    def covers(self, place: Place) -> bool:
        """Whether this record holds at `place`, whenever that is."""
        return self._why_not_here(place) is None

    def _why_not_in_force(self, at_unix_s: float) -> str | None:
        ended = self.why_ended()
        if ended is not None:
            return ended
        if at_unix_s < self.valid_from.timestamp():
            return f"does not start before {_utc(self.valid_from)}"
        if at_unix_s >= self.valid_until.timestamp():
            return f"ended on {_utc(self.valid_until)}"
        return None

    def _why_not_here(self, place: Place) -> str | None:
        if self.scope.cameras is not None and place.camera not in self.scope.cameras:
            return f"does not cover camera “{place.camera}”"
        if self.scope.zones is not None and place.zone not in self.scope.zones:
            where = f"zone “{place.zone}”" if place.zone else "a place without a zone"
            return f"does not cover {where}"
        return None


def live_consent(
    records: Sequence[ConsentRecord],
    *,
    purpose: str,
    at_unix_s: float,
    place: Place | None = None,
    act: Act,
) -> ConsentRecord:
    """The record that allows an act: the only place where this is decided.

    Args:
        records: What one person agreed to.
        purpose: What for; must be the record's own purpose, letter by letter.
        at_unix_s: When; `valid_from` is the first valid moment, `valid_until` the first invalid one.
        place: Where; None if no camera is involved.
        act: `enrol` keeps a template, `match` compares it, `show` leaves the face visible in a picture,
            `export` gives such a picture away. The last two need `may_be_shown` too.

    Raises:
        ConsentInvalid: no record allows it; says why of the one that comes closest.
    """
    closest: str | None = None
    for record in records:
        problem = record.why_not(purpose=purpose, at_unix_s=at_unix_s, place=place, act=act)
        if problem is None:
            return record
        if closest is None or record.purpose == purpose:
            closest = problem
    if closest is None:
        raise ConsentInvalid("there is no consent record", "Ask the person; give it with --consent FILE")
    raise ConsentInvalid(f"the consent {closest}", "Ask the person for a new consent record")


def live_for_any_purpose(records: Sequence[ConsentRecord], *, at_unix_s: float, act: Act) -> ConsentRecord:
    """The first record that allows an act for its own purpose, whatever that is. Raises as `live_consent`."""
    for record in records[:-1]:
        with suppress(ConsentInvalid):
            return live_consent([record], purpose=record.purpose, at_unix_s=at_unix_s, act=act)
    purpose = records[-1].purpose if records else ""
    return live_consent(records[-1:], purpose=purpose, at_unix_s=at_unix_s, act=act)


def held_until_unix_s(records: Sequence[ConsentRecord]) -> float:
    """The first moment at which none of these holds, counted from where the earliest begins.

    A renewal that begins when the one before ends carries on; one that begins later does not, as nothing
    may be kept in between. Minus infinity if none was given, or none is left.
    """
    spans = sorted(
        (record.valid_from.timestamp(), record.valid_until.timestamp())
        for record in records
        if record.state == "given"
    )
    if not spans:
        return -math.inf
    held_until = spans[0][1]
    for start, end in spans[1:]:
        if start <= held_until:
            held_until = max(held_until, end)
    return held_until


def read_consent(path: Path) -> ConsentRecord:
    """The consent record in a JSON file.

    Raises:
        UsageError: there is no such file, or it cannot be read.
        ConsentInvalid: it is no consent record; says which field is wrong.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"consent file {path}: {error.strerror}", "Give the path of a JSON file") from None
    if len(content) > _MAX_FILE_BYTES:
        raise ConsentInvalid(f"{path} is too large for a consent record", "See docs/consent.md for its form")
    record = parse_consent(content, str(path))
    if record.is_demo:
        raise ConsentInvalid(f"{path} calls itself a demo", "Use --consent-demo for a demo")
    return record


def parse_consent(content: bytes, where: str) -> ConsentRecord:
    """The consent record in JSON text.

    Args:
        where: What to call it in the message.

    Raises:
        ConsentInvalid: it is none; says which field is wrong.
    """
    try:
        return ConsentRecord.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ConsentInvalid(
            f"{where} is not a valid consent record: {field}: {first['msg']}",
            "See docs/consent.md for its form",
        ) from None


def demo_consent(at_unix_s: float) -> ConsentRecord:
    """The record that stands in for a person's consent in a demo: marked as such, valid for a year."""
    now = datetime.fromtimestamp(at_unix_s, UTC)
    return ConsentRecord(
        schema_version="consentry-consent-1",
        purpose=DEMO,
        state="given",
        given_on=now,
        valid_from=now,
        valid_until=now + _DEMO_VALIDITY,
        notice=ConsentNotice(uri="docs/consent.md", version="demo", sha256="0" * 64),
        may_be_shown=True,
        alternative="None: a demo with public-domain portraits",
        given_by="person",
        is_demo=True,
    )


def clean_name(name: str) -> str:
    """`name` as it is kept: Unicode NFC, runs of spaces made one.

    Raises:
        UsageError: nothing is left, it is too long, or it has control characters.
    """
    if re.search(r"[\x00-\x1f\x7f]", name):
        raise UsageError("a name has no line breaks or control characters", "Give the name as one line")
    cleaned = unicodedata.normalize("NFC", " ".join(name.split()))
    if not cleaned or len(cleaned) > MAX_NAME_CHARACTERS:
        raise UsageError(f"a name has 1 to {MAX_NAME_CHARACTERS} characters", "Give another name")
    return cleaned


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
