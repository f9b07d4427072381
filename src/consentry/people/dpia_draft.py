"""A draft of the data protection impact assessment (GDPR Art. 35(7)), from live configuration.

What can be known from the configuration is stated; what cannot is left as marked blanks.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from consentry.config import Settings
from consentry.models.catalogue import Catalogue
from consentry.people.cameras import list_cameras
from consentry.people.configuration import Configuration, digest, live_configuration
from consentry.people.counts import people_by_purpose, users_by_role
from consentry.people.declaration import Declared, current_declaration, reason_not_in_force
from consentry.people.document import (
    Blank,
    Block,
    Bullets,
    Document,
    Grid,
    Heading,
    Paragraph,
    Quote,
)
from consentry.people.dpia import mark_of
from consentry.people.roster import Person
from consentry.people.site import Site

TITLE = "Data protection impact assessment (draft)"
_NOT_MEASURED = "not measured: no fairness report exists for this installation"


def draft_dpia(site: Site, settings: Settings, people: Sequence[Person]) -> Document:
    """The draft as of today.

    Args:
        settings: In force.
        people: Everyone enrolled; only counted.

    Raises:
        DataDamaged, DiskFull, EnvironmentLack: see `consentry.store`.
        UsageError: the chosen model pack does not exist.
    """
    configuration = live_configuration(site, settings)
    declared = current_declaration(site)
    return Document(
        title=TITLE,
        made_on=site.today(),
        mark=mark_of(digest(configuration)),
        blocks=(
            Paragraph(
                f"Made by Consentry on {site.today().isoformat()} from the configuration in force (SHA-256 "
                f"{digest(configuration)}). Complete what is marked, have it looked at by whoever must, and "
                "sign that document with consentry dpia sign FILE."
            ),
            *_description(site, declared, people),
            *_means(configuration, settings),
            *_necessity(declared),
            *_risks(settings),
            *_views(),
        ),
    )


def _description(site: Site, declared: Declared | None, people: Sequence[Person]) -> list[Block]:
    why_not = reason_not_in_force(site)
    blocks: list[Block] = [Heading("1. What is done, by whom and what for")]
    if declared is None:
        blocks.append(Blank("Controller, contact, purposes, legal basis: nothing has been declared yet"))
    else:
        now = declared.declaration
        blocks += [
            Grid(
                ("Item", "As declared"),
                (
                    ("Controller", now.controller),
                    ("Contact", now.contact),
                    ("Purposes", ", ".join(now.purposes)),
                    ("Legal basis", now.legal_basis),
                    ("Notice hangs", now.notice.posted_at),
                    ("Review due", _day(now.review_due_on)),
                ),
            ),
            Paragraph("People are told:"),
            Quote(now.notice.text),
        ]
    if why_not:
        blocks.append(Paragraph(f"1:N recognition is off now: {why_not}. Only 1:1 verification works."))
    cameras = tuple(
        (one.name, one.purpose, one.owner, one.zone or "none", _day(one.review_due_on))
        for one in list_cameras(site)
    )
    enrolled = people_by_purpose(people, site.clock.unix_s())
    return [
        *blocks,
        Paragraph("Cameras:" if cameras else "There is no camera yet."),
        *([Grid(("Camera", "Purpose", "Owner", "Zone", "Review due"), cameras)] if cameras else []),
        Paragraph(f"People with a consent in force today: {_listed(enrolled) or 'none'}."),
        Paragraph(f"Users: {_listed(users_by_role(site)) or 'none yet'}."),
        Blank("Who passes these cameras, how many a day, and whether children or employees are among them"),
    ]


def _means(configuration: Configuration, settings: Settings) -> list[Block]:
    models = tuple(
        (entry.name, entry.kind, entry.sha256, f"Groups measured: {entry.groups_measured}. {entry.limits}")
        for entry in Catalogue.load().pack(settings.vision.pack)
    )
    return [
        Heading("2. How it works"),
        Paragraph(
            "Faces are found in the pictures of each camera and followed while they are visible. The best "
            "pictures of a face become a template of 512 numbers, which is compared with the templates of "
            "people who enrolled and agreed to the purpose of the camera. Nobody else is identified. Faces "
            "of everyone else, and of enrolled people who do not want to be shown, are covered before a "
            "picture is stored or shown. Their templates stay in memory until their track ends."
        ),
        Grid(("Model", "Kind", "SHA-256", "Limits"), models),
        Paragraph("Settings in force:"),
        Grid(("Setting", "Value"), tuple(_flat(configuration["settings"]))),
        Paragraph(f"Error rates by group of people: {_NOT_MEASURED}."),
    ]


def _necessity(declared: Declared | None) -> list[Block]:
    purposes = declared.declaration.purposes if declared is not None else ("the purpose",)
    return [
        Heading("3. Whether it is necessary and in proportion"),
        Bullets(
            (
                "Only people with a consent in force for the purpose, at the place, are recognised; each "
                "comparison asks for it anew.",
                "Whoever does not agree gets what is offered another way; each consent record names that.",
                "Withdrawing takes one step, and destroys the person's key, templates and photos.",
                "Race, sex, age, emotion and other traits are not computed.",
            )
        ),
        *(
            Blank(f"Why “{purpose}” cannot be reached by a milder means than recognition")
            for purpose in purposes
        ),
        Blank("Whether consent is free here: what happens to those who say no, and who depends on whom"),
    ]


def _risks(settings: Settings) -> list[Block]:
    redaction, retention = settings.redaction, settings.retention
    rows = (
        (
            "Someone is taken for another person",
            f"Threshold for at most {settings.recognition.fpir:.2%} of strangers, lead of "
            f"{settings.recognition.min_margin:g} over the second person, a third outcome “unsure”",
        ),
        ("The error is larger for a group of people", f"Error by group is {_NOT_MEASURED}"),
        (
            "Passers-by are seen or followed",
            f"Faces are covered ({redaction.style}, {redaction.margin:.0%} beyond the face, from "
            f"{redaction.lead_s:g} s before to {redaction.trail_s:g} s after); doubt counts as not enrolled",
        ),
        (
            "Data is kept longer than needed",
            f"People are erased {retention.last_seen_days} days after they were last seen at the latest, "
            f"sightings after {retention.sightings_days} days",
        ),
        (
            "Disk or copy is stolen",
            "Names, photos and templates are sealed with a key of each person's own; the site's key is kept "
            "apart",
        ),
        ("The purpose creeps", "A purpose is declared or refused; reviews that are overdue switch it off"),
        (
            "Someone looks at what is not theirs to see",
            "Sign-in with roles; each view and search is in a log that cannot be rewritten unnoticed",
        ),
        (
            "The page is reached by strangers",
            f"It listens on {settings.server.host}; no connection leaves but to places named by the operator",
        ),
    )
    return [
        Heading("4. Risks for people, and what is done about them"),
        Grid(("Risk", "Measure"), rows),
        Blank(
            "How likely and how severe each risk is here, after the measures, and whether that is accepted"
        ),
        Blank("Measures outside the software: access to the machine, disk encryption, training, TLS proxy"),
    ]


def _views() -> list[Block]:
    return [
        Heading("5. Views, and the decision"),
        Blank("Advice of the data protection officer"),
        Blank("Views of the people concerned or their representatives"),
        Blank("Whether the authority must be consulted first (GDPR Art. 36), and the decision"),
        Blank("Name, role, date"),
    ]


def _flat(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Settings as rows of dotted name and value."""
    if not isinstance(value, dict):
        return [(path, ", ".join(map(str, value)) if isinstance(value, list) else str(value) or "not set")]
    return [row for name, inner in value.items() for row in _flat(inner, f"{path}.{name}" if path else name)]


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())


def _day(day: date | None) -> str:
    return day.isoformat() if day is not None else "overdue"
