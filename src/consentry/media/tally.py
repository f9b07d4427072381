"""Which packets became a picture and which did not, exact even where pictures come out reordered."""

from __future__ import annotations

import heapq


class Tally:
    """Matches pictures to the packets they came from.

    A decoder gives pictures in the order of their time stamps, packets go in in another, and a
    broken packet may be refused, or swallowed without a word. Whatever is still waiting when a later
    picture comes out is lost.
    """

    def __init__(self) -> None:
        self._waiting: list[int] = []
        self._sent = 0
        self._settled = 0

    def sent(self, pts: int | None) -> None:
        """A packet with this time stamp went into the decoder."""
        self._sent += 1
        if pts is not None:
            heapq.heappush(self._waiting, pts)

    def came_out(self, pts: int | None) -> int:
        """A picture came out; returns how many packets before it are now known to be lost."""
        lost = 0
        while pts is not None and self._waiting and self._waiting[0] <= pts:
            if heapq.heappop(self._waiting) == pts:
                break
            lost += 1
        lost = max(0, min(lost, self._sent - self._settled - 1))
        self._settled += lost + 1
        return lost

    def at_end(self) -> int:
        """The decoder is empty; returns how many packets never became a picture, not yet told."""
        lost = max(0, self._sent - self._settled)
        self._settled += lost
        return lost
