"""FFmpeg's errors, mapped into the project's tree at the one place where they enter.

FFmpeg's errors and log lines hold the whole URL, password and all. So they are never chained to ours,
and its log is kept off.
"""

from __future__ import annotations

import errno
import socket
from urllib.parse import urlsplit

import av
import av.logging

from consentry.errors import (
    BadMedia,
    MediaError,
    SourceNotFound,
    SourceTimeout,
    SourceUnauthorised,
    SourceUnreachable,
)

av.logging.set_level(None)

_UNREACHABLE = frozenset(
    {
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.ECONNABORTED,
        errno.EPIPE,
        errno.EHOSTUNREACH,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EADDRNOTAVAIL,
        errno.ENODEV,
        errno.ENXIO,
    }
)


def media_fault(error: av.FFmpegError, name: str, *, timed_out: bool) -> MediaError:
    """The `MediaError` that says what `error` means to the user.

    Args:
        error: What FFmpeg raised.
        name: The source's address without credentials.
        timed_out: The call took as long as it was allowed: FFmpeg then often reports bad data.
    """
    match error:
        case av.HTTPUnauthorizedError() | av.HTTPForbiddenError():
            return SourceUnauthorised(f"{name} refused the user name or password", "Correct them in the URL")
        case av.HTTPNotFoundError() | av.FileNotFoundError():
            return SourceNotFound(f"{name} does not exist", "Check the path, and the camera's manual for it")
        case av.ExitError() | av.TimeoutError():
            return timeout_fault(name)
    if timed_out:
        return timeout_fault(name)
    match error:
        case av.PermissionError():
            return MediaError(f"{name} may not be read by this user", "Give this user the right to read it")
        case av.HTTPError() | av.HTTPClientError():
            return SourceUnreachable(f"{name} answered with an error of its own", "Look at the camera's log")
    if error.errno in _UNREACHABLE:
        return SourceUnreachable(f"{name} cannot be reached", "Check the address, the port and the cable")
    if error.errno == errno.EBUSY:
        return SourceUnreachable(f"{name} is in use by another program", "Stop that program first")
    return BadMedia(f"{name} is no video this program can read", "Check that it plays elsewhere")


def name_fault(url: str, name: str) -> MediaError | None:
    """The error for a URL whose host name nobody knows; None when it is known."""
    host = urlsplit(url).hostname
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return SourceUnreachable(f"the host of {name} is unknown", "Check its name, or give its IP address")
    return None


def timeout_fault(name: str) -> SourceTimeout:
    """The error for a source that says nothing."""
    return SourceTimeout(f"{name} did not answer in time", "Check that it is on and on this network")
