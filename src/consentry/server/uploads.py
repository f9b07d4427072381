"""Photos that come in a request: read in memory, never spooled to a file outside the data folder.

Memory is bounded: `MOST_AT_ONCE` requests are held, each as large as the guard lets through, and the photos
of one of them are decoded at a time, `LARGEST_TOGETHER` of the largest ones allowed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from consentry.errors import BadMedia, TooManyAttempts, UsageError
from consentry.media import read_photo
from consentry.media.photo_header import photo_header
from consentry.people.enrol import Photo
from consentry.server.guard import MOST_BODY_BYTES

Result = TypeVar("Result")
MOST_PHOTOS = 20
MOST_FIELDS = 20
MOST_AT_ONCE = 4
LARGEST_TOGETHER = 3
_held = threading.BoundedSemaphore(MOST_AT_ONCE)
_decoding = threading.Lock()


def form_of(*texts: str, photos: tuple[int, int]) -> dict[str, Any]:
    """What the OpenAPI document says of a form: the text fields `texts`, and least and most `photo`s."""
    least, most = photos
    photo = {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": least,
        "maxItems": most,
    }
    schema = {
        "type": "object",
        "properties": {**{name: {"type": "string", "minLength": 1} for name in texts}, "photo": photo},
        "required": [*texts, "photo"],
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


class _InMemory(MultiPartParser):
    """Keeps every part in memory: the guard has bounded the whole request."""

    spool_max_size = MOST_BODY_BYTES


async def with_form(request: Request, work: Callable[[FormData], Result]) -> Result:
    """What `work`, in a thread of its own, makes of the parts of a `multipart/form-data` request.

    Raises:
        UsageError: the request is none, or a broken one.
        TooManyAttempts: as many others are being worked on as this server holds.
        Whatever `work` raises.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise UsageError("the request is no multipart/form-data", "Send the photos as form fields")
    if not _held.acquire(blocking=False):
        raise TooManyAttempts("other uploads are being worked on", "Try again in a moment")
    try:
        form = await _parsed(request)
        try:
            return await run_in_threadpool(_alone, work, form)
        finally:
            await form.close()
    finally:
        _held.release()


async def _parsed(request: Request) -> FormData:
    parser = _InMemory(
        request.headers,
        request.stream(),
        max_files=MOST_PHOTOS,
        max_fields=MOST_FIELDS,
        max_part_size=MOST_BODY_BYTES,
    )
    try:
        return await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise UsageError(f"the form cannot be read: {error}", "Correct the request") from None


def _alone(work: Callable[[FormData], Result], form: FormData) -> Result:
    with _decoding:
        return work(form)


def text_field(form: FormData, name: str) -> str:
    """A field that must be there once, as text.

    Raises:
        UsageError: it is missing, or it is a file.
    """
    value = form.get(name)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"the field `{name}` is missing", "See docs/api.md")
    return value


def photo_bytes(form: FormData, name: str) -> list[bytes]:
    """What the files of a field hold.

    Raises:
        UsageError: there is none, or the field is text.
    """
    files = form.getlist(name)
    if not files or any(not isinstance(item, UploadFile) for item in files):
        raise UsageError(f"the field `{name}` must hold a photo", "Send the file itself, with a file name")
    return [item.file.read() for item in files if isinstance(item, UploadFile)]


def photos(form: FormData, name: str, *, max_pixels: int) -> list[Photo]:
    """The photos of a field, decoded.

    Raises:
        UsageError: there is none.
        BadMedia: one is no photo that can be read, or all together are too large.
    """
    contents = photo_bytes(form, name)
    headers = [header for data in contents if (header := photo_header(data)) is not None]
    pixels = sum(header.frame_wh[0] * header.frame_wh[1] for header in headers)
    if pixels > LARGEST_TOGETHER * max_pixels:
        raise BadMedia(
            f"the photos have {pixels} pixels together, the most is {LARGEST_TOGETHER * max_pixels}",
            "Send fewer at once, or smaller ones",
        )
    return [
        Photo(f"photo {number}", data, read_photo(data, max_pixels=max_pixels))
        for number, data in enumerate(contents, start=1)
    ]
