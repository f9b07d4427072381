"""Reading one photo: every format, upright, and refused before decoding where it is too large."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.media.clips import jpeg, number_of, numbered

from consentry.errors import BadMedia, SourceNotFound
from consentry.media import read_photo
from consentry.media.photo_header import photo_header

MAX_PIXELS = 1_000_000
SUFFIXES = [".jpg", ".png", ".webp", ".bmp", ".gif"]
ORIENTATION_TAG = 0x0112


def encoded(suffix: str, wh: tuple[int, int] = (64, 48), *options: int) -> bytes:
    """A numbered picture in a format."""
    return cv2.imencode(suffix, numbered(77, wh), list(options))[1].tobytes()


def with_orientation(data: bytes, orientation: int) -> bytes:
    """A JPEG with an EXIF block that holds only the orientation."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, ORIENTATION_TAG, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0" + tiff
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_comes_back_in_bgr(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"photo{suffix}"
    path.write_bytes(encoded(suffix, (320, 240)))
    bgr = read_photo(path, max_pixels=MAX_PIXELS)
    assert bgr.shape == (240, 320, 3)
    assert bgr.dtype == np.uint8
    assert number_of(bgr) == 77
    tolerance = 30 if suffix == ".gif" else 8
    assert np.abs(bgr.astype(int) - numbered(77)).mean() < tolerance
    assert (read_photo(path.read_bytes(), max_pixels=MAX_PIXELS) == bgr).all()


@settings(max_examples=40)
@given(st.sampled_from(SUFFIXES), st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_the_header_gives_the_size_that_decoding_gives(
    suffix: str, width: int, height: int, variant: bool
) -> None:
    options = {
        ".jpg": (cv2.IMWRITE_JPEG_PROGRESSIVE, int(variant)),
        ".webp": (cv2.IMWRITE_WEBP_QUALITY, 80 if variant else 101),
    }.get(suffix, ())
    data = encoded(suffix, (width, height), *options)
    header = photo_header(data)
    assert header is not None
    assert header.frame_wh == (width, height)
    assert read_photo(data, max_pixels=width * height).shape == (height, width, 3)
    if width * height > 1:
        with pytest.raises(BadMedia, match=f"{width}×{height}"):
            read_photo(data, max_pixels=width * height - 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = numbered(3, (96, 64))
    as_stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    data = cv2.imencode(".jpg", np.ascontiguousarray(as_stored))[1].tobytes()
    bgr = read_photo(with_orientation(data, orientation), max_pixels=MAX_PIXELS)
    assert bgr.shape == upright.shape
    assert np.abs(bgr.astype(int) - upright).mean() < 12


def test_grey_transparent_and_deep_pictures_become_bgr() -> None:
    grey = cv2.imencode(".png", np.full((5, 7), 90, np.uint8))[1].tobytes()
    assert (read_photo(grey, max_pixels=100) == 90).all()
    transparent = cv2.imencode(".png", np.full((5, 7, 4), 60, np.uint8))[1].tobytes()
    assert read_photo(transparent, max_pixels=100).shape == (5, 7, 3)
    deep = cv2.imencode(".png", np.full((5, 7, 3), 257 * 10, np.uint16))[1].tobytes()
    assert (read_photo(deep, max_pixels=100) == 10).all()


def test_a_huge_png_is_refused_by_its_header_alone() -> None:
    """20 000 × 20 000 pixels: nothing but the header is there to decode."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b"")
    with pytest.raises(BadMedia, match="20000×20000 pixels") as caught:
        read_photo(data, max_pixels=50_000_000)
    assert "media.max_pixels" in caught.value.mend


def test_a_file_larger_than_any_allowed_picture_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    path.write_bytes(jpeg(0))
    with path.open("ab") as file:
        file.truncate(2_000_000)
    with pytest.raises(BadMedia, match="larger than 1 MB"):
        read_photo(path, max_pixels=100)


def test_a_missing_photo_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound, match="gone"):
        read_photo(tmp_path / "gone.jpg", max_pixels=100)
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(SourceNotFound):
        read_photo(tmp_path / "file" / "gone.jpg", max_pixels=100)


def test_a_folder_is_no_photo(tmp_path: Path) -> None:
    with pytest.raises(BadMedia, match="folder"):
        read_photo(tmp_path, max_pixels=100)
