"""I5: whatever of the ledger is changed, removed, added or reordered, it is found out.

`soak_ledger` makes the mutations; here a part of them, with the full number run by hand or before a release.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.invariants.soak_ledger import DETECTED_BY_ITSELF, DETECTED_FROM_OUTSIDE, soak

MUTATIONS = 1_500


@pytest.mark.timeout(240)
def test_every_mutation_is_found(tmp_path: Path) -> None:
    result = soak(MUTATIONS, seed=20261124, folder=tmp_path)
    assert result["unnoticed"] == []
    assert result["detected"] == MUTATIONS
    assert set(result["kinds"]) == {one.__name__ for one in DETECTED_BY_ITSELF | DETECTED_FROM_OUTSIDE}
