"""The bill of materials holds to its schema, and no licence gets in that does not fit."""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata, resources
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft7Validator, Registry
from typer.testing import CliRunner

from consentry.cli import components
from consentry.cli.bill import bill_of_materials
from consentry.cli.components import ACCEPTED, NATIVE, fits, installed_packages, licence_of, misfits
from consentry.cli.root import app
from consentry.clock import SimulatedClock, iso_utc
from consentry.models.catalogue import Catalogue

NOW_UNIX_S = 1_800_000_000.0
SCHEMA, SPDX, SIGNATURE = (f"{name}.SNAPSHOT.schema.json" for name in ("bom-1.6", "spdx", "jsf-0.82"))
KNOWN_LIBRARIES = """
    SvtAv1Enc Xau aom asound avcodec avdevice avfilter avformat avif avutil crypto dav1d drm gfortran gmp
    gnutls gomp hogweed mp3lame nettle openblaso-r0 openblasp-r0 opencore-amrnb opencore-amrwb opus png16
    quadmath scipy_openblas scipy_openblas64_ sharpyuv ssl swresample swscale unistring vpl vpx webp webpmux
    x264 x265 xcb xcb-shape xcb-shm xcb-xfixes
"""
"""Native libraries in the wheels whose licence is in `NATIVE`."""


def bill() -> dict[str, Any]:
    """The bill of this installation, read back."""
    document: dict[str, Any] = json.loads(bill_of_materials(SimulatedClock(NOW_UNIX_S)))
    return document


def schema(name: str) -> dict[str, Any]:
    """One of the schemas that come with the CycloneDX library."""
    text = resources.files("cyclonedx.schema").joinpath("_res", name).read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def test_the_bill_holds_to_the_schema() -> None:
    base = schema(SCHEMA)["$id"].rpartition("/")[0]
    registry = Registry([(f"{base}/{name}", schema(name)) for name in (SPDX, SIGNATURE)])
    validator = Draft7Validator(schema(SCHEMA), registry=registry)
    assert [error.message for error in validator.iter_errors(bill())] == []
    assert not validator.is_valid({**bill(), "components": [{"name": "without a type"}]})


def test_the_bill_is_the_same_each_time_but_for_number_and_time() -> None:
    first, second = bill(), bill()
    assert first.pop("serialNumber") != second.pop("serialNumber")
    assert first == second
    assert first["metadata"]["timestamp"][:19] == iso_utc(NOW_UNIX_S)[:19]


def test_the_bill_names_packages_with_licence_and_models_with_hash() -> None:
    document = bill()
    by_name = {part["name"]: part for part in document["components"]}
    assert by_name["numpy"]["purl"] == f"pkg:pypi/numpy@{metadata.version('numpy')}"
    assert all(part["licenses"] for part in by_name.values())
    assert "pytest" not in by_name
    for entry in Catalogue.load().models:
        assert by_name[entry.name]["hashes"] == [{"alg": "SHA-256", "content": entry.sha256}]
    assert by_name["centerface"]["type"] == "machine-learning-model"
    known = {part["bom-ref"] for part in document["components"]} | {"consentry"}
    needs = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    assert set(needs) <= known
    assert {needed for row in needs.values() for needed in row} <= known
    assert needs["consentry"]


@pytest.mark.parametrize(
    ("licence", "fit"),
    [
        ("MIT", True),
        ("MIT OR GPL-2.0-only", True),
        ("MIT AND GPL-2.0-only", False),
        ("(MIT OR AGPL-3.0-only) AND Apache-2.0", True),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", True),
        ("GPL-3.0-or-later", False),
        ("AGPL-3.0-only", False),
        ("CC-BY-NC-4.0", False),
        ("Proprietary", False),
        ("", False),
    ],
)
def test_which_licences_fit(licence: str, fit: bool) -> None:
    assert fits(licence) is fit


def test_everything_used_fits_or_is_accepted_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    licences = {package.name: package.licence for package in installed_packages()}
    models = Catalogue.load().models
    assert list(misfits(licences, models)) == []
    bad = models[0].model_copy(update={"licence": "CC-BY-NC-4.0"})
    assert list(misfits({"x": "AGPL-3.0-only", "y": ""}, (bad,))) == [
        "x: AGPL-3.0-only",
        "y: no licence stated",
        f"model {bad.name}: CC-BY-NC-4.0",
    ]
    assert all(NATIVE[name][library] for name, library in ACCEPTED)
    monkeypatch.setattr(components, "ACCEPTED", {})
    assert list(misfits(licences, models)) == ["av with x264, x265 inside: GPL-2.0-or-later"]


def test_no_package_is_taken_on_trust() -> None:
    assert licence_of("no-such-package-anywhere") == ""


@pytest.mark.skipif(sys.platform != "linux", reason="knows the names of libraries in wheels for Linux")
def test_every_native_library_in_a_wheel_is_known() -> None:
    """A new one fails here: look its licence up, and add it to `NATIVE`."""
    known = set(KNOWN_LIBRARIES.split())
    for name in (package.name for package in installed_packages()):
        folder = Path(str(metadata.distribution(name).locate_file(f"{name.replace('-', '_')}.libs")))
        found = {
            re.split(r"-[0-9a-f]{8}|\.so", path.name)[0].removeprefix("lib") for path in folder.glob("*")
        }
        assert found <= known, name
        assert not found or name in NATIVE


def test_commands(tmp_path: Path) -> None:
    run = CliRunner().invoke
    out = tmp_path / "bom.json"
    assert run(app, ["sbom", "--out", str(out)]).exit_code == 0
    assert json.loads(out.read_text(encoding="utf-8"))["specVersion"] == "1.6"
    assert json.loads(run(app, ["sbom"]).stdout)["bomFormat"] == "CycloneDX"
    listed = json.loads(run(app, ["licences", "--json"]).stdout)
    assert listed["ok"] is True
    assert listed["accepted"]
    plain = run(app, ["licences"])
    assert plain.exit_code == 0
    assert "model mobilefacenet-512: MIT" in plain.stdout
