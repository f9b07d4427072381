"""What is held about one person, a copy of it, and correcting it: below the page that shows it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from tests.unit.people.kit import ACTOR, consent, enrolled, opened, photo

from consentry.config import DEFAULT_RETENTION
from consentry.errors import NotFound, UsageError
from consentry.people.correct import correct_name
from consentry.people.erase import withdraw
from consentry.people.held import held_about, note_own_view, own_photo
from consentry.people.links import hand_out_link, person_behind
from consentry.people.own_copy import ask_own_copy
from consentry.people.scan import Needle, scan_for
from consentry.people.site import Site


def _log(site: Site) -> list[tuple[str, str, bool]]:
    """Event, actor, and whether it is about somebody, of every entry."""
    with site.read() as session:
        rows = session.connection().exec_driver_sql(
            "SELECT event, actor, subject_pseudonym IS NOT NULL FROM ledger_entry ORDER BY seq"
        )
        return [(str(event), str(actor), bool(about)) for event, actor, about in rows]


def test_held_names_everything_and_only_of_one_person(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        ada, ben = (enrolled(site, n, name).person_id for n, name in ((1, "Ada Example"), (2, "Ben Other")))
        note_own_view(site, ada)
        held = held_about(site, ada, DEFAULT_RETENTION)
        assert (held.name, held.photos, dict(held.templates)) == ("Ada Example", 2, {"ab" * 32: 2})
        assert [one.record.purpose for one in held.consents] == ["entrance"]
        assert held.ends_unix_s == consent().valid_until.timestamp()
        assert held.looks[0].event == "person.viewed"
        assert held.looks[-1].why == "entrance"
        others = {look.seq for look in held_about(site, ben, DEFAULT_RETENTION).looks}
        assert not others & {look.seq for look in held.looks}
        with pytest.raises(NotFound):
            held_about(site, "0" * 32, DEFAULT_RETENTION)
        with pytest.raises(NotFound, match="no photo 3"):
            own_photo(site, ada, 3)


def test_who_looked_survives_the_removal_of_what_an_entry_said(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        ada = enrolled(site, 1, "Ada Example").person_id
        with site.write() as session:
            session.connection().exec_driver_sql("DELETE FROM ledger_payload")
        looks = held_about(site, ada, DEFAULT_RETENTION).looks
        assert looks
        assert {look.why for look in looks} == {None}


def test_a_copy_breaks_off_when_the_person_withdraws_while_it_is_sent(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        ada = enrolled(site, 1, "Ada Example").person_id
        parts = ask_own_copy(site, ada, DEFAULT_RETENTION).zipped()
        sent = [next(parts)]
        withdraw(site, ada, reason="asked", actor=ACTOR)  # nothing of the copy holds this up
        with pytest.raises(NotFound):
            sent.extend(parts)
        with pytest.raises(zipfile.BadZipFile):
            zipfile.ZipFile(io.BytesIO(b"".join(sent)))
        assert photo(1, 0).original not in b"".join(sent)


def test_a_correction_seals_the_new_name_and_logs_neither(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        ada = enrolled(site, 1, "Ada Exmaple").person_id
        assert correct_name(site, ada, " Ada  Example", actor="cli:1000") == "Ada Example"
        assert _log(site)[-2:] == [
            ("person.corrected", "cli:1000", True),
            ("request.received", "cli:1000", False),
        ]
        version = site.gallery_version
        with pytest.raises(UsageError, match="held already"):
            correct_name(site, ada, "Ada Example", actor="cli:1000")
        with pytest.raises(NotFound):
            correct_name(site, "0" * 32, "Ada", actor="cli:1000")
        assert site.gallery_version == version
        site.database.compact()
        names = [Needle(name, name.encode()) for name in ("Ada Exmaple", "Ada Example")]
        assert scan_for(site.data_dir, names).hits == ()


def test_a_fresh_link_is_logged_and_the_old_one_stays(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        ada = enrolled(site, 1, "Ada Example").person_id
        first, second = (hand_out_link(site, ada, actor=ACTOR) for _ in range(2))
        assert {person_behind(site, token) for token in (first, second)} == {ada}
        assert _log(site)[-1] == ("person.link_issued", ACTOR, True)
        before = len(_log(site))
        with pytest.raises(NotFound):
            hand_out_link(site, "0" * 32, actor=ACTOR)
        assert len(_log(site)) == before
