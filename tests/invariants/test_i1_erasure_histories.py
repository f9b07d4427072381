"""I1 over whole histories: whoever withdrew is readable nowhere and matched by nothing, whatever happened.

A few short histories; `python -m tests.invariants.soak_erasure --histories 100` runs as many as were asked.
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from tests.invariants.erasure_histories import ErasureHistories

TestErasureHistories = ErasureHistories.TestCase
TestErasureHistories.settings = settings(
    max_examples=8,
    stateful_step_count=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
