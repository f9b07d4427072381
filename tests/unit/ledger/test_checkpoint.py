"""Signed notes against the examples of the specifications, and no changed byte goes unnoticed."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from consentry.errors import LedgerBroken
from consentry.ledger.checkpoint import Checkpoint, VerifierKey, open_note, sign_note

# From C2SP signed-note, and from the documentation of Go's golang.org/x/mod/sumdb/note.
EXAMPLES = [
    (
        "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "This is an example message.\n",
        "\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYj"
        "OBH3mFXmRKuwHjG1Yu72IneyaQM=\n",
    ),
    (
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n",
        "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpR"
        "Zb6KE6RyyBwJnAM=\n",
    ),
]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NAME = "consentry/ledger/test"
CHECKPOINT = Checkpoint(NAME, 8, bytes(range(100, 132)))
NOTE = sign_note(CHECKPOINT.text(), NAME, KEY)
VERIFIER = VerifierKey(NAME, KEY.public_key())


@pytest.mark.parametrize(("vkey", "text", "signature"), EXAMPLES)
def test_published_examples(vkey: str, text: str, signature: str) -> None:
    key = VerifierKey.parse(vkey)
    assert str(key) == vkey
    assert key.key_id().hex() == vkey.split("+")[1]
    assert open_note(f"{text}\n{signature}", key) == text


def test_both_signatures_on_one_note() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    line = sign_note(CHECKPOINT.text(), "witness", other).split("\n\n")[1]
    both = NOTE + line
    assert open_note(both, VERIFIER) == CHECKPOINT.text()
    assert open_note(both, VerifierKey("witness", other.public_key())) == CHECKPOINT.text()


def test_a_checkpoint_reads_as_specified() -> None:
    assert CHECKPOINT.text() == f"{NAME}\n8\nZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=\n"
    assert Checkpoint.parse(open_note(NOTE, VERIFIER)) == CHECKPOINT


@given(place=st.integers(0, len(NOTE.encode()) - 1), flip=st.integers(1, 127))
def test_any_changed_byte_is_noticed(place: int, flip: int) -> None:
    changed = bytearray(NOTE.encode())
    changed[place] ^= flip
    text = changed.decode("utf-8", errors="surrogateescape")
    with pytest.raises((LedgerBroken, UnicodeEncodeError)):
        open_note(text, VERIFIER)


@given(end=st.integers(0, len(NOTE) - 1))
def test_any_cut_is_noticed(end: int) -> None:
    with pytest.raises(LedgerBroken):
        open_note(NOTE[:end], VERIFIER)


def test_a_note_of_someone_else() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(LedgerBroken, match="bears no signature of"):
        open_note(sign_note(CHECKPOINT.text(), NAME, other), VERIFIER)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name\n8\n",
        f"{NAME}\neight\n{'A' * 43}=\n",
        f"{NAME}\n-1\n{'A' * 43}=\n",
        f"{NAME}\n08\n{'A' * 43}=\n",
        f"{NAME}\n8\nAAAA\n",
        f"{NAME}\n8\n!{'A' * 42}=\n",
        f"{NAME}\n8\n{'A' * 43}=\nan extension\n",
    ],
)
def test_what_is_no_checkpoint(text: str) -> None:
    with pytest.raises(LedgerBroken, match="no checkpoint"):
        Checkpoint.parse(text)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name",
        "name+00000000+AAAA",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_what_is_no_verifier_key(vkey: str) -> None:
    with pytest.raises(LedgerBroken):
        VerifierKey.parse(vkey)
