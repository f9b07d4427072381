"""A personal link leads to its person, is kept as a hash only, and ends with the withdrawal."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.people.kit import ACTOR, enrolled, opened

from consentry.errors import NotFound
from consentry.people.erase import withdraw
from consentry.people.links import issue_link, person_behind
from consentry.people.scan import Needle, scan_for


def test_a_link_leads_to_its_person_until_they_withdraw(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        ada, ben = (enrolled(site, n, name).person_id for n, name in ((1, "Ada Example"), (2, "Ben Other")))
        with site.write() as session:
            tokens = {person: [issue_link(site, session, person) for _ in range(2)] for person in (ada, ben)}
        for person, links in tokens.items():
            assert [person_behind(site, token) for token in links] == [person, person]
        site.database.compact()
        secrets = [Needle("token", token.encode()) for links in tokens.values() for token in links]
        assert scan_for(site.data_dir, secrets).hits == ()
        withdraw(site, ada, reason="asked", actor=ACTOR)
        for token in (*tokens[ada], "", "x" * 43):
            with pytest.raises(NotFound, match="leads to nobody"):
                person_behind(site, token)
        assert person_behind(site, tokens[ben][0]) == ben
