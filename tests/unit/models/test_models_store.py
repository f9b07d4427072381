"""The store holds whole, verified files or none, whatever is interrupted, wrong or full."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentry.errors import DiskFull, EnvironmentLack, ModelCorrupt, ModelMissing
from consentry.models.catalogue import ModelEntry
from consentry.models.store import ModelStore, file_chunks

EntryMaker = Callable[..., ModelEntry]


def files_in(folder: Path) -> list[Path]:
    """Every file below `folder`."""
    return sorted(path for path in folder.rglob("*") if not path.is_dir())


def test_an_empty_store_says_what_to_run(tmp_path: Path, make_entry: EntryMaker) -> None:
    store = ModelStore(tmp_path / "absent")
    with pytest.raises(ModelMissing, match="consentry models pull trial"):
        store.path(make_entry())
    assert store.state(make_entry()) == "missing"
    assert not (tmp_path / "absent").exists()


@given(content=st.binary(min_size=1, max_size=300), cuts=st.lists(st.integers(0, 300), max_size=5))
def test_what_is_put_comes_back_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, make_entry: EntryMaker, content: bytes, cuts: list[int]
) -> None:
    store = ModelStore(tmp_path_factory.mktemp("store"))
    edges = [0, *sorted(cuts), len(content)]
    entry = make_entry(content)
    put = store.put(entry, (content[a:b] for a, b in itertools.pairwise(edges)))
    assert put == store.path(entry)
    assert put.read_bytes() == content
    assert files_in(store.folder) == [put]


@given(content=st.binary(min_size=1, max_size=100), given=st.binary(max_size=120))
def test_anything_else_than_the_pinned_bytes_leaves_nothing(
    tmp_path_factory: pytest.TempPathFactory, make_entry: EntryMaker, content: bytes, given: bytes
) -> None:
    store = ModelStore(tmp_path_factory.mktemp("store"))
    entry = make_entry(content)
    if given == content:
        return
    with pytest.raises(ModelCorrupt):
        store.put(entry, [given])
    assert files_in(store.folder) == []
    assert store.state(entry) == "missing"


def test_an_endless_stream_is_cut_off_at_the_pinned_size(tmp_path: Path, make_entry: EntryMaker) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 10

    with pytest.raises(ModelCorrupt):
        ModelStore(tmp_path).put(make_entry(b"x" * 25), endless())
    assert taken == 3
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ModelCorrupt])
def test_an_interrupted_put_leaves_nothing_and_keeps_the_old_file(
    tmp_path: Path, make_entry: EntryMaker, interruption: type[BaseException]
) -> None:
    def interrupted() -> Iterator[bytes]:
        yield b"wei"
        raise interruption("stop")

    store, entry = ModelStore(tmp_path), make_entry(b"weights")
    kept = store.put(entry, [b"weights"])
    with pytest.raises(interruption):
        store.put(entry, interrupted())
    assert files_in(tmp_path) == [kept]
    assert store.state(entry) == "verified"


@pytest.mark.parametrize("damage", [b"wEights", b"weight", b""])
def test_a_damaged_file_is_found_and_replaced(tmp_path: Path, make_entry: EntryMaker, damage: bytes) -> None:
    store, entry = ModelStore(tmp_path), make_entry(b"weights")
    path = store.put(entry, [b"weights"])
    path.write_bytes(damage)
    with pytest.raises(ModelCorrupt, match="pull trial"):
        store.path(entry)
    assert store.state(entry) == "corrupt"
    store.put(entry, [b"weights"])
    assert store.path(entry).read_bytes() == b"weights"


def test_a_change_after_the_first_check_is_found(tmp_path: Path, make_entry: EntryMaker) -> None:
    store, entry = ModelStore(tmp_path), make_entry(b"weights")
    store.put(entry, [b"weights"])
    path = store.path(entry)
    path.write_bytes(b"wEights")
    os.utime(path, ns=(1, 1))
    with pytest.raises(ModelCorrupt):
        store.path(entry)


def test_a_folder_in_place_of_a_file_is_corrupt(tmp_path: Path, make_entry: EntryMaker) -> None:
    entry = make_entry(b"weights")
    (tmp_path / "sha256" / entry.sha256).mkdir(parents=True)
    assert ModelStore(tmp_path).state(entry) == "corrupt"


def test_a_finished_download_is_adopted_and_a_wrong_one_removed(
    tmp_path: Path, make_entry: EntryMaker
) -> None:
    store, entry = ModelStore(tmp_path), make_entry(b"weights")
    store.partial(entry).write_bytes(b"wrong!!")
    with pytest.raises(ModelCorrupt):
        store.adopt(entry)
    assert files_in(tmp_path) == []
    store.partial(entry).write_bytes(b"weights")
    assert store.adopt(entry) == store.path(entry)
    assert files_in(tmp_path) == [store.path(entry)]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, the device that is always full")
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, make_entry: EntryMaker) -> None:
    store, entry = ModelStore(tmp_path), make_entry(b"weights")
    store.partial(entry).with_suffix(".new").symlink_to("/dev/full")
    with pytest.raises(DiskFull, match=r"No space left on device.*CONSENTRY_MODELS_DIR"):
        store.put(entry, [b"weights"])
    assert files_in(tmp_path) == []


def test_a_limit_on_file_size_is_named_and_leaves_nothing(tmp_path: Path, make_entry: EntryMaker) -> None:
    entry = make_entry(b"w" * 100_000)
    program = """
import resource, sys
from pathlib import Path
from consentry.errors import DiskFull
from consentry.models.catalogue import ModelEntry
from consentry.models.store import ModelStore
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
entry = ModelEntry.model_validate_json(sys.argv[2])
try:
    ModelStore(Path(sys.argv[1])).put(entry, [b"w" * 10_000] * 10)
except DiskFull as error:
    sys.exit(error.exit_code)
"""
    arguments = [sys.executable, "-c", program, str(tmp_path), entry.model_dump_json()]
    assert subprocess.run(arguments, check=False, timeout=60).returncode == DiskFull.exit_code
    assert files_in(tmp_path) == []


def test_a_folder_that_cannot_be_one_is_named(tmp_path: Path, make_entry: EntryMaker) -> None:
    (tmp_path / "file").write_text("")
    store = ModelStore(tmp_path / "file" / "models")
    with pytest.raises(EnvironmentLack, match="Not a directory"):
        store.put(make_entry(), [b"weights"])
    with pytest.raises(EnvironmentLack, match="Not a directory"), store.locked():
        pass
    with pytest.raises(EnvironmentLack, match="Not a directory"):
        store.path(make_entry())


def test_only_one_pull_at_a_time(tmp_path: Path) -> None:
    with (
        ModelStore(tmp_path).locked(),
        pytest.raises(EnvironmentLack, match="another pull"),
        ModelStore(tmp_path).locked(),
    ):
        pass
    with ModelStore(tmp_path).locked():
        pass


def test_a_pull_clears_what_a_killed_one_left_but_keeps_what_can_be_resumed(
    tmp_path: Path, make_entry: EntryMaker
) -> None:
    store, entry = ModelStore(tmp_path), make_entry()
    store.partial(entry).write_bytes(b"wei")
    store.partial(entry).with_suffix(".new").write_bytes(b"w")
    (tmp_path / "partial" / "scratch-dead" / "sub").mkdir(parents=True)
    with store.locked():
        assert [path.name for path in (tmp_path / "partial").iterdir()] == [entry.sha256]


def test_scratch_goes_away_after_an_error(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)

    def fail_in_scratch() -> None:
        with store.scratch() as folder:
            (folder / "wheel").write_bytes(b"x")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_in_scratch()
    assert list((tmp_path / "partial").iterdir()) == []


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "whole").write_bytes(b"abc")
    assert b"".join(file_chunks(tmp_path / "whole")) == b"abc"
    with pytest.raises(EnvironmentLack, match="absent: No such file"):
        list(file_chunks(tmp_path / "absent"))
