"""Requests are counted by kind and outcome, logged, and answered once."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text
from tests.unit.people.kit import ACTOR, START_UNIX_S, opened

from consentry.errors import NotFound, UsageError
from consentry.people.requests import answer_request, count_requests, list_requests, record_request


def test_a_request_is_counted_logged_and_answered_once(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        with site.write() as session:
            number = record_request(site, session, "authority", "open", actor=ACTOR)
            record_request(site, session, kind="access", outcome="done")
        assert count_requests(site)["authority"] == {"open": 1, "done": 0, "refused": 0}
        with site.write() as session:
            answer_request(site, session, number, "refused", actor=ACTOR)
        assert count_requests(site)["authority"] == {"open": 0, "done": 0, "refused": 1}
        assert count_requests(site)["export"] == {"open": 0, "done": 0, "refused": 0}
        authority, access = list_requests(site)
        assert authority.answered_unix_ms == access.answered_unix_ms == START_UNIX_S * 1000
        with site.write() as session, pytest.raises(UsageError, match="answered already: refused"):
            answer_request(site, session, number, "done", actor=ACTOR)
        with site.read() as session:
            logged = session.execute(text("SELECT event, actor FROM ledger_entry ORDER BY seq")).all()
        assert [tuple(row) for row in logged][-3:] == [
            ("request.received", ACTOR),
            ("request.received", "person"),
            ("request.answered", ACTOR),
        ]


def test_what_is_no_request(tmp_path: Path) -> None:
    with opened(tmp_path) as site, site.write() as session:
        with pytest.raises(UsageError, match="no kind of request"):
            record_request(site, session, "gossip", "open")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="no outcome"):
            record_request(site, session, "access", "lost")  # type: ignore[arg-type]
        number = record_request(site, session, "access", "open")
        with pytest.raises(UsageError, match="no answer"):
            answer_request(site, session, number, "open", actor=ACTOR)
        with pytest.raises(NotFound, match="no request 99"):
            answer_request(site, session, 99, "done", actor=ACTOR)
