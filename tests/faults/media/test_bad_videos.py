"""Videos that are none, damaged or cut short: a typed error or a counted drop, never a crash or a hang."""

from __future__ import annotations

import logging
import random
from pathlib import Path

import pytest
from tests.unit.media.clips import number_of, packet_spans, write_clip, write_sound

from consentry.clock import SystemClock
from consentry.config import Media
from consentry.errors import BadMedia, MediaError, SourceNotFound, UsageError
from consentry.media import FRAME_DROPS, Source, open_source
from consentry.types import Frame

FUZZED = {
    "a.mp4": ("libx264", {"g": "10"}, "yuv420p"),
    "a.ts": ("libx264", {"g": "10"}, "yuv420p"),
    "a.mkv": ("libx264", {"bf": "2", "g": "10"}, "yuv420p"),
    "b.mp4": ("libx265", {}, "yuv420p"),
    "a.avi": ("mpeg4", {}, "yuv420p"),
    "b.avi": ("mjpeg", {}, "yuvj420p"),
    "a.webm": ("libvpx-vp9", {"deadline": "realtime"}, "yuv420p"),
}
CASES_PER_FILE = 15


def read(path: Path) -> tuple[Source, list[Frame]]:
    media = Media(max_pixels=1_000_000)
    with open_source(str(path), camera="door", settings=media, clock=SystemClock()) as source:
        return source, list(source)


def assert_accounts_balance(source: Source, frames: list[Frame]) -> None:
    """Nothing is lost without being counted, and times and numbers rise."""
    assert source.frames_read == len(frames) + sum(source.drops[cause] for cause in FRAME_DROPS)
    assert [frame.sequence for frame in frames] == sorted({frame.sequence for frame in frames})
    assert [frame.time_s for frame in frames] == sorted({frame.time_s for frame in frames})


@pytest.mark.parametrize(
    "name", ["text.mp4", "zeros.mp4", "playlist.m3u8", "description.sdp", "list.ffconcat"]
)
def test_what_is_no_video_is_refused(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    clip = write_clip(tmp_path / "clip.ts", frames=5)
    content = {
        "text.mp4": b"hello, this is no video\n" * 100,
        "zeros.mp4": bytes(100_000),
        "playlist.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{clip}\n#EXT-X-ENDLIST\n".encode(),
        "description.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        b"m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "list.ffconcat": f"ffconcat version 1.0\nfile '{clip}'\n".encode(),
    }[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadMedia, match="no video this program can read") as caught:
        read(path)
    assert str(path) in caught.value.cause
    assert caught.value.mend
    assert capfd.readouterr().err == ""


def test_zero_bytes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    with pytest.raises(BadMedia, match="is empty"):
        read(path)


def test_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadMedia, match="sound, but no video"):
        read(write_sound(tmp_path / "sound.mp4"))


@pytest.mark.parametrize(
    ("name", "codec", "tag", "other"),
    [("a.mp4", "libx264", b"avc1", b"evc1"), ("a.avi", "mpeg4", b"FMP4", b"ZZZZ")],
)
def test_an_unknown_codec_is_named(name: str, codec: str, tag: bytes, other: bytes, tmp_path: Path) -> None:
    path = write_clip(tmp_path / name, codec, frames=5)
    path.write_bytes(path.read_bytes().replace(tag, other))
    with pytest.raises(BadMedia, match=f"cannot decode: {other.decode()}") as caught:
        read(path)
    assert "H.264" in caught.value.mend


def test_a_matroska_codec_is_named(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", "mpeg4", frames=5)
    path.write_bytes(path.read_bytes().replace(b"V_MPEG4/ISO/ASP", b"V_MPEG9/ISO/ASP"))
    with pytest.raises(BadMedia, match="V_MPEG9/ISO/ASP"):
        read(path)


@pytest.mark.parametrize(
    "url", ["", "a\0b.mp4", "\udcff\ud800.mp4", "gone.mp4", "file:gone.mp4", "gone/a.mp4"]
)
def test_a_missing_file_is_not_found(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceNotFound) as caught:
        open_source(url, camera="door", settings=Media(), clock=SystemClock())
    assert caught.value.mend


def test_a_missing_webcam_is_not_found() -> None:
    with pytest.raises(SourceNotFound, match="/dev/video999"):
        open_source("webcam:999", camera="door", settings=Media(), clock=SystemClock())


@pytest.mark.parametrize("url", ["ftp://host/a", "webcam:", "webcam:front", "udp://127.0.0.1:1"])
def test_other_kinds_of_address_are_refused(url: str) -> None:
    with pytest.raises(UsageError):
        open_source(url, camera="door", settings=Media(), clock=SystemClock())


def test_an_mp4_without_its_index_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(BadMedia):
        read(path)


@pytest.mark.parametrize(
    ("name", "options"), [("a.mp4", {"movflags": "faststart"}), ("a.mkv", {}), ("a.avi", {})]
)
def test_a_truncated_video_delivers_what_is_there_and_says_so(
    name: str, options: dict[str, str], tmp_path: Path
) -> None:
    codec = "mpeg4" if name == "a.avi" else "libx264"
    path = write_clip(tmp_path / name, codec, frames=100, container_options=options)
    whole = len(packet_spans(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    source, frames = read(path)
    assert whole == 100
    assert 40 < len(frames) < 80
    assert [number_of(frame.bgr) for frame in frames] == list(range(len(frames)))
    assert source.drops["truncated"] == 1
    assert_accounts_balance(source, frames)


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "b.avi"])
def test_a_broken_packet_is_one_gap_and_reading_goes_on(name: str, tmp_path: Path) -> None:
    codec, options, pix_fmt = FUZZED[name]
    path = write_clip(tmp_path / name, codec, frames=40, options=options, pix_fmt=pix_fmt)
    offset, size = packet_spans(path)[15]
    data = bytearray(path.read_bytes())
    data[offset : offset + size] = bytes(size)
    path.write_bytes(data)
    source, frames = read(path)
    missing = set(range(40)) - {frame.sequence for frame in frames}
    assert source.drops["corrupt_packet"] == 1
    assert len(missing) == sum(source.drops[cause] for cause in FRAME_DROPS) <= 10
    intact = [frame for frame in frames if not 12 <= frame.sequence < 20]
    assert [number_of(frame.bgr) for frame in intact] == [frame.sequence for frame in intact]
    assert [intact[0].sequence, intact[-1].sequence] == [0, 39]
    assert_accounts_balance(source, frames)


def test_a_stream_that_begins_in_the_middle_counts_what_it_cannot_show(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.ts", frames=30, options={"g": "10", "bf": "0"})
    starts = [offset for offset, _ in packet_spans(path)]
    data = path.read_bytes()
    path.write_bytes(data[: starts[0]] + data[starts[4] :])
    source, frames = read(path)
    assert source.drops == {"before_keyframe": 6}
    assert [number_of(frame.bgr) for frame in frames] == list(range(10, 30))
    assert [frame.sequence for frame in frames] == list(range(6, 26))
    assert frames[0].time_s == 0.0
    assert_accounts_balance(source, frames)


@pytest.mark.parametrize("name", FUZZED)
def test_random_damage_never_escapes_as_anything_else(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """More than 100 seeded cases over all files: flipped, overwritten, removed and repeated bytes."""
    caplog.set_level(logging.DEBUG)
    codec, options, pix_fmt = FUZZED[name]
    path = write_clip(tmp_path / name, codec, frames=25, options=options, pix_fmt=pix_fmt, wh=(160, 96))
    whole, rng, damaged = path.read_bytes(), random.Random(name), 0
    for _ in range(CASES_PER_FILE):
        data = bytearray(whole)
        at, length = rng.randrange(len(data)), rng.choice([1, 20, 300])
        match rng.randrange(4):
            case 0:
                for _ in range(rng.choice([1, 5, 30])):
                    data[rng.randrange(len(data))] = rng.randrange(256)
            case 1:
                data[at : at + length] = rng.randbytes(len(data[at : at + length]))
            case 2:
                del data[at : at + length]
            case _:
                data[at:at] = data[at : at + length]
        path.write_bytes(data)
        try:
            source, frames = read(path)
        except MediaError:
            damaged += 1
            continue
        damaged += bool(source.drops)
        assert_accounts_balance(source, frames)
        assert len(frames) > 0
    assert damaged > 0
    assert capfd.readouterr().err == ""
    assert caplog.text == ""
