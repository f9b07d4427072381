"""I5: every sensitive act is in the ledger; a changed, removed or reordered entry is detected.

Search and unsealing join this file with the issues that bring them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.unit.people.kit import (
    ACTOR,
    BLURRED,
    FakeAnalyser,
    consent,
    declaration,
    duty,
    enrolled,
    opened,
    photo,
)

from consentry.config import DEFAULT_RETENTION
from consentry.errors import LedgerBroken
from consentry.people.cameras import add_camera, remove_camera
from consentry.people.consents import add_consent, record_refusal, withdraw_consent
from consentry.people.correct import correct_name
from consentry.people.declaration import declare
from consentry.people.enrol import add_photos, enrol
from consentry.people.erase import withdraw
from consentry.people.held import note_own_view
from consentry.people.links import hand_out_link
from consentry.people.own_copy import ask_own_copy
from consentry.people.receipts import receipts_of
from consentry.people.rekey import rotate_keys
from consentry.people.roster import export_person, list_people, show_person
from consentry.people.scan import Needle, scan_for
from consentry.people.site import Site


def _events(site: Site) -> list[tuple[str, str]]:
    with site.read() as session:
        size = site.ledger.verify(session.connection()).size
        leaves = [json.loads(site.ledger.prove(session.connection(), seq).leaf) for seq in range(size)]
    return [(leaf["event"], leaf["actor"]) for leaf in leaves]


def test_each_act_makes_its_entry(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        declare(site, declaration(), actor="a")
        person_id = enrolled(site, 1, "Ada Example").person_id
        show_person(site, person_id, actor="b")
        export_person(site, person_id, actor="c")
        add_camera(site, name="door", url="rtsp://192.0.2.1/", duty=duty(), actor="d")
        remove_camera(site, "door", actor="e")
        rotate_keys(site, actor="k")
        withdraw(site, person_id, reason="asked", actor="f")
        assert _events(site) == [
            ("site.created", "consentry"),
            ("site.declared", "a"),
            ("consent.given", ACTOR),
            ("person.enrolled", ACTOR),
            ("person.viewed", "b"),
            ("person.exported", "c"),
            ("camera.added", "d"),
            ("camera.removed", "e"),
            ("keys.rotated", "k"),
            ("person.withdrawn", "f"),
        ]


def _enrol(site: Site, _: str) -> None:
    enrol(site, FakeAnalyser(), name="Ben", photos=[photo(2)], consent=consent(), actor=ACTOR)


ACTS: dict[str, Callable[[Site, str], object]] = {
    "enrol": _enrol,
    "show": lambda site, person_id: show_person(site, person_id, actor=ACTOR),
    "export": lambda site, person_id: export_person(site, person_id, actor=ACTOR),
    "withdraw": lambda site, person_id: withdraw(site, person_id, reason="asked", actor=ACTOR),
    "add consent": lambda site, person_id: add_consent(site, person_id, consent(), ACTOR),
    "withdraw consent": lambda site, person_id: withdraw_consent(
        site, person_id, list_people(site)[0].consent_ids[0], ACTOR
    ),
    "refuse": lambda site, _: record_refusal(site, consent().model_copy(update={"state": "refused"}), ACTOR),
    "add photos": lambda site, person_id: add_photos(
        site, FakeAnalyser(), person_id, [photo(1, 3)], actor=ACTOR
    ),
    "keep without photo": lambda site, _: enrol(
        site,
        FakeAnalyser(),
        name="Ben",
        photos=[photo(2, 0, BLURRED)],
        consent=consent(),
        actor=ACTOR,
        keep_refused=True,
    ),
    "rotate keys": lambda site, _: rotate_keys(site, actor=ACTOR),
    "correct name": lambda site, person_id: correct_name(site, person_id, "Ben", actor=ACTOR),
    "hand out link": lambda site, person_id: hand_out_link(site, person_id, actor=ACTOR),
    "own view": note_own_view,
    "own copy": lambda site, person_id: ask_own_copy(site, person_id, DEFAULT_RETENTION),
    "declare": lambda site, _: declare(site, declaration("canteen"), actor=ACTOR),
    "add camera": lambda site, _: add_camera(
        site, name="door", url="rtsp://192.0.2.1/", duty=duty(), actor=ACTOR
    ),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_what_cannot_be_logged_does_not_happen(tmp_path: Path, act: Callable[[Site, str], object]) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        blobs = sorted(site.blobs.names())
        version = site.gallery_version
        with site.write() as session:
            session.execute(text("UPDATE ledger_head SET frontier = zeroblob(length(frontier))"))
        with pytest.raises(LedgerBroken):
            act(site, person_id)
        (person,) = list_people(site)
        assert (person.name, person.consents, person.templates) == ("Ada Example", (consent(),), 2)
        assert len(receipts_of(site, person_id)) == 1
        assert sorted(site.blobs.names()) == blobs
        assert site.gallery_version == version


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entry SET actor = 'nobody' WHERE event = 'person.viewed'",
        "DELETE FROM ledger_entry WHERE event = 'person.viewed'",
        "UPDATE ledger_entry SET seq = 99 WHERE event = 'person.viewed'",
        "DELETE FROM ledger_payload WHERE seq = 4",
    ],
)
def test_hiding_that_someone_looked_is_detected(tmp_path: Path, statement: str) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        show_person(site, person_id, actor="nosy")
        assert _events(site)[4] == ("person.viewed", "nosy")
        with site.write() as session:
            session.execute(text("PRAGMA defer_foreign_keys=ON"))
            if "ledger_entry" in statement:
                session.execute(text("DELETE FROM ledger_payload WHERE seq = 4"))
            session.execute(text(statement))
        with pytest.raises(LedgerBroken), site.read() as session:
            site.ledger.verify(session.connection())


def test_the_ledger_names_nobody(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Distinctive Example").person_id
        show_person(site, person_id, actor=ACTOR)
        with site.read() as session:
            rows = session.execute(
                text("SELECT event, actor, subject_pseudonym, payload_commitment FROM ledger_entry")
            ).all()
            payloads = session.execute(text("SELECT payload_json FROM ledger_payload")).scalars().all()
        assert person_id not in str(rows)
        assert "Distinctive" not in str(rows) + str(payloads)
        site.database.compact()
        assert scan_for(site.data_dir, [Needle("name", b"Distinctive")]).hits == ()


def test_after_withdrawal_the_entries_link_to_nobody(tmp_path: Path) -> None:
    """An id known from elsewhere, such as an old export, finds nothing in the ledger any more."""
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        withdraw(site, person_id, reason="asked", actor=ACTOR)
        with site.read() as session:
            payloads = session.execute(text("SELECT payload_json FROM ledger_payload")).scalars().all()
            pseudonyms = session.execute(text("SELECT subject_pseudonym FROM ledger_entry")).scalars().all()
        assert person_id not in str(payloads)
        assert site.key.pseudonym(person_id) not in pseudonyms  # nor can the site key make it again
