"""I7: 1:N identification is off until a deployment declaration exists; 1:1 verification is the default.

`gallery_snapshot` is the only function that hands out references of many people; these tests try to get
them without a declaration in force.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.unit.people.kit import (
    ACTOR,
    PURPOSE,
    RECOGNISER,
    START,
    START_UNIX_S,
    consent,
    declaration,
    enrolled,
    opened,
)

from consentry.clock import SimulatedClock
from consentry.errors import ConsentInvalid, DuplicatePerson, NotDeclared, UsageError
from consentry.people.consent import VERIFICATION
from consentry.people.declaration import declare, require_declared
from consentry.people.roster import Reference, gallery_snapshot
from consentry.people.site import Site

DAY_S = 86_400.0


def _search(site: Site, purpose: str) -> list[Reference]:
    return gallery_snapshot(
        site, purpose=purpose, recogniser_sha256=RECOGNISER, at_unix_s=site.clock.unix_s()
    )


@pytest.mark.parametrize("purpose", [PURPOSE, VERIFICATION, "demo", ""])
def test_a_new_installation_searches_for_nothing(tmp_path: Path, purpose: str) -> None:
    with opened(tmp_path) as site:
        enrolled(site, 1, "Ada Example", consent(purpose=VERIFICATION))
        with pytest.raises(NotDeclared, match="has not declared what it recognises people for"):
            _search(site, purpose)


def test_1_to_1_works_before_any_declaration(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        assert enrolled(site, 1, "Ada Example", consent(purpose=VERIFICATION)).person_id
        with pytest.raises(ConsentInvalid, match="this site may enrol for “verification”"):
            enrolled(site, 2, "Ben Example")


def test_enrolling_compares_with_nobody_who_agreed_to_1_to_1_only(tmp_path: Path) -> None:
    """The search for one face under two names is 1:N too."""
    with opened(tmp_path) as site:
        for name in ("Ada Example", "Ada Again"):  # before a declaration nobody is searched
            enrolled(site, 1, name, consent(purpose=VERIFICATION))
        declare(site, declaration(), actor=ACTOR)
        enrolled(site, 1, "Ada Entrance")  # nor among those who agreed to 1:1 only
        enrolled(site, 1, "Ada Verified", consent(purpose=VERIFICATION))
        with pytest.raises(DuplicatePerson):
            enrolled(site, 1, "Ada Twice")


def test_a_consent_to_verification_is_never_searched(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example", consent(purpose=VERIFICATION))
        assert _search(site, PURPOSE) == []
        with pytest.raises(NotDeclared):
            _search(site, VERIFICATION)
        with pytest.raises(ValueError, match="needs no declaration"):
            declaration(VERIFICATION)


def test_only_a_declared_purpose_is_searched(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        assert len(_search(site, PURPOSE)) == 2
        for purpose in ("canteen", PURPOSE.upper(), PURPOSE + " "):
            with pytest.raises(NotDeclared):
                _search(site, purpose)


def test_a_purpose_that_is_no_longer_declared_stops(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        version = site.gallery_version
        declare(site, declaration("canteen"), actor=ACTOR)
        assert site.gallery_version > version  # so that workers ask again
        with pytest.raises(NotDeclared):
            _search(site, PURPOSE)
        assert _search(site, "canteen") == []


def test_an_overdue_review_stops_it(tmp_path: Path) -> None:
    clock = SimulatedClock(START_UNIX_S)
    with opened(tmp_path, clock=clock) as site:
        declare(site, declaration(review_due_on=START.date() + timedelta(days=30)), actor=ACTOR)
        enrolled(site, 1, "Ada Example")
        clock.advance(30 * DAY_S)
        assert len(_search(site, PURPOSE)) == 2
        clock.advance(DAY_S)
        with pytest.raises(NotDeclared, match="was due for review"):
            _search(site, PURPOSE)


def test_a_refused_declaration_opens_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        with pytest.raises(UsageError):
            declare(site, declaration(review_due_on=START.date() - timedelta(days=1)), actor=ACTOR)
        with pytest.raises(NotDeclared):
            require_declared(site)


def test_every_change_of_the_declaration_is_logged(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        declare(site, declaration(), actor="first")
        declare(site, declaration("canteen"), actor="second")
        with site.read() as session:
            site.ledger.verify(session.connection())
            logged = session.execute(
                text("SELECT actor FROM ledger_entry WHERE event = 'site.declared' ORDER BY seq")
            ).scalars()
            assert list(logged) == ["first", "second"]
