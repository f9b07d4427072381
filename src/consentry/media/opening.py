"""One way to open everything frames come from."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from consentry.clock import Clock
from consentry.config import Media
from consentry.errors import BadMedia, SourceNotFound, UsageError
from consentry.media.connect import (
    Address,
    file_address,
    http_address,
    open_stream,
    rtsp_address,
    webcam_address,
)
from consentry.media.photo import photo_format
from consentry.media.source import Source, SourceInfo
from consentry.media.stills import StillSource, photos_in
from consentry.types import redact_url

RAW_MJPEG_SUFFIXES = frozenset({".mjpeg", ".mjpg"})
_RTSP, _HTTP = frozenset({"rtsp", "rtsps"}), frozenset({"http", "https"})
NETWORK_SCHEMES = _RTSP | _HTTP
_PLAIN = re.compile(r"[^@\s\0\\]+@?[^@\s\0\\]+")


def open_source(url: str, *, camera: str, settings: Media, clock: Clock) -> Source:
    """Open `url` and decode its first frame.

    Args:
        url: One of
            - a path or `file:` URL of a video, a photo, or a folder of photos;
            - `rtsp://` or `rtsps://`, read over TCP;
            - `http://` or `https://`: MJPEG, or a plain video file;
            - `webcam:N`: camera number N of this machine.
        camera: Name for the frames.
        settings: Timeouts and the largest picture accepted. Opening takes at most a few times
            `open_timeout_s`, a silent host exactly that.
        clock: Measures timeouts and the arrival of live frames.

    Raises:
        UsageError: `url` is of another form.
        SourceNotFound: no such file, path on the camera, or device.
        SourceUnauthorised: the camera refused the user name or password.
        SourceUnreachable: connection refused, host unknown, or no route.
        SourceTimeout: no answer in time.
        BadMedia: what came is no video or photo this program can decode.
        MediaError: the file may not be read.
    """
    check_source(url)
    scheme = _scheme(url)
    if scheme in _RTSP:
        address = rtsp_address(url, redact_url(url), settings)
    elif scheme in _HTTP:
        address = http_address(url, redact_url(url), settings)
    elif scheme == "webcam":
        address = _webcam(url)
    else:
        return _open_path(url, camera=camera, settings=settings, clock=clock)
    return open_stream(address, camera=camera, settings=settings, clock=clock)


def check_source(url: str) -> None:
    """Whether `url` is of a form that `open_source` takes, without opening anything.

    Raises:
        UsageError: it is not.
    """
    scheme = _scheme(url)
    if scheme in NETWORK_SCHEMES:
        _check_network(url)
    elif scheme == "webcam":
        _webcam_number(url)
    elif "://" in url and scheme != "file":
        raise UsageError(
            f"{scheme}:// cannot be opened", "Give a file, a folder, rtsp://, http:// or webcam:0"
        )


def probe(url: str, *, settings: Media, clock: Clock) -> SourceInfo:
    """What `url` is; opens it and closes it again. Raises as `open_source` does."""
    with open_source(url, camera="probe", settings=settings, clock=clock) as source:
        return source.info


def check_address(url: str) -> None:
    """Let pass what `open_source` could open over the network or from a webcam; touches nothing.

    Raises:
        UsageError: `url` is of another form. The message does not repeat it.
    """
    if _scheme(url) not in {*NETWORK_SCHEMES, "webcam"}:
        raise UsageError(
            "that is no address of a camera", "Give rtsp://, rtsps://, http:// or https://, or webcam:0"
        )
    check_source(url)


def _scheme(url: str) -> str:
    return url.partition(":")[0].lower()


def _check_network(url: str) -> None:
    """Whether it is plain what in `url` are credentials.

    A password with an unencoded `@`, `/` or space in it would be taken for another part of the URL, and
    shown. So such a URL is refused, in words that do not repeat it.
    """
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or url.count("@") != parts.netloc.count("@") or not _PLAIN.fullmatch(url):
        raise UsageError(
            "that is no valid URL",
            "Check host and port; in the password write @ as %40, / as %2F, # as %23, a space as %20",
        )


def _webcam_number(url: str) -> int:
    number = url.partition(":")[2]
    if not (number.isascii() and number.isdigit() and len(number) < 4):
        raise UsageError(f"{url} names no webcam", "Write webcam:0 for the first one")
    return int(number)


def _webcam(url: str) -> Address:
    device = Path(f"/dev/video{_webcam_number(url)}")
    if not device.exists():
        raise SourceNotFound(f"{url} is not there: no {device}", "Plug it in, or try another number")
    return webcam_address(device, url)


def _open_path(url: str, *, camera: str, settings: Media, clock: Clock) -> Source:
    """A file or folder, by what it holds rather than by its name."""
    text = url2pathname(urlsplit(url).path) if url[:5].lower() == "file:" else url
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        text = ""
    if not text or "\0" in text:
        raise SourceNotFound("that is no path", "Give the path of a file or folder")
    path = Path(text)
    if path.is_dir():
        return StillSource(photos_in(path), kind="folder", name=text, camera=camera, settings=settings)
    if path.exists() and not path.is_file():
        raise BadMedia(
            f"{text} is neither a file nor a folder", "Give a video, a photo or a folder of photos"
        )
    header = photo_format(path)
    if header is not None and path.suffix.lower() not in RAW_MJPEG_SUFFIXES:
        return StillSource([path], kind="photo", name=text, camera=camera, settings=settings)
    if path.stat().st_size == 0:
        raise BadMedia(f"{text} is empty", "Copy it again")
    return open_stream(file_address(path, text), camera=camera, settings=settings, clock=clock)
