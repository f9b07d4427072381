"""The error rate the vision benchmark prints, against counting by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentry.bench.vision import fnmr_at


@pytest.mark.parametrize(
    ("fmr", "fnmr"),
    [(0.0, 0.5), (0.25, 0.25), (0.5, 0.25), (1.0, 0.0)],
)
def test_by_hand(fmr: float, fnmr: float) -> None:
    """Non-mated 0.1 0.2 0.3 0.6, mated 0.15 0.6 0.7 0.8: a tie is a match, so 0.6 falls out at FMR 0."""
    mated = np.array([0.15, 0.6, 0.7, 0.8], np.float32)
    non_mated = np.array([0.1, 0.2, 0.3, 0.6], np.float32)
    assert fnmr_at(mated, non_mated, fmr) == fnmr


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30),
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=30),
    st.floats(0, 1),
)
def test_the_false_match_rate_is_kept(mated: list[float], non_mated: list[float], fmr: float) -> None:
    """The threshold implied by the answer lets at most `fmr` of the non-mated pass."""
    a, b = np.array(mated, np.float32), np.array(non_mated, np.float32)
    missed = fnmr_at(a, b, fmr)
    assert 0.0 <= missed <= 1.0
    assert fnmr_at(a, b, min(1.0, fmr + 0.2)) <= missed
