"""Loading engines for a command, with the runtime measured once and remembered."""

from __future__ import annotations

import json
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime
import openvino

from consentry.config import Settings, Vision, models_dir
from consentry.models.catalogue import Catalogue
from consentry.models.store import ModelStore
from consentry.vision.analyse import PhotoAnalyst
from consentry.vision.load import Engines, load_engines, measured_choice
from consentry.vision.runtime import Runtime, RuntimeChoice

CHOICE_FILE = "runtime-choice.json"


def engines(settings: Vision) -> Engines:
    """Detector and recogniser on the fastest runtime of this machine.

    Raises:
        ModelMissing, ModelCorrupt: run `consentry models pull`.
    """
    store, catalogue = ModelStore(models_dir()), Catalogue.load()
    return load_engines(settings, store, catalogue, runtime=remembered_choice(settings).runtime)


def photo_analyser(settings: Settings) -> PhotoAnalyst:
    """What enrolment and verification look at photos with: in float32, as a photo is worth the time."""
    store, catalogue = ModelStore(models_dir()), Catalogue.load()
    runtime = replace(remembered_choice(settings.vision).runtime, precision="f32")
    return PhotoAnalyst(load_engines(settings.vision, store, catalogue, runtime=runtime))


def remembered_choice(settings: Vision) -> RuntimeChoice:
    """The runtime measured earlier for this processor, these libraries and settings; else measured now.

    Raises:
        ModelMissing, ModelCorrupt: there is nothing to measure with.
    """
    path = models_dir() / CHOICE_FILE
    key = (
        f"{processor_name()} | openvino {openvino.__version__} | onnxruntime {onnxruntime.__version__}"
        f" | {settings.runtime} {settings.threads}"
    )
    known = _read(path)
    if key not in known:
        choice = measured_choice(settings, ModelStore(models_dir()), Catalogue.load())
        known[key] = {
            "library": choice.runtime.library,
            "precision": choice.runtime.precision,
            "measured_ms": choice.measured_ms,
        }
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(known, indent=1), encoding="utf-8")
        partial.replace(path)
        return choice
    found = known[key]
    runtime = Runtime(found["library"], found["precision"], settings.threads)
    return RuntimeChoice(runtime, found["measured_ms"])


def processor_name() -> str:
    """The processor's name as the system gives it."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line)
    return next(names, platform.machine())


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
