"""Proofs as text: what is written is read back, and nothing changed proves anything."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from consentry.errors import LedgerBroken, ReceiptInvalid
from consentry.ledger.checkpoint import Checkpoint, VerifierKey, sign_note
from consentry.ledger.proof import Proof, parse_proof, verify_proof
from consentry.ledger.tree import frontier_of, inclusion_proof, leaf_hash

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
NAME = "consentry/ledger/test"
VERIFIER = VerifierKey(NAME, KEY.public_key())
LEAVES = [f'{{"seq":{number}}}'.encode() for number in range(11)]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def _proof(index: int, *, origin: str = NAME, key: Ed25519PrivateKey = KEY) -> Proof:
    text = Checkpoint(origin, len(LEAVES), frontier_of(HASHES).root()).text()
    return Proof(index, tuple(inclusion_proof(index, HASHES)), sign_note(text, NAME, key))


PROOF = _proof(6)


def test_what_is_written_is_read_back() -> None:
    for index, leaf in enumerate(LEAVES):
        proof = _proof(index)
        assert parse_proof(proof.text()) == proof
        assert verify_proof(parse_proof(proof.text()), leaf, VERIFIER).size == len(LEAVES)


def test_the_form_is_that_of_the_specification() -> None:
    lines = PROOF.text().split("\n")
    hashes = [base64.b64encode(sibling).decode() for sibling in PROOF.path]
    assert lines[: 3 + len(hashes)] == ["c2sp.org/tlog-proof@v1", "index 6", *hashes, ""]
    assert PROOF.text().endswith(f"\n\n{PROOF.checkpoint}")


def test_extra_data_comes_along_unproven() -> None:
    proof = Proof(PROOF.index, PROOF.path, PROOF.checkpoint, extra=b"a hint")
    assert proof.text().split("\n")[1] == "extra YSBoaW50"
    assert parse_proof(proof.text()) == proof
    assert verify_proof(proof, LEAVES[6], VERIFIER).size == len(LEAVES)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "does not begin with"),
        ("c2sp.org/tlog-proof@v2\nindex 6\n\n" + PROOF.checkpoint, "does not begin with"),
        ("c2sp.org/tlog-proof@v1\nindex 6\n", "does not begin with"),
        ("c2sp.org/tlog-proof@v1\n\n" + PROOF.checkpoint, "which entry"),
        ("c2sp.org/tlog-proof@v1\nindex 06\n\n" + PROOF.checkpoint, "which entry"),
        ("c2sp.org/tlog-proof@v1\nindex -6\n\n" + PROOF.checkpoint, "which entry"),
        ("c2sp.org/tlog-proof@v1\nindex 6\nAAAA\n\n" + PROOF.checkpoint, "not those of a tree"),
        ("c2sp.org/tlog-proof@v1\nindex 6\n!\n\n" + PROOF.checkpoint, "no base64"),
        ("c2sp.org/tlog-proof@v1\nextra !\nindex 6\n\n" + PROOF.checkpoint, "no base64"),
        (
            "c2sp.org/tlog-proof@v1\nindex 6\n" + f"{'A' * 43}=\n" * 64 + "\n" + PROOF.checkpoint,
            "not those of a tree",
        ),
    ],
)
def test_what_is_no_proof(text: str, cause: str) -> None:
    with pytest.raises(ReceiptInvalid, match=cause) as raised:
        parse_proof(text)
    assert raised.value.mend


@given(place=st.integers(0, len(PROOF.text().encode()) - 1), flip=st.integers(1, 127))
def test_any_changed_byte_is_noticed(place: int, flip: int) -> None:
    changed = bytearray(PROOF.text().encode())
    changed[place] ^= flip
    text = changed.decode("utf-8", errors="replace")
    with pytest.raises((LedgerBroken, ReceiptInvalid)):
        verify_proof(parse_proof(text), LEAVES[6], VERIFIER)


def test_another_entry_is_not_proven() -> None:
    with pytest.raises(ReceiptInvalid, match="does not lead to the signed checkpoint"):
        verify_proof(PROOF, LEAVES[7], VERIFIER)


def test_a_log_of_someone_else_proves_nothing() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    with pytest.raises(LedgerBroken, match="bears no signature of"):
        verify_proof(_proof(6, key=other), LEAVES[6], VERIFIER)
    with pytest.raises(ReceiptInvalid, match="checkpoint is of the log another/log"):
        verify_proof(_proof(6, origin="another/log"), LEAVES[6], VERIFIER)
