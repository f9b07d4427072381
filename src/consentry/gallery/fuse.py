"""The evidence of one track: its best crops, spaced in time, fused into one template before comparing.

Memory only (invariant I3): templates collected here are never written anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from consentry.errors import UsageError
from consentry.types import Floats

SAME_FACE_COSINE = 0.3
"""Two crops of one track below this are taken for two people: the track changed hands.

Within a track the calibration set's mates score 0.49 or more in 99 of 100 pairs, and strangers 0.24
or less, see docs/calibration.md.
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """One crop's template (D,), its quality in [0, 1] and its time on the stream's clock."""

    template: Floats = field(repr=False)
    quality: float
    time_s: float


@dataclass(slots=True)
class Evidence:
    """The samples of one track.

    Time is cut into slots of `gap_s`; each slot keeps its best sample, so that a face standing still
    cannot vote twenty times with the same picture.

    Args:
        gap_s: Length of a slot in seconds.
    """

    gap_s: float
    _best: dict[int, Sample] = field(default_factory=dict)

    def wants(self, quality: float, time_s: float) -> bool:
        """Whether a sample of this quality at this time would be kept: ask before paying for a template."""
        held = self._best.get(self._slot(time_s))
        return held is None or quality > held.quality * 1.1

    def add(self, sample: Sample) -> None:
        """Keep `sample` if it is the best of its slot."""
        slot = self._slot(sample.time_s)
        held = self._best.get(slot)
        if held is None or sample.quality > held.quality:
            self._best[slot] = sample

    def agrees(self, template: Floats) -> bool:
        """Whether `template` looks like the same face as the samples kept; yes when there are none."""
        if not self._best:
            return True
        return bool(fuse(list(self._best.values())) @ template >= SAME_FACE_COSINE)

    def best(self, limit: int) -> list[Sample]:
        """The `limit` samples of highest quality, best first."""
        return sorted(self._best.values(), key=lambda sample: -sample.quality)[:limit]

    def __len__(self) -> int:
        return len(self._best)

    def _slot(self, time_s: float) -> int:
        return int(time_s / self.gap_s) if self.gap_s > 0 else len(self._best)


def fuse(samples: list[Sample]) -> Floats:
    """One unit-norm template (D,) from several: their mean, weighted by quality.

    Raises:
        UsageError: there are no samples.
    """
    if not samples:
        raise UsageError("a track without a usable crop has no template")
    weights = np.array([max(sample.quality, 0.05) for sample in samples], np.float32)
    mean = weights @ np.stack([sample.template for sample in samples])
    return np.asarray(mean / np.linalg.norm(mean), np.float32)
