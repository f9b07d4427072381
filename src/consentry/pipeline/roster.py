"""Who may be recognised and shown on one camera, as of one gallery version; replaced whole on any change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from consentry.errors import ConsentInvalid, EngineError
from consentry.gallery.calibration import Calibration
from consentry.gallery.decide import Gallery
from consentry.people.consent import Act, ConsentRecord, Place, live_consent
from consentry.people.roster import Reference
from consentry.types import Floats

ANYWHERE = None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the pipeline knows of a person: their name, and what they agreed to."""

    name: str
    purpose: str
    consents: tuple[ConsentRecord, ...]


def references_at(place: Place, references: Sequence[Reference]) -> list[Reference]:
    """Those whose consent to their purpose holds at `place`."""
    return [
        item
        for item in references
        if any(one.purpose == item.purpose and one.covers(place) for one in item.consents)
    ]


class Roster:
    """The enrolled people of one camera and the gallery made of their references.

    Args:
        references: Those whose consent covers matching now.
        place: The camera; references whose consent does not hold there are left out. `ANYWHERE`, which is
            no camera, leaves out those whose consent is limited to a place.
        calibration: Of the recogniser in use.
        version: Gallery version they were read at.

    Raises:
        EngineError: the references are not all under one rotation.
    """

    def __init__(
        self,
        references: Sequence[Reference],
        *,
        place: Place | None,
        calibration: Calibration,
        version: int = 0,
    ) -> None:
        self._place = place or Place("")
        self.rotation = references[0].rotation if references else None
        if any(item.rotation != self.rotation for item in references):
            raise EngineError("references under different rotations cannot be searched together")
        here = references_at(self._place, references)
        self.people = {item.person_id: Enrolled(item.name, item.purpose, item.consents) for item in here}
        templates: Floats = (
            np.stack([item.template for item in here]) if here else np.zeros((0, 1), np.float32)
        )
        self.gallery = Gallery(templates, [item.person_id for item in here], calibration)
        self.version = version

    def probes(self, templates: Floats) -> Floats:
        """What to compare with the gallery: float32 (…, 512), the recogniser's `templates` turned as it is.

        The gallery and the rotation belong to one object and are replaced together, so that a probe under
        one rotation never meets a reference under another.
        """
        return templates if self.rotation is None else self.rotation.turn(templates).astype(np.float32)

    def allowed(self, person_id: str, act: Act, unix_s: float) -> Enrolled | None:
        """The person, if a consent of theirs covers `act` here at `unix_s`; None also if they withdrew."""
        found = self.people.get(person_id)
        if found is None:
            return None
        try:
            live_consent(found.consents, purpose=found.purpose, at_unix_s=unix_s, place=self._place, act=act)
        except ConsentInvalid:
            return None
        return found
