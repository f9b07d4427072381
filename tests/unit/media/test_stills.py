"""A photo and a folder of photos as sources."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.media.clips import jpeg, number_of

from consentry.clock import SystemClock
from consentry.config import Media
from consentry.errors import BadMedia, UsageError
from consentry.media import FRAME_DROPS, Source, open_source

SETTINGS = Media()


def opened(path: Path | str) -> Source:
    return open_source(str(path), camera="door", settings=SETTINGS, clock=SystemClock())


def test_a_photo_is_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "a b%20é.JPG"
    path.write_bytes(jpeg(9))
    for url in (str(path), path.as_uri()):
        with opened(url) as source:
            frames = list(source)
        assert [(f.camera, f.sequence, f.time_s, number_of(f.bgr)) for f in frames] == [("door", 0, 0.0, 9)]
        assert (source.info.kind, source.info.codec, source.info.live) == ("photo", "jpeg", False)
        assert source.info.frame_wh == (320, 240)
        assert (source.frames_read, source.frames_decoded, sum(source.drops.values())) == (1, 1, 0)


def test_a_photo_is_known_by_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "no-ending"
    path.write_bytes(jpeg(4))
    assert opened(path).info.kind == "photo"


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    for number in (2, 10, 1, 33):
        (tmp_path / f"img{number}.jpg").write_bytes(jpeg(number))
    (tmp_path / "Img3.jpeg").write_bytes(jpeg(3))
    (tmp_path / ".img0.jpg").write_bytes(jpeg(0))
    (tmp_path / "notes.txt").write_text("not a photo")
    with opened(tmp_path) as source:
        frames = list(source)
    assert [number_of(frame.bgr) for frame in frames] == [1, 2, 3, 10, 33]
    assert [(frame.sequence, frame.time_s) for frame in frames] == [(n, float(n)) for n in range(5)]
    assert (source.info.kind, source.info.fps) == ("folder", 1.0)


def test_unreadable_photos_are_gaps_that_are_counted(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(number) if number in (1, 2, 5) else b"broken")
    with opened(tmp_path) as source:
        frames = list(source)
    assert [frame.sequence for frame in frames] == [1, 2, 5]
    assert [frame.time_s for frame in frames] == [0.0, 1.0, 4.0]
    assert source.drops == {"unreadable": 3}
    assert source.frames_read == len(frames) + sum(source.drops[cause] for cause in FRAME_DROPS) == 6
    assert source.frames_decoded == 3


def test_photos_of_another_size_are_counted_and_delivered(tmp_path: Path) -> None:
    for number, wh in enumerate([(320, 240), (320, 240), (160, 120)]):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(number, wh))
    with opened(tmp_path) as source:
        sizes = [frame.frame_wh for frame in source]
    assert sizes == [(320, 240), (320, 240), (160, 120)]
    assert source.drops == {"resized": 1}


@pytest.mark.parametrize("content", [None, b"broken"])
def test_a_folder_without_one_readable_photo_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(BadMedia, match="no photo that can be read"):
        opened(tmp_path)


def test_close_stops_and_a_second_reading_is_refused(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(number))
    source = opened(tmp_path)
    seen = []
    for frame in source:
        seen.append(frame.sequence)
        if frame.sequence == 1:
            source.close()
            source.close()
    assert seen == [0, 1]
    with pytest.raises(UsageError, match="already been read"):
        next(iter(source))
