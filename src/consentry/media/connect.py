"""Opening a video stream with FFmpeg: what may be opened, how long it may take, what it turned out to be.

FFmpeg understands playlists and descriptions that name further files and hosts. Which containers and
protocols it may use is therefore listed here: nothing is opened but what the user named.

TLS certificates are not verified: cameras sign their own.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import av
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from consentry.clock import Clock
from consentry.config import Media
from consentry.errors import BadMedia, MediaError
from consentry.media.faults import media_fault, name_fault
from consentry.media.handover import Decoded
from consentry.media.pictures import PictureReader
from consentry.media.source import SourceInfo, SourceKind
from consentry.media.stream import StreamSource

CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,m4v,av1,obu,ivf,mjpeg,mpjpeg,"
    "flv,live_flv,asf,ogg,mxf,dv,dhav"
)
CODEC_SCAN_BYTES = 8_000_000
_DECLARED_CODEC = re.compile(
    rb"vide.{1,4000}?stsd.{12}([!-~]{4})|strh.{4}vids([!-~]{4})|(V_[!-~]{3,40})", re.S
)


@dataclass(frozen=True, slots=True)
class Address:
    """What to hand to FFmpeg.

    Attributes:
        kind: What it is; a `file` over HTTP that turns out to be MJPEG becomes `mjpeg`.
        name: Safe to print.
        url: FFmpeg's address; may hold credentials, so it stays out of the repr.
        format: FFmpeg's input format; None to find out.
        options: FFmpeg's options.
        path: The local file, if it is one.
    """

    kind: SourceKind
    name: str
    url: str = field(repr=False)
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    path: Path | None = None


def file_address(path: Path, name: str) -> Address:
    """A video file."""
    options = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}
    return Address("file", name, f"file:{path.absolute()}", options=options, path=path)


def rtsp_address(url: str, name: str, settings: Media) -> Address:
    """A stream over RTSP, its packets interleaved in the one TCP connection."""
    options = {
        "rtsp_transport": "tcp",
        "allowed_media_types": "video",
        "fpsprobesize": "3",
        "protocol_whitelist": "tcp,tls,rtp",
        "timeout": _socket_timeout_us(settings),
    }
    return Address("rtsp", name, url, options=options)


def http_address(url: str, name: str, settings: Media) -> Address:
    """MJPEG or a plain video over HTTP, directly: a proxy would be given the camera's password.

    Redirects are not followed: a camera could send this machine anywhere.
    """
    options = {
        "protocol_whitelist": "http,https,tcp,tls",
        "format_whitelist": CONTAINERS,
        "http_proxy": "",
        "max_redirects": "0",
        "timeout": _socket_timeout_us(settings),
    }
    return Address("file", name, url, options=options)


def webcam_address(device: Path, name: str) -> Address:
    """A camera of this machine, through Video4Linux."""
    return Address("webcam", name, str(device), format="v4l2")


def open_stream(address: Address, *, camera: str, settings: Media, clock: Clock) -> StreamSource:
    """Connect, find the video and decode its first picture.

    Raises:
        MediaError: see `consentry.media.open_source`.
    """
    with ExitStack() as undo:
        container = _open(address, settings, clock)
        undo.callback(container.close)
        stream = _video_of(container, address, settings)
        kind = address.kind
        if kind == "file" and address.path is None and container.format.name in ("mpjpeg", "mjpeg"):
            kind = "mjpeg"
        live = kind in ("rtsp", "mjpeg", "webcam")
        fps = None if kind == "mjpeg" else _fps(stream)
        _tune(stream, settings)
        reader = PictureReader(
            kind=kind, live=live, name=address.name, fps=fps, settings=settings, clock=clock
        )
        pictures = reader.pictures(container, stream)
        first = next(pictures)
        info = SourceInfo(
            kind=kind,
            frame_wh=_shown_wh(first),
            fps=fps,
            codec=stream.codec_context.codec.canonical_name,
            live=live,
            name=address.name,
        )
        undo.pop_all()
        return StreamSource(camera, info, reader, first, pictures)


def _open(address: Address, settings: Media, clock: Clock) -> InputContainer:
    """FFmpeg's container, with the errors of opening it mapped."""
    began_s = clock.monotonic_s()
    try:
        return av.open(
            address.url,
            mode="r",
            format=address.format,
            options=address.options,
            metadata_errors="replace",
            timeout=(settings.open_timeout_s, settings.read_timeout_s),
        )
    except av.FFmpegError as error:
        timed_out = clock.monotonic_s() - began_s >= settings.open_timeout_s
        fault: MediaError = media_fault(error, address.name, timed_out=timed_out)
    if isinstance(fault, BadMedia) and "://" in address.url:
        fault = name_fault(address.url, address.name) or fault
    raise fault


def _video_of(container: InputContainer, address: Address, settings: Media) -> VideoStream:
    """The first stream of moving pictures; the others are left unread.

    Raises:
        BadMedia: there is none, no decoder for it, or its pictures are too large.
    """
    streams = [
        stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic
    ]
    if not streams:
        what = "sound, but no video" if container.streams.audio else "no video"
        raise BadMedia(f"{address.name} holds {what}", "Give a source with pictures")
    stream = streams[0]
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    if cast("VideoCodecContext | None", stream.codec_context) is None:
        codec = _declared_codec(address.path) if address.path else None
        raise BadMedia(
            f"{address.name} is in a codec this program cannot decode: {codec or 'unknown'}",
            "Set the camera to H.264 or H.265, or convert the file",
        )
    if stream.width * stream.height > settings.max_pixels:
        raise BadMedia(
            f"{address.name} has pictures of {stream.width}×{stream.height} pixels, the most is "
            f"{settings.max_pixels} pixels",
            "Choose a smaller size, or raise media.max_pixels",
        )
    return stream


def _tune(stream: VideoStream, settings: Media) -> None:
    """Decoder options: bounded pictures, strict JPEG, one thread.

    Each source already decodes beside its consumer. FFmpeg's frame threads on top delay live pictures,
    lose some where a file is damaged, and on two cores made nothing faster.
    """
    options = {"max_pixels": str(settings.max_pixels)}
    if stream.codec_context.name == "mjpeg":
        options["err_detect"] = "explode"
    stream.codec_context.options = options
    stream.codec_context.thread_count = 1


def _fps(stream: VideoStream) -> float | None:
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate and 0 < rate <= 1000 else None


def _shown_wh(first: Decoded) -> tuple[int, int]:
    """Width and height after rotation."""
    picture = first.picture
    lying = round(picture.rotation / 90) % 2 == 1
    return (picture.height, picture.width) if lying else (picture.width, picture.height)


def _declared_codec(path: Path) -> str | None:
    """The codec a video file says it is in: four letters of MP4 or AVI, or Matroska's name."""
    with path.open("rb") as file:
        head = file.read(CODEC_SCAN_BYTES)
        file.seek(max(len(head), path.stat().st_size - CODEC_SCAN_BYTES))
        found = _DECLARED_CODEC.search(head) or _DECLARED_CODEC.search(file.read())
    return found[found.lastindex or 0].decode("ascii") if found else None


def _socket_timeout_us(settings: Media) -> str:
    return str(round(max(settings.open_timeout_s, settings.read_timeout_s) * 1e6))
