"""A sealed value opens only unchanged, with its own key, as what it is and where it belongs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentry.errors import DataDamaged
from consentry.people.seal import Kind, SealingKey

KEY = SealingKey(bytes(range(32)), "site/person")
SECRET = b"\x00" * 31 + b"\x01"


@given(plain=st.binary(max_size=3000), kind=st.sampled_from(Kind), record_id=st.text(max_size=40))
def test_what_was_sealed_opens(plain: bytes, kind: Kind, record_id: str) -> None:
    sealed = KEY.seal(plain, kind, record_id)
    assert KEY.open(sealed, kind, record_id) == plain
    assert len(sealed) == len(plain) + 29
    assert plain not in sealed or len(plain) < 4


@given(plain=st.binary(max_size=200), place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_any_changed_byte_is_noticed(plain: bytes, place: int, flip: int) -> None:
    sealed = bytearray(KEY.seal(plain, Kind.TEMPLATE, "1"))
    sealed[place % len(sealed)] ^= flip
    with pytest.raises(DataDamaged, match="a sealed template does not open"):
        KEY.open(bytes(sealed), Kind.TEMPLATE, "1")


@given(plain=st.binary(max_size=50), cut=st.integers(1, 60))
def test_any_cut_is_noticed(plain: bytes, cut: int) -> None:
    sealed = KEY.seal(plain, Kind.TEMPLATE, "1")
    with pytest.raises(DataDamaged):
        KEY.open(sealed[: max(0, len(sealed) - cut)], Kind.TEMPLATE, "1")


@pytest.mark.parametrize(
    ("key", "kind", "record_id"),
    [
        (KEY, Kind.TEMPLATE, "2"),
        (KEY, Kind.PHOTO, "1"),
        (SealingKey(bytes(range(32)), "site/other"), Kind.TEMPLATE, "1"),
        (SealingKey(bytes(range(32)), "other/person"), Kind.TEMPLATE, "1"),
        (SealingKey(SECRET, "site/person"), Kind.TEMPLATE, "1"),
    ],
    ids=["other row", "other kind", "other person", "other site", "other key"],
)
def test_it_does_not_open_elsewhere(key: SealingKey, kind: Kind, record_id: str) -> None:
    with pytest.raises(DataDamaged, match="does not open"):
        key.open(KEY.seal(b"plain", Kind.TEMPLATE, "1"), kind, record_id)


def test_the_same_value_twice_looks_different() -> None:
    assert KEY.seal(b"plain", Kind.NAME, "1") != KEY.seal(b"plain", Kind.NAME, "1")


def test_pseudonyms_stay_and_tell_nothing() -> None:
    assert KEY.pseudonym("a") == KEY.pseudonym("a")
    others = {KEY.pseudonym("b"), SealingKey(SECRET, "site/person").pseudonym("a"), "a"}
    assert KEY.pseudonym("a") not in others
    assert len(KEY.pseudonym("a")) == 64


def test_a_key_never_prints_its_secret() -> None:
    key = SealingKey(b"k" * 32, "site")
    assert repr(key) == "SealingKey(***, scope='site')"
    assert "kkk" not in str(key)


def test_a_key_of_another_length() -> None:
    with pytest.raises(DataDamaged, match="must have 32 bytes, this one has 16"):
        SealingKey(b"k" * 16, "site")
