"""A full disk and other places that cannot be written: a typed error, and nothing half-written."""

from __future__ import annotations

import gc
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from consentry.errors import ConsentryError, DiskFull, MediaError
from consentry.media import VideoWriter

NOISE = np.random.default_rng(0).integers(0, 255, (12, 120, 160, 3), np.uint8)


def write(path: Path, frames: int) -> None:
    """A video of noise, which does not compress: about 20 kB a frame."""
    with VideoWriter(path, frame_wh=(160, 120), fps=25) as writer:
        for index in range(frames):
            writer.write(NOISE[index % len(NOISE)], index / 25)


def open_files() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB; skips where this user may not mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_device_that_is_always_full(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    (tmp_path / "out.mp4.partial").symlink_to("/dev/full")
    before = open_files()
    with pytest.raises(DiskFull, match="no space left") as caught:
        write(path, 50)
    assert str(path) in caught.value.cause
    assert caught.value.mend
    assert list(tmp_path.iterdir()) == []
    assert open_files() == before


def test_a_disk_that_fills_up_at_any_moment(small_disk: Path) -> None:
    """Whether it fills while encoding, while completing or not at all: a whole video or none."""
    path, outcomes = small_disk / "out.mp4", set()
    for frames in range(2, 40, 3):
        try:
            write(path, frames)
        except DiskFull:
            outcomes.add("full")
            assert list(small_disk.iterdir()) == []
        else:
            outcomes.add("whole")
            assert [child.name for child in small_disk.iterdir()] == ["out.mp4"]
            assert boxes_end(path) == path.stat().st_size
            path.unlink()
    assert outcomes == {"full", "whole"}


def boxes_end(path: Path) -> int:
    """Where the last top-level box of an MP4 ends by its own account (ISO/IEC 14496-12, 4.2)."""
    data, at, kinds = path.read_bytes(), 0, []
    while at + 8 <= len(data):
        kinds.append(data[at + 4 : at + 8])
        at += int.from_bytes(data[at : at + 4], "big")
    assert {b"moov", b"mdat"} <= set(kinds)
    return at


def test_a_full_disk_does_not_touch_the_video_that_was_there(small_disk: Path) -> None:
    path = small_disk / "out.mp4"
    write(path, 3)
    before = path.read_bytes()
    with pytest.raises(DiskFull):
        write(path, 60)
    assert path.read_bytes() == before
    assert [child.name for child in small_disk.iterdir()] == ["out.mp4"]


def test_a_folder_that_cannot_be_written() -> None:
    with pytest.raises(MediaError, match="cannot be written") as caught:
        write(Path("/proc/self/out.mp4"), 50)
    assert isinstance(caught.value, ConsentryError)
    assert caught.value.__context__ is None
    assert caught.value.mend


def test_after_a_failed_write_the_writer_is_closed(small_disk: Path) -> None:
    before = open_files()
    writer = VideoWriter(small_disk / "out.mp4", frame_wh=(160, 120), fps=25)

    def write_on() -> None:
        for index in range(400):
            writer.write(NOISE[index % len(NOISE)], index / 25)

    with pytest.raises(DiskFull):
        write_on()
    writer.close()
    writer.abort()
    assert list(small_disk.iterdir()) == []
    assert open_files() == before
