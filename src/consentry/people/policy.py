"""The public policy: what is kept, for how long, how it is protected, and which rights people have.

740 ILCS 14/15(a) asks for a written policy with a schedule of retention, GDPR Art. 13 for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from consentry.config import Settings
from consentry.people.consent import MAX_VALIDITY
from consentry.people.site import Site
from consentry.people.transparency import PublicDeclaration, public_declaration

_STORED = (
    ("Name, consent records and templates", "in the database, sealed with a key of each person's own"),
    ("Photos people were enrolled from", "as sealed files, with the same key"),
    ("Each person's key", "in the database, sealed with the site's key, which is kept elsewhere"),
    ("Sightings: camera, times, score, and a random id of who was known", "in the database, not sealed"),
    ("The log of sensitive acts", "in the database; it names nobody and cannot be rewritten unnoticed"),
)
_NOT_STORED = (
    "Faces of people who are not enrolled: they are covered before a picture leaves the process that reads "
    "the camera, and what is computed from them stays in memory until their track ends.",
    "Race, sex, age, emotion or any such trait: nothing here computes it.",
)
_RIGHTS = (
    "See what is held about you, who looked at it and why, and get a copy.",
    "Have it corrected.",
    "Withdraw at any time, without a reason and without a disadvantage: your key is destroyed, your photos "
    "and templates are deleted, and no camera recognises you from then on.",
    "Object, or complain to the data protection authority.",
    "Not be recognised at all: whoever does not enrol gets what is offered another way.",
)


@dataclass(frozen=True, slots=True)
class Term:
    """How long something is kept: until the earliest of its ends."""

    what: str
    until: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredThing:
    """What is kept, and where and how protected."""

    what: str
    how: str


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole page."""

    declaration: PublicDeclaration | None
    terms: tuple[Term, ...]
    stored: tuple[StoredThing, ...]
    not_stored: tuple[str, ...]
    rights: tuple[str, ...]
    how_to_use_them: str
    processors: str


def policy(site: Site, settings: Settings) -> Policy:
    """The policy as of now.

    Args:
        settings: In force.

    Raises:
        DataDamaged, DiskFull, EnvironmentLack: see `consentry.store`.
    """
    declaration = public_declaration(site)
    whom = declaration.contact if declaration is not None else "whoever runs these cameras"
    return Policy(
        declaration=declaration,
        terms=_terms(settings),
        stored=tuple(StoredThing(what, how) for what, how in _STORED),
        not_stored=_NOT_STORED,
        rights=_RIGHTS,
        how_to_use_them=f"Use the personal link on your receipt, or ask {whom}. It costs nothing.",
        processors="Nobody. Nothing leaves this installation but to places its operator has named.",
    )


def _terms(settings: Settings) -> tuple[Term, ...]:
    return (
        Term(
            "Name, consent, photos and templates of someone enrolled",
            (
                "they withdraw",
                "their consent ends",
                f"{settings.retention.last_seen_days} days after they were last seen",
                f"{MAX_VALIDITY.days // 365} years after they agreed",
            ),
        ),
        Term(
            "Sightings",
            (f"{settings.retention.sightings_days} days after they were made",),
        ),
        Term("Who a sighting was of", ("that person withdraws", "the sighting is deleted")),
        Term("What is computed from the face of someone not enrolled", ("their track ends: seconds",)),
    )
