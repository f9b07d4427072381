"""From packets to whole pictures, with every loss counted by cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from consentry.clock import Clock
from consentry.config import Media
from consentry.errors import BadMedia, MediaError, SourceTimeout
from consentry.media.faults import media_fault, timeout_fault
from consentry.media.handover import Decoded
from consentry.media.source import SourceKind
from consentry.media.tally import Tally
from consentry.media.timeline import Timeline

UNKNOWN_FPS = 25.0
TRUNCATED_BY_S = 0.25


class PictureReader:
    """Demuxes and decodes one video stream.

    Only one thread may run `pictures`; the counters may be read from any.

    Args:
        kind: What is read; decides how its time stamps and its end are understood.
        live: The frames come in real time.
        name: The source's address without credentials.
        fps: Nominal frames per second, None when unknown.
        settings: Timeouts.
        clock: Tells when frames arrive.
    """

    def __init__(
        self, *, kind: SourceKind, live: bool, name: str, fps: float | None, settings: Media, clock: Clock
    ) -> None:
        self.drops: Counter[str] = Counter()
        self.frames_read = 0
        self.frames_decoded = 0
        self._kind = kind
        self._live = live
        self._name = name
        self._settings = settings
        self._clock = clock
        self._step_s = 1.0 / (fps or UNKNOWN_FPS)
        self._timeline = Timeline(self._step_s, live=live)
        self._tally = Tally()
        self._tainted: set[int] = set()
        self._last_picture_s = clock.monotonic_s()
        self._seen_until_s = 0.0
        self._last_partial = False

    def pictures(self, container: InputContainer, stream: VideoStream) -> Generator[Decoded, None, None]:
        """Every whole picture of `stream` in the order of showing; closes `container` at the end.

        Raises:
            BadMedia: there was not one whole picture.
            SourceTimeout: no data, or no picture, for too long.
            SourceUnreachable: the connection broke.
        """
        try:
            for packet in self._packets(container, stream):
                self._sent(packet)
                for picture in _decode(stream, packet):
                    yield from self._settle(picture, stream)
                self._check_alive()
            for picture in _decode(stream, None):
                yield from self._settle(picture, stream)
            self._lose(self._tally.at_end())
            if self.frames_decoded == 0:
                raise BadMedia(f"{self._name} holds not one whole picture", "Check that it plays elsewhere")
            if not self._live and self._ends_early(container, stream):
                self.drops["truncated"] += 1
        finally:
            container.close()

    def _packets(self, container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
        """Packets that hold data, until the stream ends or cannot be read any further.

        When a wait times out, FFmpeg first gives the packet it still held back, as if all were well.
        """
        demuxed = container.demux(stream)
        while True:
            failure: MediaError | None = None
            packet: Packet[VideoStream] | None = None
            began_s = self._clock.monotonic_s()
            try:
                packet = next(demuxed, None)
            except av.FFmpegError as error:
                failure = self._read_failure(error, self._waited_too_long(began_s))
            if failure is not None:
                raise failure
            if packet is None:
                return
            timed_out = self._live and self._waited_too_long(began_s)
            if packet.size > 0:
                yield packet
            if timed_out:
                raise timeout_fault(self._name)

    def _waited_too_long(self, began_s: float) -> bool:
        return self._clock.monotonic_s() - began_s >= self._settings.read_timeout_s

    def _read_failure(self, error: av.FFmpegError, timed_out: bool) -> MediaError | None:
        """What a failed read means; None when it only means that this was the end."""
        fault = media_fault(error, self._name, timed_out=timed_out)
        if not isinstance(fault, BadMedia):
            return fault
        if self._kind == "mjpeg" and isinstance(error, av.OSError):
            return None
        if self._live or self.frames_decoded == 0:
            return fault
        self.drops["truncated"] += 1
        return None

    def _sent(self, packet: Packet[VideoStream]) -> None:
        self._tally.sent(packet.pts)
        self._last_partial = packet.is_corrupt
        if packet.pts is not None and packet.is_corrupt:
            self._tainted.add(packet.pts)
        stamp = packet.dts if packet.pts is None else packet.pts
        if stamp is not None and packet.time_base:
            end_s = float((stamp + (packet.duration or 0)) * packet.time_base)
            self._seen_until_s = max(self._seen_until_s, end_s)

    def _settle(self, picture: VideoFrame, stream: VideoStream) -> Iterator[Decoded]:
        """Count `picture` and what was lost before it; give it on unless it is damaged."""
        self._lose(self._tally.came_out(picture.pts))
        sequence = self.frames_read
        self.frames_read += 1
        tainted = picture.pts in self._tainted
        if self._tainted and picture.pts is not None:
            self._tainted = {pts for pts in self._tainted if pts > picture.pts}
        if tainted or picture.is_corrupt:
            self.drops["corrupt_frame"] += 1
            return
        self.frames_decoded += 1
        self._last_picture_s = self._clock.monotonic_s()
        stamp_s = None
        if picture.pts is not None and stream.time_base and self._kind != "mjpeg":
            stamp_s = float(picture.pts * stream.time_base)
        time_s = self._timeline.place(stamp_s, self._last_picture_s)
        if self._timeline.jumps:
            self.drops["time_jump"] = self._timeline.jumps
        yield Decoded(sequence, time_s, picture)

    def _lose(self, count: int) -> None:
        if count:
            self.frames_read += count
            self.drops["corrupt_packet" if self.frames_decoded else "before_keyframe"] += count

    def _check_alive(self) -> None:
        """A live source that sends and sends, but nothing that can be shown, counts as gone."""
        limit_s = self._settings.open_timeout_s + self._settings.read_timeout_s
        if self._live and self._clock.monotonic_s() - self._last_picture_s > limit_s:
            raise SourceTimeout(
                f"{self._name} sent no whole picture for {limit_s:g} seconds", "Restart the camera"
            )

    def _ends_early(self, container: InputContainer, stream: VideoStream) -> bool:
        """Whether the last packet was incomplete, or the file says it is longer than what could be read."""
        if self.drops["truncated"]:
            return False
        if self._last_partial:
            return True
        start_s = float((stream.start_time or 0) * (stream.time_base or 0))
        if stream.duration is not None and stream.time_base:
            declared_s = start_s + float(stream.duration * stream.time_base)
        elif container.duration is not None and len(container.streams) == 1:
            declared_s = container.duration / av.time_base
        else:
            return False
        missing_s = declared_s - self._seen_until_s
        return self._seen_until_s > 0 and missing_s > TRUNCATED_BY_S + 3 * self._step_s


def _decode(stream: VideoStream, packet: Packet[VideoStream] | None) -> list[VideoFrame]:
    """The pictures `packet` completes (None: all that are left); a refused packet gives none.

    A refusal needs no count of its own: the tally sees that no picture came of it.
    """
    try:
        return stream.codec_context.decode(packet)
    except av.FFmpegError:
        return []
