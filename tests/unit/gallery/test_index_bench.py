"""The search benchmark runs small, names its figures once, and finds no missed answer."""

from __future__ import annotations

import json

import numpy as np
import pytest

from consentry.bench import search
from consentry.bench.figures import Figure, document
from consentry.errors import UsageError


def test_a_small_run_gives_all_figures_and_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "PROOF_ROWS", 5000)
    monkeypatch.setattr(search, "PAIR_ROWS", 2000)
    real = search.sources(None)[1].draw(np.random.default_rng(1), 20)
    shares: list[float] = []
    figures = search.run(
        rows=3000, queries=2, proof_searches=60, seed=1, progress=shares.append, real_templates=real
    )
    values = {figure.name: figure for figure in figures}
    assert len(values) == len(figures)
    assert values["search.real_templates"].value == 20
    assert values["search.proof_full.searches"].value == 60
    assert values["search.proof_full.answers"].value >= 60
    assert values["search.proof_pairs.pairs"].value >= 60 * search.PAIRS_PER_SEARCH
    for name, figure in values.items():
        if "missed_at" in name or name.endswith((".missed", ".differing")):
            assert figure.value == 0, name
        if ".query_" in name:
            assert figure.peer == search.PEER
            assert figure.ratio == pytest.approx(figure.peer_value / figure.value)  # type: ignore[operator]
    assert values["search.background_cosine_sd.anisotropic"].value == pytest.approx(0.10, abs=0.01)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    found = json.loads(json.dumps(document(figures), allow_nan=False))
    assert found["machine"]["cores"] >= 1
    assert found["machine"]["libraries"]["faiss-cpu"]
    assert found["figures"][0] == {
        "name": "search.rows",
        "value": 3000,
        "unit": "templates",
        "peer": None,
        "peer_value": None,
        "ratio": None,
    }


def test_without_real_templates_the_run_says_so() -> None:
    assert [source.name for source in search.sources(None)] == ["isotropic", "anisotropic"]
    with pytest.raises(UsageError, match="real templates must be"):
        search.sources(np.zeros((3, 128), np.float32))


@pytest.mark.parametrize(("rows", "queries", "proof"), [(10, 1, 1), (1000, 0, 1), (1000, 1, 0)])
def test_a_run_too_small_to_mean_anything_is_refused(rows: int, queries: int, proof: int) -> None:
    with pytest.raises(UsageError, match="at least 1000 rows"):
        search.run(rows=rows, queries=queries, proof_searches=proof)


def test_a_figure_without_a_peer_has_no_ratio() -> None:
    assert Figure("x", 1.0, "ms").ratio is None
