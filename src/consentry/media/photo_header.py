"""What a picture file says of itself, read before anything is decoded.

Sizes are where the formats' specifications put them: PNG (ISO/IEC 15948) IHDR; JPEG (ITU-T T.81) frame
header; GIF89a logical screen; BMP info header; WebP (RFC 9649) VP8, VP8L and VP8X chunks.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Literal

PictureFormat = Literal["jpeg", "png", "webp", "bmp", "gif"]

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class PhotoHeader:
    """Format and stored size, before rotation, in pixels. A size of 0 means that none was found."""

    format: PictureFormat
    frame_wh: tuple[int, int]


def photo_header(data: bytes) -> PhotoHeader | None:
    """The header of the picture `data` begins with; None when it is none of the formats known here."""
    if data.startswith(b"\xff\xd8\xff"):
        return PhotoHeader("jpeg", _jpeg_wh(data))
    if data.startswith(_PNG_SIGNATURE):
        return PhotoHeader("png", _unpacked(">II", data, 16))
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return PhotoHeader("webp", _webp_wh(data))
    if data.startswith((b"GIF87a", b"GIF89a")):
        return PhotoHeader("gif", _unpacked("<HH", data, 6))
    if data.startswith(b"BM"):
        return PhotoHeader("bmp", _bmp_wh(data))
    return None


def png_is_whole(data: bytes) -> bool:
    """Whether every chunk of the PNG is there with a right checksum, up to the end chunk."""
    at = len(_PNG_SIGNATURE)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data) or zlib.crc32(data[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            return False
        if data[at + 4 : at + 8] == b"IEND":
            return True
        at = end + 4
    return False


def _jpeg_wh(data: bytes) -> tuple[int, int]:
    """From the first frame header (markers SOF0 to SOF15 without DHT, JPG and DAC)."""
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return 0, 0
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = _unpacked(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return 0, 0


def _webp_wh(data: bytes) -> tuple[int, int]:
    chunk = data[12:16]
    if chunk == b"VP8X" and len(data) >= 30:
        width, height = (int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        return width + 1, height + 1
    if chunk == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        width, height = _unpacked("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


def _bmp_wh(data: bytes) -> tuple[int, int]:
    """Size after the 12-byte header of OS/2 or a later one; rows from top to bottom make height negative."""
    if data[14:18] == b"\x0c\x00\x00\x00":
        return _unpacked("<HH", data, 18)
    width, height = _unpacked("<ii", data, 18)
    return abs(width), abs(height)


def _unpacked(layout: str, data: bytes, at: int) -> tuple[int, int]:
    if len(data) < at + struct.calcsize(layout):
        return 0, 0
    first, second = struct.unpack_from(layout, data, at)
    return first, second
