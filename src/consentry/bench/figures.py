"""What a benchmark says: figures, and the machine they were measured on."""

from __future__ import annotations

import gc
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CPU_FEATURES = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16",
    "avx512_vpopcntdq", "avx_vnni", "amx_bf16", "amx_int8", "asimd", "asimddp", "bf16", "i8mm", "sve",
)  # fmt: skip
"""CPU flags that inference and search use, as Linux spells them."""

LIBRARIES = ("numpy", "faiss-cpu", "openvino", "onnxruntime", "opencv-python-headless", "av", "scipy")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number.

    Attributes:
        name: Dotted, part first, such as `search.query_median_ms.isotropic.floor_0.50`.
        value: What was measured.
        unit: Of `value` and `peer_value`, such as "ms", "MiB" or "answers".
        peer: What it is compared with, measured in the same run; None when there is nothing.
        peer_value: The peer's number.
        ratio: How many times better than the peer; above 1 is better, whichever way the unit goes.
    """

    name: str
    value: float
    unit: str
    peer: str | None = None
    peer_value: float | None = None
    ratio: float | None = None


def document(figures: Sequence[Figure]) -> dict[str, Any]:
    """The JSON document of `consentry bench ... --json`: `machine` and `figures`."""
    return {"machine": machine(), "figures": [asdict(figure) for figure in figures]}


def machine() -> dict[str, Any]:
    """This machine, as far as it matters to a figure: CPU, its features, cores, and library versions.

    `cores` counts those this process may run on. A library that is not installed is left out.
    """
    model, flags = _cpu()
    libraries = {}
    for name in LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "features": [feature for feature in CPU_FEATURES if feature in flags],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": libraries,
    }


def resident_mib() -> float:
    """Memory this process holds, in MiB, from Linux's /proc; 0 where that does not exist."""
    gc.collect()
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0.0
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _cpu() -> tuple[str, frozenset[str]]:
    """Model name and flags; where the system does not tell, its architecture and none."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    fields = {
        name.strip(): value.strip() for name, colon, value in (line.partition(":") for line in lines) if colon
    }
    flags = fields.get("flags") or fields.get("Features") or ""
    return fields.get("model name") or platform.machine(), frozenset(flags.split())
