"""Write tests/golden/portraits.json anew from the float32 onnxruntime engines. Look at the change before
you commit it: a golden file that follows every change guards nothing."""

from __future__ import annotations

import json
from pathlib import Path

from consentry.config import Media, Settings, models_dir
from consentry.media import read_photo
from consentry.models.catalogue import Catalogue
from consentry.models.store import ModelStore
from consentry.vision.align import align
from consentry.vision.load import load_engines
from consentry.vision.runtime import Runtime

OUT = Path(__file__).parents[1] / "tests" / "golden" / "portraits.json"


def main() -> None:
    """Measure both portraits and store what was found."""
    store, catalogue = ModelStore(models_dir()), Catalogue.load()
    engines = load_engines(Settings().vision, store, catalogue, runtime=Runtime("onnxruntime", "f32", 2))
    found = {}
    for person, name in (("collins", "eileen-collins"), ("hopper", "grace-hopper")):
        bgr = read_photo(store.path(catalogue.entry(name)), max_pixels=Media().max_pixels)
        (face,) = engines.detector.detect(bgr, min_score=0.5)
        template = engines.recogniser.templates(align(bgr, face.landmarks_xy)[None])[0]
        found[person] = {
            "score": round(face.score, 4),
            "xyxy": [round(float(side), 2) for side in face.xyxy],
            "landmarks_xy": [[round(float(x), 2), round(float(y), 2)] for x, y in face.landmarks_xy],
            "template": [round(float(value), 5) for value in template],
        }
    OUT.write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
