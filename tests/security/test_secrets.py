"""Secrets are compared in constant time, hidden from every repr, and in no log whatever happens."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import os
import pkgutil
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
from pydantic import BaseModel
from tests.unit.people.kit import consent, declaration, duty, template
from tests.unit.server.kit import OWN

import consentry
from consentry.clock import SystemClock
from consentry.people.cameras import add_camera
from consentry.people.declaration import declare
from consentry.people.roster import Reference
from consentry.people.seal import SealingKey
from consentry.people.site import Site
from consentry.server.api_session import Credentials
from consentry.server.guard import COOKIE

SOURCE = Path(consentry.__file__).parent
COMMAND = [sys.executable, "-c", "from consentry.cli.root import main; main()"]
SECRET_WORDS = re.compile(
    r"(^|_)(token|password|passphrase|secret|digest|stamp|mac|signature|otp|code|key|seed|hash|sha256)s?$"
)
SECRET_FIELDS = re.compile(
    r"(^|_)(token|password|passphrase|secret|otp|code|stamp|seed|url|link|jpeg|template|bgr)$"
)
COMPARED: dict[str, str] = {
    "str(key) != vkey": "public keys",
    "base64.b64encode(signed).decode() != encoded": "a public signature",
    "receipt.vkey != str(key)": "public keys",
    "base64.b64encode(signature).decode() != encoded": "a public signature",
    "open_note(cosigned, key) == text": "a public text",
    "name != key.name": "names of public keys",
    "name == key.name": "names of public keys",
    "signed[:KEY_ID_BYTES] != key.key_id()": "ids of public keys",
    "signed[:KEY_ID_BYTES] == key.key_id()": "ids of public keys",
    "(digest.hexdigest(), size_bytes) != (member.sha256, member.size_bytes)": "hashes under a signature",
    "self._digest.hexdigest() != self._manifest.members[self._next].sha256": "hashes under a signature",
    "payload.get('receipt_sha256') != hashlib.sha256(canonical(document['receipt'])).hexdigest()": (
        "hashes of a document that its holder has"
    ),
    "frozenset(session.scalars(select(TombstoneRow.person_id_sha256))) != snapshot.tombstones": (
        "both come from the database"
    ),
    "drafted[1].decode() != digest(live_configuration(site, settings))": "hash of a configuration",
    "known[0] != row.sealed_seed": "ciphertexts, both from the database",
    "key.open(person.sealed_name, Kind.NAME, person_id).decode() == name": "the name of whoever asks",
    "answer.status_code != HTTPStatus.OK": "a status",
    "len(secret) != KEY_BYTES": "lengths",
    "TemplateRow.recogniser_sha256 == recogniser_sha256": "hash of a model",
    "user.stamp != asking.user.stamp": "both come from the database",
    "item.stamp == user.stamp": "both come from the server",
    "ApiTokenRow.token_sha256 == _hash(secret)": "an index looks up a hash, whose bits nobody can choose",
    "ApiTokenRow.id == token.id": "ids",
}
"""Comparisons with `==` of what sounds like a secret, and why they give nothing away."""
SHOWN: dict[tuple[str, str], str] = {
    ("ModelEntry", "landmark_template"): "a name",
    ("Server", "public_url"): "an address that everybody may know",
    ("User", "has_password"): "yes or no",
    ("UserChange", "reset_password"): "yes or no",
    ("Oidc", "client_secret"): "a SecretStr, which masks itself",
    ("WitnessAddress", "url"): "its form leaves no room for credentials",
    ("Terms", "public_url"): "an address that everybody may know",
}


def _comparisons() -> Iterator[tuple[str, str]]:
    for folder in ("server", "people", "ledger", "console"):
        for path in sorted((SOURCE / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
                    names = [
                        part.id if isinstance(part, ast.Name) else part.attr
                        for part in ast.walk(node)
                        if isinstance(part, ast.Name | ast.Attribute)
                    ]
                    if any(SECRET_WORDS.search(name) for name in names):
                        yield path.name, ast.unparse(node)


def test_secrets_are_compared_in_constant_time() -> None:
    """With `hmac.compare_digest`; whatever is compared with `==` is listed, with the reason."""
    found = {(where, text) for where, text in _comparisons() if text not in COMPARED}
    assert found == set()
    assert "compare_digest(" in "".join(
        path.read_text(encoding="utf-8") for path in (SOURCE / "server").glob("*.py")
    )


def _classes() -> Iterator[type]:
    for module in pkgutil.walk_packages(consentry.__path__, "consentry."):
        if ".migrations" not in module.name and ".bench" not in module.name:
            for kind in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(kind) and kind.__module__ == module.name:
                    yield kind


def test_no_class_shows_a_secret_field_in_its_repr() -> None:
    shown = set()
    for kind in _classes():
        if dataclasses.is_dataclass(kind):
            shown |= {(kind.__name__, one.name) for one in dataclasses.fields(kind) if one.repr}
        elif issubclass(kind, BaseModel):
            shown |= {(kind.__name__, name) for name, one in kind.model_fields.items() if one.repr}
    assert {one for one in shown if SECRET_FIELDS.search(one[1])} == set(SHOWN)


def test_what_holds_secrets_prints_none() -> None:
    secret = bytes(range(32))
    assert repr(SealingKey(secret, "site")) == "SealingKey(***, scope='site')"
    typed = Credentials(name="owner", password="rosenkohl-77", code="123456")
    assert "rosenkohl" not in repr(typed) + str(typed)
    assert "123456" not in repr(typed) + str(typed)
    reference = Reference("id", "Ada Example", template(1, 0), "entrance", (consent(),))
    assert "Ada" not in repr(reference)
    assert f"{np.float32(reference.template[0]):.4f}" not in repr(reference)


CRASHES = """
import logging, threading, sys
from consentry.pipeline.worker import configure_logging
configure_logging()
def fails(password): raise KeyError(f"no such thing: {password}")
try: fails("rosenkohl-77")
except KeyError as error:
    logging.getLogger("uvicorn.error").exception(f"crashed: {error}")
    logging.getLogger("nicegui").error(error, exc_info=error)
thread = threading.Thread(target=fails, args=["rosenkohl-77"]); thread.start(); thread.join()
fails("rosenkohl-77")
"""


def test_a_crash_is_logged_by_kind_and_place_alone() -> None:
    done = subprocess.run([sys.executable, "-c", CRASHES], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "rosenkohl" not in done.stdout + done.stderr
    assert done.stderr.count("KeyError at ") == 4
    assert "fails" in done.stderr


@pytest.mark.models
@pytest.mark.usefixtures("model_store")
def test_a_server_in_use_logs_no_secret(tmp_path: Path) -> None:
    """Everything that people and cameras send is looked for in all that the server and its worker print."""
    data = tmp_path / "data"
    with Site.open(data, clock=SystemClock(), create=True) as site:
        due = datetime.fromtimestamp(site.clock.unix_s(), UTC).date() + timedelta(days=30)
        declare(site, declaration(review_due_on=due), actor="test")
        url = "rtsp://kamera:geheim-camera@127.0.0.1:9/strom?schluessel=geheim-query"
        add_camera(
            site, name="door", url=url, duty=dataclasses.replace(duty(), review_due_on=due), actor="test"
        )
    command = [*COMMAND, "serve", "--data", str(data), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline() + process.stdout.readline()
            found = re.search(r"(http://\S+)[\s\S]*with the password (\S+)", said)
            assert found, said
            _misuse(found.group(1), found.group(2))
        finally:
            process.send_signal(signal.SIGTERM)
            output, errors = process.communicate(timeout=60)
    printed = output + errors
    assert "geheim" not in printed
    assert found.group(2) not in printed
    assert "Erika Mustermann" not in printed


def _misuse(address: str, password: str) -> None:
    with httpx.Client(base_url=address, headers=OWN, timeout=20) as client:
        client.post("/api/v1/session", json={"name": "geheim-name", "password": "geheim-password"})
        client.post("/api/v1/session", json={"name": "owner", "password": ["geheim-list"]})
        client.post("/api/v1/session", content=b'{"password": "geheim-broken', headers={"X-A": "geheim-head"})
        client.post("/login", data={"name": "owner", "password": "geheim-form"})
        client.get("/demo-login", params={"token": "geheim-token"})
        client.get("/api/v1/me", headers={"Authorization": "Bearer geheim-bearer"})
        client.get("/api/v1/me", headers={"Cookie": f"{COOKIE}=geheim-cookie"})
        client.get("/geheim-path", params={"geheim-name": "geheim-value"})
        assert client.post("/api/v1/session", json={"name": "owner", "password": password}).status_code == 200
        assert client.get("/api/v1/cameras").json()[0]["address"] == "rtsp://***@127.0.0.1:9/strom?***"
        record = consent().model_dump_json()
        client.post(
            "/api/v1/people",
            data={"name": "Erika Mustermann", "consent": record},
            files={"photo": ("geheim-file.jpg", b"geheim-photo")},
        )
        client.post("/api/v1/people", data={"name": "Erika Mustermann", "consent": "geheim-consent"})
        client.post("/api/v1/people", content=b"geheim-body", headers={"Content-Type": "multipart/form-data"})


@pytest.mark.parametrize(
    "arguments",
    [
        ["camera", "probe", "rtsp://kamera:geheim@127.0.0.1:9/a"],
        ["camera", "probe", "http://kamera:geheim@127.0.0.1:9/a?token=geheim"],
        ["camera", "probe", "rtsp://kamera:geheim@wort@127.0.0.1:9/a"],
        ["camera", "probe", "gopher://kamera:geheim@127.0.0.1:9/a"],
        ["camera", "add", "door", "rtspx://kamera:geheim@127.0.0.1:9/a", "--purpose", "x"],
        ["camera", "add", "rtsp://kamera:geheim@127.0.0.1:9/a", "door", "--purpose", "x"],
        ["redact", "rtsp://kamera:geheim@127.0.0.1:9/a", "out.mp4"],
    ],
    ids=lambda arguments: " ".join(arguments[:3]),
)
def test_no_command_prints_a_cameras_password(arguments: list[str], tmp_path: Path) -> None:
    data = [] if arguments[0] == "redact" else ["--data", str(tmp_path / "data")]
    done = subprocess.run(
        [*COMMAND, *arguments, *data],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "CONSENTRY_MEDIA__OPEN_TIMEOUT_S": "2"},
    )
    assert done.returncode != 0
    assert "geheim" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
