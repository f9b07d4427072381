"""The draft states what is configured and leaves blanks; a sign-off is of the very bytes; drift is named."""

from __future__ import annotations

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.unit.people.kit import ACTOR, PURPOSE, consent, declaration, duty, enrolled, opened

from consentry.config import Recognition, Server, Settings, Vision
from consentry.errors import UsageError
from consentry.people.cameras import CameraReview, add_camera, review_camera
from consentry.people.configuration import (
    _what_matters,
    canonical,
    changed_parts,
    digest,
    live_configuration,
)
from consentry.people.declaration import declare
from consentry.people.document import (
    Blank,
    Bullets,
    Document,
    Grid,
    Heading,
    Paragraph,
    Quote,
    to_markdown,
    to_pdf,
)
from consentry.people.dpia import dpia_status, sign_document, sign_off
from consentry.people.dpia_draft import draft_dpia
from consentry.people.roster import list_people
from consentry.people.site import Site

URL = "rtsp://admin:hunter2secret@192.0.2.5/stream?token=tokensecret"


def _lived_in(site: Site) -> None:
    enrolled(site, 1, "Zebedee Quagmire")
    add_camera(site, name="door", url=URL, duty=duty(), zone="lobby", actor=ACTOR)


def test_the_draft_states_the_configuration_and_names_nobody(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        _lived_in(site)
        draft = draft_dpia(site, Settings(), list_people(site))
        markdown = to_markdown(draft).decode()
        for stated in (
            "Example Ltd",
            "privacy@example.org",
            "explicit consent, GDPR Art. 9(2)(a)",
            "| door | entrance | Example Ltd | lobby | 2027-07-14 |",
            "entrance (1)",
            "| recognition.fpir | 0.003 |",
            "| retention.last\\_seen\\_days | 365 |",
            "not measured",
            "To be completed by the controller:",
            digest(live_configuration(site, Settings())),
        ):
            assert stated in markdown, stated
        for secret in ("Zebedee", "Quagmire", "hunter2", "tokensecret", "192.0.2.5"):
            assert secret not in markdown
        assert markdown.count("To be completed by the controller:") >= 8
        pdf = to_pdf(draft)
        assert pdf.startswith(b"%PDF-")
        assert pdf == to_pdf(draft)


def test_an_undeclared_site_has_a_draft_too(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        markdown = to_markdown(draft_dpia(site, Settings(), [])).decode()
        assert "nothing has been declared yet" in markdown
        assert "There is no camera yet." in markdown


@pytest.mark.parametrize("form", [to_markdown, to_pdf])
def test_a_sign_off_is_of_the_very_bytes_and_of_this_configuration(tmp_path: Path, form: object) -> None:
    assert callable(form)
    with opened(tmp_path, declared=True) as site:
        _lived_in(site)
        assert dpia_status(site, Settings()).signed_unix_ms is None
        completed = form(draft_dpia(site, Settings(), list_people(site))) + b"\ncompleted"
        document_sha256 = sign_document(site, Settings(), completed, actor=ACTOR)
        assert document_sha256 == hashlib.sha256(completed).hexdigest()
        status = dpia_status(site, Settings())
        assert (status.document_sha256, status.actor, status.drift) == (document_sha256, ACTOR, ())
        with site.read() as session:
            payload = session.execute(
                text(
                    "SELECT payload_json FROM ledger_payload JOIN ledger_entry USING (seq) "
                    "WHERE event = 'dpia.signed'"
                )
            ).scalar_one()
        assert json.loads(payload) == {
            "document_sha256": document_sha256,
            "configuration_sha256": status.configuration_sha256,
        }
        other = Settings(recognition=Recognition(fpir=0.01))
        with pytest.raises(UsageError, match="has changed since this assessment was drafted"):
            sign_document(site, other, completed, actor=ACTOR)
        sign_document(site, other, b"written by hand", actor=ACTOR)
        with pytest.raises(UsageError, match="no SHA-256"):
            sign_off(site, other, "AB" * 32, actor=ACTOR)


def test_drift_names_what_changed_and_nothing_that_changes_daily(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        _lived_in(site)
        sign_off(site, Settings(), "ab" * 32, actor=ACTOR)

        def drift(settings: Settings | None = None) -> tuple[str, ...]:
            return dpia_status(site, settings or Settings()).drift

        enrolled(site, 2, "Ben Example", consent(purpose=PURPOSE))
        review_camera(
            site, "door", CameraReview(review_due_on=site.today() + timedelta(days=90)), actor=ACTOR
        )
        assert drift() == ()
        assert drift(Settings(vision=Vision(threads=9), server=Server(port=9999))) == ()
        assert drift(Settings(recognition=Recognition(fpir=0.02))) == ("settings.recognition.fpir",)
        assert drift(Settings(server=Server(host="0.0.0.0"))) == ("settings.server.host",)
        review_camera(site, "door", CameraReview(purpose="canteen"), actor=ACTOR)
        add_camera(site, name="gate", url=URL, duty=duty(), actor=ACTOR)
        declare(site, declaration(PURPOSE, "canteen"), actor=ACTOR)
        assert drift() == ("cameras.door.purpose", "cameras.gate", "declaration.purposes")
        sign_off(site, Settings(), "cd" * 32, actor=ACTOR)
        assert drift() == ()


def test_secrets_are_no_part_of_the_configuration() -> None:
    kept = _what_matters(
        {
            "webhooks": [{"url": "https://u:pw@x.example/?token=t", "secret": "s"}],
            "oidc": {"client_secret": "s", "api_token": "t", "issuer": "https://i.example"},
            "server": {"port": 1, "host": "h"},
            "site_key": "k",
        }
    )
    assert kept == {
        "webhooks": [{"url": "https://***@x.example/?***"}],
        "oidc": {"issuer": "https://i.example"},
        "server": {"host": "h"},
    }


def test_changed_parts() -> None:
    assert changed_parts({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 1}) == ("a.c", "d")
    assert changed_parts({"a": None}, {"a": {"b": 1}}) == ("a",)
    assert canonical({"b": 1.0, "a": "ü"}) == '{"a":"ü","b":1}'


def test_a_document_shows_what_looks_like_markup_as_text() -> None:
    hostile = "# <b> | `x` *y* [z](u) $a$ #let\n- no list\n1. no number"
    document = Document(
        hostile,
        date(2027, 1, 15),
        "mark",
        (
            Heading(hostile),
            Paragraph(hostile),
            Quote(hostile),
            Bullets((hostile,)),
            Grid(("head", hostile), ((hostile, "x" * 300),)),
            Blank(hostile),
        ),
    )
    markdown = to_markdown(document).decode()
    assert "<b>" not in markdown.replace("\\<b\\>", "")
    assert "\n- no list" not in markdown
    assert "\n1. no" not in markdown
    assert "\\# \\<b\\> \\| \\`x\\` \\*y\\*" in markdown
    assert to_pdf(document).startswith(b"%PDF-")
