"""Every packet is settled once: as a picture, or as lost, and no later than it can be known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consentry.media.tally import Tally


@given(st.data(), st.integers(1, 60))
def test_pictures_and_losses_add_up_to_the_packets(data: st.DataObject, count: int) -> None:
    reorder = data.draw(st.integers(0, 4))
    survives = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    tally, lost, shown = Tally(), 0, 0
    for sent in range(count + reorder):
        if sent < count:
            tally.sent(sent * 3600)
        out = sent - reorder
        if out >= 0 and survives[out]:
            before = tally.came_out(out * 3600)
            assert before == out - shown - lost
            lost += before
            shown += 1
    assert shown == sum(survives)
    assert lost + tally.at_end() + shown == count


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 20)), st.booleans()), max_size=40))
def test_the_sum_holds_for_missing_and_repeated_stamps(packets: list[tuple[int | None, bool]]) -> None:
    tally = Tally()
    for pts, _ in packets:
        tally.sent(pts)
    shown = [pts for pts, survives in packets if survives]
    stamped = sorted(pts for pts in shown if pts is not None)
    lost = sum(tally.came_out(pts) for pts in [*stamped, *([None] * (len(shown) - len(stamped)))])
    assert lost + tally.at_end() + len(shown) == len(packets)


def test_more_pictures_than_packets_lose_nothing() -> None:
    tally = Tally()
    tally.sent(0)
    assert [tally.came_out(0), tally.came_out(1), tally.at_end()] == [0, 0, 0]
