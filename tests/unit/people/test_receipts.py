"""Receipts: what they say, and that only an untouched one verifies, with nothing but the public key."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.people.kit import ACTOR, PURPOSE, START, START_UNIX_S, consent, enrolled, opened

from consentry.clock import SimulatedClock
from consentry.config import Retention
from consentry.errors import NotFound, ReceiptInvalid
from consentry.ledger.checkpoint import VerifierKey, sign_statement
from consentry.people.consent import demo_consent
from consentry.people.consents import add_consent
from consentry.people.declaration import declare_demo
from consentry.people.erase import withdraw
from consentry.people.links import person_behind
from consentry.people.receipt_form import SIGNED_AS, canonical, verify_receipt
from consentry.people.receipts import RIGHTS, Terms, issue_erasure_receipt, receipts_of
from consentry.people.roster import export_person
from consentry.people.upkeep import check_site
from consentry.store.schema import PersonLinkRow, ReceiptRow

SOURCE = str(Path(__file__).parents[3] / "src")


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, str, str, Callable[[Any], bytes]]:
    """A receipt, the site's key, the person's id, and what signs like the site."""
    with opened(tmp_path_factory.mktemp("site"), declared=True) as site:
        enrolled(site, 2, "Ben Example")
        result = enrolled(site, 1, "Ada Example")
        enrolled(site, 3, "Cleo Example")
        ledger = site.ledger
        return (
            result.receipt,
            str(ledger.verifier),
            result.person_id,
            lambda document: ledger.sign(SIGNED_AS, canonical(document)),
        )


def test_what_a_receipt_says(issued: tuple[bytes, str, str, object]) -> None:
    content, vkey, person_id, _ = issued
    verified = verify_receipt(content, vkey)
    body = verified.body
    assert (body.kind, body.issued, body.rights) == ("consent", START, RIGHTS)
    assert body.record is not None
    assert (body.record.pii_principal_id, body.record.is_demo) == (person_id, False)
    assert body.privacy_notice == consent().notice
    (purpose,) = body.purposes
    assert (purpose.purpose, purpose.alternative, purpose.may_be_shown) == (PURPOSE, "a badge", True)
    (controller,) = purpose.pii_controllers
    assert (controller.name, controller.contact) == ("Example Ltd", "privacy@example.org")
    assert purpose.lawful_basis == "explicit consent, GDPR Art. 9(2)(a)"
    assert purpose.retention_period.last_seen_days == 365
    assert purpose.retention_period.valid_until == consent().valid_until
    assert body.event is not None
    assert (body.event.event_time, body.event.event_state) == (START, "given")
    assert body.event.entity_id == "person"
    assert (verified.entry.event, verified.entry.actor) == ("consent.given", ACTOR)
    assert verified.checkpoint.size == verified.entry.seq + 1
    assert b"Ada" not in content


def test_layout_does_not_count(issued: tuple[bytes, str, str, object]) -> None:
    content, vkey, _, _ = issued
    document = json.loads(content)
    turned = {key: document[key] for key in reversed(document)}
    laid_out = json.dumps(turned, indent=4).encode() + b"\n\n"
    assert verify_receipt(laid_out, vkey) == verify_receipt(content, vkey)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_flipped_bit_is_found(issued: tuple[bytes, str, str, object], data: st.DataObject) -> None:
    content, vkey, _, _ = issued
    position = data.draw(st.integers(0, len(content) - 1))
    flipped = bytearray(content)
    flipped[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(ReceiptInvalid):
        verify_receipt(bytes(flipped), vkey)


def _values(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if isinstance(value, dict | list):
            yield from _values(value, (*path, key))
        else:
            yield (*path, key), value


def _altered(value: Any) -> Iterator[Any]:
    """Every neighbour of a value: for text each character changed, for the rest another value."""
    if isinstance(value, str):
        for index in range(len(value)):
            other = "B" if value[index] == "A" else "A"
            yield value[:index] + other + value[index + 1 :]
        yield value + "A"
    elif isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    else:
        yield "A"


def test_each_character_of_each_value_counts(issued: tuple[bytes, str, str, object]) -> None:
    content, vkey, _, _ = issued
    tried = 0
    for path, value in _values(json.loads(content)):
        for altered in _altered(value):
            document = json.loads(content)
            node = document
            for step in path[:-1]:
                node = node[step]
            node[path[-1]] = altered
            with pytest.raises(ReceiptInvalid):
                verify_receipt(json.dumps(document).encode(), vkey)
            tried += 1
    assert tried > 1500


@pytest.mark.parametrize("removed", ["receipt", "ledger", "vkey", "signature"])
def test_nothing_may_be_missing_or_added(issued: tuple[bytes, str, str, object], removed: str) -> None:
    content, vkey, _, _ = issued
    document = json.loads(content)
    with pytest.raises(ReceiptInvalid, match="extra"):
        verify_receipt(json.dumps(document | {"extra": 1}).encode(), vkey)
    del document[removed]
    with pytest.raises(ReceiptInvalid, match=f"this is no receipt: {removed}: Field required"):
        verify_receipt(json.dumps(document).encode(), vkey)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "this is no receipt"),
        (b"\xff\xfe", "this is no receipt"),
        (b"[" * 100_000, "this is no receipt"),
        (b"[]", "this is no receipt"),
        (b" " * 300_000, "too large"),
        (b'{"vkey": 1, "vkey": 2}', "a field is there twice"),
    ],
)
def test_what_is_no_receipt(issued: tuple[bytes, str, str, object], content: bytes, words: str) -> None:
    with pytest.raises(ReceiptInvalid, match=words):
        verify_receipt(content, issued[1])


def test_keys_that_are_not_the_sites(issued: tuple[bytes, str, str, object]) -> None:
    content, vkey, _, _ = issued
    with pytest.raises(ReceiptInvalid, match="no Ed25519 verifier key"):
        verify_receipt(content, "nonsense")
    stranger = Ed25519PrivateKey.generate()
    other = VerifierKey(vkey.split("+")[0], stranger.public_key())
    with pytest.raises(ReceiptInvalid, match="signed with another key"):
        verify_receipt(content, str(other))
    document = json.loads(content) | {"vkey": str(other)}  # a stranger's receipt that vouches for itself
    del document["signature"]
    signature = sign_statement(SIGNED_AS, canonical(document), stranger)
    forged = json.dumps(document | {"signature": base64.b64encode(signature).decode()}).encode()
    with pytest.raises(ReceiptInvalid, match="signed with another key"):
        verify_receipt(forged, vkey)
    with pytest.raises(ReceiptInvalid, match="the checkpoint in the receipt"):
        verify_receipt(forged, str(other))


def _other_text(document: dict[str, Any]) -> None:
    document["receipt"]["purposes"][0]["may_be_shown"] = False


def _other_payload(document: dict[str, Any]) -> None:
    document["ledger"]["payload"]["receipt_sha256"] = "0" * 64


def _other_kind(document: dict[str, Any]) -> None:
    document["receipt"]["kind"] = "withdrawal"
    _commit(document)


def _other_entry(document: dict[str, Any]) -> None:
    document["ledger"]["entry"]["time_unix_ms"] += 1


def _other_index(document: dict[str, Any]) -> None:
    seq = document["ledger"]["entry"]["seq"]
    document["ledger"]["proof"] = document["ledger"]["proof"].replace(f"index {seq}\n", "index 0\n")


def _commit(document: dict[str, Any]) -> None:
    """Let payload and commitment fit again, as someone who has the site key could."""
    ledger = document["ledger"]
    ledger["payload"]["receipt_sha256"] = hashlib.sha256(canonical(document["receipt"])).hexdigest()
    opened_as = bytes.fromhex(ledger["salt"]) + canonical(ledger["payload"])
    ledger["entry"]["payload_commitment"] = hashlib.sha256(opened_as).hexdigest()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_other_text, "the ledger entry is about another receipt"),
        (_other_payload, "commits to something else"),
        (_other_kind, "tells of consent.given, the receipt of a withdrawal"),
        (_other_entry, "does not lead to the signed checkpoint"),
        (_other_index, "the proof is for entry 0"),
    ],
)
def test_a_signature_alone_is_not_enough(
    issued: tuple[bytes, str, str, Callable[[Any], bytes]],
    change: Callable[[dict[str, Any]], None],
    words: str,
) -> None:
    """Whoever holds the site's key can sign anything, but not put it into the log that others hold."""
    content, vkey, _, sign = issued
    document = json.loads(content)
    del document["signature"]
    change(document)
    signed = document | {"signature": base64.b64encode(sign(document)).decode()}
    with pytest.raises(ReceiptInvalid, match=words):
        verify_receipt(json.dumps(signed).encode(), vkey)


def test_the_command_needs_no_data_folder(tmp_path: Path, issued: tuple[bytes, str, str, object]) -> None:
    content, vkey, _, _ = issued
    receipt = tmp_path / "receipt.json"
    receipt.write_bytes(content)
    empty = tmp_path / "empty"
    empty.mkdir()
    main = "from consentry.cli.root import main; main()"
    environment = {"PYTHONPATH": SOURCE, "HOME": str(tmp_path), "PATH": os.environ["PATH"]}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", main, "verify-receipt", str(receipt), "--vkey", *words],
            cwd=empty,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    good = run(vkey, "--json")
    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout)["receipt"]["kind"] == "consent"
    receipt.write_bytes(content.replace(b'"may_be_shown":true', b'"may_be_shown":false'))
    bad = run(vkey)
    assert (bad.returncode, "the signature does not fit" in bad.stderr) == (1, True)
    assert list(empty.iterdir()) == []


def test_copies_stay_with_the_person_and_go_with_them(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        result = enrolled(site, 1, "Ada Example")
        added = add_consent(site, result.person_id, consent(days=200), ACTOR)
        assert receipts_of(site, result.person_id) == [added.receipt, result.receipt]
        exported = export_person(site, result.person_id, actor=ACTOR).document
        assert exported["receipts"] == [json.loads(result.receipt), json.loads(added.receipt)]
        token = result.link.removeprefix("/my/")
        assert person_behind(site, token) == result.person_id
        assert json.loads(result.receipt)["receipt"]["personal_link"] == result.link
        report = withdraw(site, result.person_id, reason="asked", actor=ACTOR)
        proof = issue_erasure_receipt(site, report, actor=ACTOR)
        assert verify_receipt(proof, str(site.ledger.verifier)).body.rights == RIGHTS[-1:]
        with pytest.raises(NotFound):
            receipts_of(site, result.person_id)
        with pytest.raises(NotFound):
            person_behind(site, token)
        with site.read() as session:
            assert session.query(ReceiptRow).count() == session.query(PersonLinkRow).count() == 0
        assert result.person_id.encode() in proof  # which only the person has
        assert check_site(site, mend=False, actor=ACTOR) == []


def test_a_receipt_that_was_tampered_with_is_found_by_the_check(tmp_path: Path) -> None:
    with opened(tmp_path, declared=True) as site:
        enrolled(site, 1, "Ada Example")
        with site.write() as session:
            row = session.query(ReceiptRow).one()
            row.sealed_receipt = row.sealed_receipt[:-1] + b"\x00\x00"
        (finding,) = check_site(site, mend=True, actor=ACTOR)
        assert "a sealed receipt does not open" in finding.what


def test_what_the_settings_say_is_on_it(tmp_path: Path) -> None:
    terms = Terms(Retention(last_seen_days=7), public_url="https://cameras.example.org/")
    with opened(tmp_path, declared=True) as site:
        person_id = enrolled(site, 1, "Ada Example").person_id
        added = add_consent(site, person_id, consent(), ACTOR, terms=terms)
        assert added.link.startswith("https://cameras.example.org/my/")
        body = verify_receipt(added.receipt, str(site.ledger.verifier)).body
        assert body.purposes[0].retention_period.last_seen_days == 7


def test_a_demo_gives_receipts_that_say_so(tmp_path: Path) -> None:
    with opened(tmp_path, clock=SimulatedClock(START_UNIX_S)) as site:
        declare_demo(site, actor=ACTOR)
        result = enrolled(site, 1, "Eileen Collins", demo_consent(START_UNIX_S))
        body = verify_receipt(result.receipt, str(site.ledger.verifier)).body
        assert body.record is not None
        assert body.record.is_demo


def test_without_a_declaration_there_is_no_controller_to_name(tmp_path: Path) -> None:
    with opened(tmp_path) as site:
        result = enrolled(site, 1, "Ada Example", consent(purpose="verification"))
        (purpose,) = verify_receipt(result.receipt, str(site.ledger.verifier)).body.purposes
        assert (purpose.pii_controllers, purpose.lawful_basis) == ((), "consent")
