"""Photos that come in a request: read in memory, never spooled to a file outside the data folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from consentry.errors import UsageError
from consentry.media import read_photo
from consentry.people.enrol import Photo
from consentry.server.guard import MOST_BODY_BYTES

Result = TypeVar("Result")
MOST_PHOTOS = 20
MOST_FIELDS = 20


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
        Whatever `work` raises.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise UsageError("the request is no multipart/form-data", "Send the photos as form fields")
    parser = _InMemory(
        request.headers,
        request.stream(),
        max_files=MOST_PHOTOS,
        max_fields=MOST_FIELDS,
        max_part_size=MOST_BODY_BYTES,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError) as error:
        raise UsageError(f"the form cannot be read: {error}", "Correct the request") from None
    try:
        return await run_in_threadpool(work, form)
    finally:
        await form.close()


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
        BadMedia: one is no photo that can be read.
    """
    return [
        Photo(f"photo {number}", data, read_photo(data, max_pixels=max_pixels))
        for number, data in enumerate(photo_bytes(form, name), start=1)
    ]
