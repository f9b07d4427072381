"""From the catalogue's verified files to a detector and a recogniser on this machine's best runtime."""

from __future__ import annotations

from dataclasses import dataclass

from consentry.config import Vision
from consentry.errors import BadConfig
from consentry.models.catalogue import Catalogue, ModelEntry
from consentry.models.store import ModelStore
from consentry.vision.centerface import CenterFace
from consentry.vision.engines import Detector, Recogniser
from consentry.vision.recogniser import CropRecogniser
from consentry.vision.runtime import Runtime, RuntimeChoice, candidates, choose_runtime, prepared
from consentry.vision.yunet import YuNet

MEASURE_SHAPE = (1, 3, 192, 320)


@dataclass(frozen=True, slots=True)
class Engines:
    """A detector, a recogniser, and what executes them; for one thread at a time."""

    detector: Detector
    recogniser: Recogniser
    choice: RuntimeChoice

    def close(self) -> None:
        """Free both; idempotent."""
        self.detector.close()
        self.recogniser.close()


def load_engines(
    settings: Vision, store: ModelStore, catalogue: Catalogue, *, runtime: Runtime | None = None
) -> Engines:
    """The engines of the pack named in `settings`.

    Args:
        settings: Pack, runtime, threads and canvas.
        store: Verified weights.
        catalogue: What they are.
        runtime: Skip the measurement and use this one.

    Raises:
        ModelMissing, ModelCorrupt: the weights are not there or not those of the catalogue.
        BadConfig: the pack has no detector or no recogniser this program can drive.
    """
    detector_entry = _only(catalogue, settings.pack, "detector")
    recogniser_entry = _only(catalogue, settings.pack, "recogniser")
    detector_bytes = store.path(detector_entry).read_bytes()
    recogniser_bytes = store.path(recogniser_entry).read_bytes()
    choice = RuntimeChoice(runtime, {}) if runtime else measured_choice(settings, store, catalogue)
    return Engines(
        _detector(detector_entry, detector_bytes, choice.runtime, settings.detect_wh),
        _recogniser(recogniser_entry, recogniser_bytes, choice.runtime),
        choice,
    )


def measured_choice(settings: Vision, store: ModelStore, catalogue: Catalogue) -> RuntimeChoice:
    """The fastest runtime for the default detector here; see `choose_runtime`."""
    model = prepared(store.path(catalogue.entry("centerface")).read_bytes())
    return choose_runtime(model, MEASURE_SHAPE, candidates(settings.runtime, settings.threads))


def _only(catalogue: Catalogue, pack: str, kind: str) -> ModelEntry:
    found = [entry for entry in catalogue.pack(pack) if entry.kind == kind]
    if len(found) != 1:
        raise BadConfig(f"model pack {pack} has {len(found)} models of kind {kind}, 1 is needed")
    return found[0]


def _detector(entry: ModelEntry, model: bytes, runtime: Runtime, detect_wh: tuple[int, int]) -> Detector:
    if entry.name.startswith("yunet"):
        return YuNet(model, entry.sha256, detect_wh=detect_wh)
    if entry.name.startswith("centerface") and entry.input is not None:
        rgb = entry.input.colour_order == "rgb"
        return CenterFace(model, entry.sha256, runtime, detect_wh=detect_wh, rgb=rgb)
    raise BadConfig(f"no adapter for detector {entry.name}", "Use a pack from `consentry models list`")


def _recogniser(entry: ModelEntry, model: bytes, runtime: Runtime) -> Recogniser:
    if entry.input is None or entry.output_dim is None or entry.landmark_template != "arcface-112":
        raise BadConfig(f"no adapter for recogniser {entry.name}", "Use a pack from `consentry models list`")
    return CropRecogniser(
        model,
        entry.sha256,
        runtime,
        dimensions=entry.output_dim,
        mean=entry.input.mean,
        scale=entry.input.scale,
        rgb=entry.input.colour_order == "rgb",
    )
