"""Where the site key is looked for, and what is said when it is not right."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from consentry.clock import SimulatedClock
from consentry.config import keys_dir
from consentry.errors import BadConfig, ConsentryError, SiteKeyMissing
from consentry.people.keys import FILE_VARIABLE, KEY_VARIABLE, PASSPHRASE_VARIABLE
from consentry.people.site import Site

CLOCK = SimulatedClock()
PASSPHRASE = "four words make it long"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (FILE_VARIABLE, KEY_VARIABLE, PASSPHRASE_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def _open(folder: Path, *, create: bool = False) -> str:
    with Site.open(folder, clock=CLOCK, create=create) as site:
        return site.site_uuid


def test_a_key_file_is_made_outside_the_data_folder(tmp_path: Path) -> None:
    site_uuid = _open(tmp_path / "data", create=True)
    path = keys_dir() / f"{site_uuid}.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert len(base64.b64decode(path.read_bytes())) == 32
    assert not path.is_relative_to(tmp_path / "data")
    assert _open(tmp_path / "data") == site_uuid


def test_two_installations_have_two_keys(tmp_path: Path) -> None:
    first, second = _open(tmp_path / "a", create=True), _open(tmp_path / "b", create=True)
    keys = [(keys_dir() / f"{site}.key").read_bytes() for site in (first, second)]
    assert keys[0] != keys[1]


def test_a_lost_key_file(tmp_path: Path) -> None:
    site_uuid = _open(tmp_path / "data", create=True)
    path = keys_dir() / f"{site_uuid}.key"
    path.unlink()
    for create in (False, True):  # a new key is never made for sealed data
        with pytest.raises(SiteKeyMissing, match=r"is not there.*Put the file back") as raised:
            _open(tmp_path / "data", create=create)
        assert str(path) in raised.value.cause
        assert not path.exists()


def test_another_key_fails_loudly(tmp_path: Path) -> None:
    site_uuid = _open(tmp_path / "data", create=True)
    (keys_dir() / f"{site_uuid}.key").write_bytes(base64.b64encode(bytes(32)))
    with pytest.raises(SiteKeyMissing, match=r"is not the one that .* was sealed with"):
        _open(tmp_path / "data")


@pytest.mark.parametrize("content", ["", "not base64!", base64.b64encode(bytes(31)).decode()])
def test_a_file_that_holds_no_key(tmp_path: Path, content: str) -> None:
    site_uuid = _open(tmp_path / "data", create=True)
    (keys_dir() / f"{site_uuid}.key").write_text(content)
    with pytest.raises(SiteKeyMissing, match="does not hold a site key"):
        _open(tmp_path / "data")


def test_a_key_file_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "stick" / "site.key"))
    site_uuid = _open(tmp_path / "data", create=True)
    assert (tmp_path / "stick" / "site.key").is_file()
    assert list(keys_dir().glob("*.key")) == []
    assert _open(tmp_path / "data") == site_uuid


def test_a_key_file_in_the_data_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "data" / "site.key"))
    with pytest.raises(BadConfig, match="lies in the data folder that it protects"):
        _open(tmp_path / "data", create=True)
    assert not (tmp_path / "data" / "site.key").exists()


def test_a_key_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, base64.b64encode(bytes(range(32))).decode())
    site_uuid = _open(tmp_path / "data", create=True)
    assert _open(tmp_path / "data") == site_uuid
    monkeypatch.setenv(KEY_VARIABLE, "short-secret-text")
    with pytest.raises(SiteKeyMissing) as raised:
        _open(tmp_path / "data")
    assert "short-secret-text" not in str(raised.value)


def test_a_passphrase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)
    site_uuid = _open(tmp_path / "data", create=True)
    assert _open(tmp_path / "data") == site_uuid
    assert list(keys_dir().glob("*.key")) == []
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE + ".")
    with pytest.raises(SiteKeyMissing, match="is not the one") as raised:
        _open(tmp_path / "data")
    assert PASSPHRASE not in str(raised.value)
    monkeypatch.delenv(PASSPHRASE_VARIABLE)
    with pytest.raises(SiteKeyMissing, match=rf"with a passphrase.*Set {PASSPHRASE_VARIABLE}"):
        _open(tmp_path / "data")


def test_a_passphrase_for_a_folder_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _open(tmp_path / "data", create=True)
    monkeypatch.setenv(PASSPHRASE_VARIABLE, PASSPHRASE)
    with pytest.raises(SiteKeyMissing, match=rf"not with a passphrase.*Unset {PASSPHRASE_VARIABLE}"):
        _open(tmp_path / "data")


@pytest.mark.parametrize(
    ("variables", "kind", "words"),
    [
        ({PASSPHRASE_VARIABLE: "too short"}, BadConfig, "shorter than 12"),
        ({PASSPHRASE_VARIABLE: PASSPHRASE, KEY_VARIABLE: "x"}, BadConfig, "are both set"),
    ],
)
def test_badly_given_keys_make_no_folder(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    kind: type[ConsentryError],
    words: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(kind, match=words):
        _open(tmp_path / "data", create=True)
    assert not (tmp_path / "data").exists()
