"""Photos that are none, or not whole: a typed error with cause and mend, and nothing on standard error."""

from __future__ import annotations

import random
from pathlib import Path

import cv2
import pytest
from tests.unit.media.clips import numbered

from consentry.errors import BadMedia
from consentry.media import read_photo

MAX_PIXELS = 1_000_000
SUFFIXES = [".jpg", ".png", ".webp", ".bmp", ".gif"]


def encoded(suffix: str) -> bytes:
    """A numbered picture in a format."""
    return cv2.imencode(suffix, numbered(77, (160, 120)))[1].tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.995])
def test_a_truncated_photo_is_refused(suffix: str, kept: float, capfd: pytest.CaptureFixture[str]) -> None:
    data = encoded(suffix)
    with pytest.raises(BadMedia, match="cut short or damaged"):
        read_photo(data[: int(len(data) * kept)], max_pixels=MAX_PIXELS)
    assert capfd.readouterr().err == ""


def test_a_truncated_photo_with_an_end_marker_put_on_is_refused() -> None:
    jpeg = encoded(".jpg")
    half = len(jpeg) // 2
    for data in (jpeg[:half] + b"\xff\xd9", jpeg[:half] + bytes(len(jpeg) - half - 2) + b"\xff\xd9"):
        with pytest.raises(BadMedia, match="cut short or damaged"):
            read_photo(data, max_pixels=MAX_PIXELS)


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "is empty"),
        (b"hello, this is no picture" * 50, "no picture"),
        (bytes(5000), "no picture"),
        (b"II*\0" + bytes(100), "no picture"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
        (b"\xff\xd8\xff\xe0", "cut short"),
        (b"GIF89a", "cut short"),
        (b"BM", "cut short"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "cut short"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(
    data: bytes, cause: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "face.jpg"
    path.write_bytes(data)
    with pytest.raises(BadMedia, match=cause) as caught:
        read_photo(path, max_pixels=MAX_PIXELS)
    assert str(path) in caught.value.cause
    assert caught.value.mend
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_random_damage_gives_a_picture_or_a_typed_error(
    suffix: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """BMP has no checks at all, PNG checks everything; libjpeg warns where it only had to skip bytes."""
    whole, rng, refused = encoded(suffix), random.Random(suffix), 0
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 8)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        try:
            bgr = read_photo(bytes(data), max_pixels=MAX_PIXELS)
        except BadMedia:
            refused += 1
        else:
            assert bgr.ndim == 3
            assert bgr.shape[0] * bgr.shape[1] <= MAX_PIXELS
    least_refused = {".bmp": 0, ".png": 55}.get(suffix, 1)
    assert refused >= least_refused
    if suffix != ".jpg":
        assert capfd.readouterr().err == ""
