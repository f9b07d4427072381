"""Who may be recognised and shown on one camera, as of one gallery version; replaced whole on any change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from consentry.gallery.calibration import Calibration
from consentry.gallery.decide import Gallery
from consentry.people.roster import Reference
from consentry.types import Floats


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What the pipeline knows of a person: name, whether the face may be shown, and until when."""

    name: str
    may_be_shown: bool
    valid_until_unix_s: float


class Roster:
    """The enrolled people of one camera and the gallery made of their references.

    Args:
        references: Those whose consent covers matching now.
        camera: Its name: references whose consent is limited to other cameras are left out.
        calibration: Of the recogniser in use.
        version: Gallery version they were read at.
    """

    def __init__(
        self, references: Sequence[Reference], *, camera: str, calibration: Calibration, version: int = 0
    ) -> None:
        here = [item for item in references if item.cameras is None or camera in item.cameras]
        self.people = {
            item.person_id: Enrolled(item.name, item.may_be_shown, item.valid_until_unix_s) for item in here
        }
        templates: Floats = (
            np.stack([item.template for item in here]) if here else np.zeros((0, 1), np.float32)
        )
        self.gallery = Gallery(templates, [item.person_id for item in here], calibration)
        self.version = version

    def live(self, person_id: str, unix_s: float) -> Enrolled | None:
        """The person, unless withdrawn or their consent has run out by `unix_s`."""
        found = self.people.get(person_id)
        return found if found and unix_s < found.valid_until_unix_s else None
