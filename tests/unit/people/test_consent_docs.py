"""docs/consent.md says what the program does: its examples are valid, its tables complete."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel

from consentry.people.consent import ConsentRecord, parse_consent
from consentry.people.declaration import ACCEPTABLE_USE, Declaration
from consentry.people.keys import FILE_VARIABLE, KEY_VARIABLE, PASSPHRASE_VARIABLE

TEXT = (Path(__file__).parents[3] / "docs" / "consent.md").read_text(encoding="utf-8")


def _example(kind: str) -> str:
    (found,) = re.findall(rf"```json {kind}\n(.*?)```", TEXT, flags=re.DOTALL)
    return str(found)


def test_the_examples_are_valid() -> None:
    record = parse_consent(_example("consent").encode(), "docs/consent.md")
    declaration = Declaration.model_validate_json(_example("declaration"))
    assert record.purpose in declaration.purposes


def _documented(model: type[BaseModel], section: str) -> None:
    table = TEXT.split(f"\n## {section}\n")[1].split("\n## ")[0]
    named = set(re.findall(r"`([a-z_.]+)`", "\n".join(re.findall(r"^\| `.*?\|", table, flags=re.MULTILINE))))
    fields = {name.split(".")[0] for name in named}
    assert fields == set(model.model_fields) - {"is_demo"}


def test_every_field_is_documented() -> None:
    _documented(ConsentRecord, "Consent")
    _documented(Declaration, "Declaration")


def test_the_accepted_text_is_there_word_for_word() -> None:
    assert f"> {ACCEPTABLE_USE}\n" in TEXT


def test_the_sources_of_the_site_key_are_documented() -> None:
    for name in (FILE_VARIABLE, KEY_VARIABLE, PASSPHRASE_VARIABLE):
        assert f"| `{name}` |" in TEXT


def test_the_place_that_errors_point_to_exists() -> None:
    ledger_page = (Path(__file__).parents[3] / "docs" / "ledger.md").read_text(encoding="utf-8")
    assert "## If the ledger does not verify" in ledger_page
