"""How a restored folder takes the place of what was there: whole or not at all, whatever dies when.

The new files are made ready in `restore.part/new`, inside the data folder, so that a mounted folder does as
well as any other. The exchange has two phases, named in a file before each begins:

    aside    what is there moves to `restore.part/old`; interrupted, it moves back
    place    what is new moves in; interrupted, the next opening goes on with it
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from consentry.errors import EnvironmentLack
from consentry.store.failures import mapped_errors
from consentry.store.files import sync_folder, write_new_file
from consentry.store.parts import clear_left_over, exclusive, part_folder

RESTORE_PART = "restore.part"
_NEW, _OLD, _PHASE, _LOCK = "new", "old", "phase", "lock"
_ASIDE, _PLACE = b"aside", b"place"


@contextmanager
def restore_folder(data_dir: Path) -> Iterator[Path]:
    """The folder in which a restored site is made ready; goes when the block ends.

    Raises:
        EnvironmentLack: another restore is under way.
        DiskFull: it cannot be made.
    """
    part = data_dir / RESTORE_PART
    with part_folder(part, under_way=_under_way(data_dir), unless=_PHASE):
        ready = part / _NEW
        ready.mkdir(mode=0o700)
        yield ready


def exchange(data_dir: Path) -> None:
    """Put what was made ready in the place of all that is in `data_dir`.

    Raises:
        DiskFull, EnvironmentLack: a file cannot be moved; `settle_restore` has to be called.
    """
    part = data_dir / RESTORE_PART
    with mapped_errors(data_dir):
        (part / _OLD).mkdir(mode=0o700)
        _enter(part, _ASIDE)
        _move(data_dir, part / _OLD)
        _enter(part, _PLACE)
        _move(part / _NEW, data_dir)
        (part / _PHASE).unlink()


def settle_restore(data_dir: Path) -> None:
    """Finish or undo a restore whose process died.

    Raises:
        EnvironmentLack: a restore is under way.
        DiskFull: a file cannot be moved.
    """
    part = data_dir / RESTORE_PART
    if not part.is_dir():
        return
    with exclusive(part / _LOCK) as is_free, mapped_errors(data_dir):
        if not is_free:
            raise _under_way(data_dir)
        phase = (part / _PHASE).read_bytes() if (part / _PHASE).exists() else b""
        if phase == _ASIDE:
            _move(part / _OLD, data_dir)
        elif phase == _PLACE:
            _move(part / _NEW, data_dir)
        if phase:
            (part / _PHASE).unlink()
    clear_left_over(part)


def _enter(part: Path, phase: bytes) -> None:
    unfinished = part / (_PHASE + ".part")
    write_new_file(unfinished, phase)
    unfinished.replace(part / _PHASE)
    sync_folder(part)


def _move(source: Path, target: Path) -> None:
    """Move all entries but `restore.part`, durably."""
    for entry in sorted(source.iterdir()):
        if entry.name != RESTORE_PART:
            entry.rename(target / entry.name)
    sync_folder(target)
    sync_folder(source)


def _under_way(data_dir: Path) -> EnvironmentLack:
    return EnvironmentLack(f"{data_dir} is being restored from a backup", "Wait until that is done")
