"""Fixtures for the whole suite. What a test needs and does not find is named in its skip."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from consentry.cli.engines import engines
from consentry.config import Media, Settings, models_dir
from consentry.errors import EnvironmentLack
from consentry.media import read_photo
from consentry.models.catalogue import Catalogue
from consentry.models.store import ModelStore
from consentry.pipeline.builtin import render_demo
from consentry.types import Picture
from consentry.vision.align import align
from consentry.vision.load import Engines, load_engines
from consentry.vision.runtime import Runtime

SHARED_MEDIA = Path(__file__).parents[2] / "shared" / "media"


@pytest.fixture(scope="session", autouse=True)
def no_users_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What fixtures of modules open before `own_home` comes does not touch the user's own folders either."""
    os.environ["CONSENTRY_MODELS_DIR"] = str(models_dir())
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        os.environ[name] = str(tmp_path_factory.mktemp("home") / name.lower())


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Site keys and default folders of a test never touch the user's own; models are shared."""
    monkeypatch.setenv("CONSENTRY_MODELS_DIR", str(models_dir()))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg-config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg-data"))


@pytest.fixture(scope="session")
def model_store() -> ModelStore:
    """The verified default models, or a skip that says how to get them."""
    store, catalogue = ModelStore(models_dir()), Catalogue.load()
    try:
        for pack in catalogue.pull_by_default:
            for entry in catalogue.pack(pack):
                store.path(entry)
    except EnvironmentLack as error:
        pytest.skip(f"needs the default models: {error}")
    return store


def _portrait(store: ModelStore, name: str) -> Picture:
    return read_photo(store.path(Catalogue.load().entry(name)), max_pixels=Media().max_pixels)


@pytest.fixture(scope="session")
def collins_bgr(model_store: ModelStore) -> Picture:
    """The public-domain portrait of Eileen Collins, 512×512."""
    return _portrait(model_store, "eileen-collins")


@pytest.fixture(scope="session")
def hopper_bgr(model_store: ModelStore) -> Picture:
    """The public-domain portrait of Grace Hopper, 512×600."""
    return _portrait(model_store, "grace-hopper")


@pytest.fixture(scope="session")
def fast_engines(model_store: ModelStore) -> Iterator[Engines]:
    """The engines a user of this machine would get."""
    loaded = engines(Settings().vision)
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def exact_engines(model_store: ModelStore) -> Iterator[Engines]:
    """The same networks on onnxruntime in float32: the same on every machine."""
    runtime = Runtime("onnxruntime", "f32", 2)
    loaded = load_engines(Settings().vision, model_store, Catalogue.load(), runtime=runtime)
    yield loaded
    loaded.close()


@pytest.fixture(scope="session")
def crops_bgr(exact_engines: Engines, collins_bgr: Picture, hopper_bgr: Picture) -> Picture:
    """Aligned crops uint8 (2, 112, 112, 3): Eileen Collins, Grace Hopper."""
    crops = [
        align(bgr, exact_engines.detector.detect(bgr, min_score=0.5)[0].landmarks_xy)
        for bgr in (collins_bgr, hopper_bgr)
    ]
    return np.stack(crops)


@pytest.fixture(scope="session")
def demo_clip(tmp_path_factory: pytest.TempPathFactory, collins_bgr: Picture, hopper_bgr: Picture) -> Path:
    """The built-in camera's video: Eileen Collins from 1 s to 14 s, Grace Hopper from 8 s to 22 s."""
    path = tmp_path_factory.mktemp("demo") / "demo.mp4"
    render_demo(path, collins_bgr, hopper_bgr)
    return path


@pytest.fixture(scope="session")
def shared_media() -> Path:
    """Test media beside the repository, or a skip."""
    if not SHARED_MEDIA.is_dir():
        pytest.skip("needs the folder shared/media beside the repository, which is not there")
    return SHARED_MEDIA
