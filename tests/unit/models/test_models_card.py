"""A model card states what the catalogue knows, and says so where it knows nothing."""

from __future__ import annotations

import pytest

from consentry.models.card import render_card
from consentry.models.catalogue import Catalogue, ModelEntry

ENTRIES = Catalogue.load().models


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry.name for entry in ENTRIES])
def test_every_card_states_its_facts(entry: ModelEntry) -> None:
    card = render_card(entry)
    facts = (entry.source, entry.sha256, entry.licence, entry.licence_note, entry.intended_use, entry.limits)
    for fact in (*facts, entry.file, entry.output, str(entry.size_bytes)):
        assert fact in card
    assert card.startswith(f"# {entry.name}\n")
    assert card.endswith("\n")
    assert ("Training data" in card) == (entry.kind != "picture")


def test_the_card_of_the_default_recogniser_admits_what_is_not_known() -> None:
    card = render_card(Catalogue.load().entry("mobilefacenet-512"))
    assert "## Training data\n\nNot stated by the publisher.\n" in card
    assert "Measured for this sha256: none yet.\n" in card
    assert "112 by 112 pixels, channels in the order RGB" in card
    assert "value = (pixel - mean) * 0.0078125 with mean 127, 127, 127" in card
    assert "arcface-112" in card


def test_the_card_of_a_detector_states_which_sizes_it_takes() -> None:
    assert "width and height multiples of 32" in render_card(Catalogue.load().entry("centerface"))
