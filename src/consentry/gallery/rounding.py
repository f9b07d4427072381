"""How fine a comparison score may be that others get to see.

Whoever may ask often and sees small changes of a score can climb, one changed photo after the other, towards
a picture that passes for somebody (hill climbing). Two places tell what a person needs to judge a match,
and are coarser than the step one small change makes. Decisions are made before rounding.
"""

from __future__ import annotations

from typing import overload

SHARED_PLACES = 2
"""Decimal places of a score or margin in answers of the server and in what is given away."""


@overload
def rounded(cosine: float) -> float: ...
@overload
def rounded(cosine: None) -> None: ...
@overload
def rounded(cosine: float | None) -> float | None: ...
def rounded(cosine: float | None) -> float | None:
    """A score or margin to `SHARED_PLACES`; None stays None."""
    return None if cosine is None else round(cosine, SHARED_PLACES)
