"""Running an ONNX network on OpenVINO or onnxruntime, whichever this machine runs faster.

Both take and give float32 arrays, batch first. A network is compiled once per input shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import onnx
import onnxruntime
import openvino
from google.protobuf.message import DecodeError
from onnxruntime.capi import onnxruntime_pybind11_state

from consentry.clock import Clock, SystemClock
from consentry.errors import EngineError
from consentry.types import Floats

Shape = tuple[int, int, int, int]


class Network(Protocol):
    """A compiled network for one input shape."""

    def run(self, batch: Floats) -> list[Floats]:
        """Outputs in the order of the file, for a float32 NCHW `batch` of the compiled shape."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What executes networks: library, number format inside, and threads one call may use."""

    library: str
    precision: str
    threads: int

    def __str__(self) -> str:
        return f"{self.library} {self.precision}, {self.threads} threads"


@dataclass(frozen=True, slots=True)
class RuntimeChoice:
    """The runtime kept, and the milliseconds a call every candidate took on this machine."""

    runtime: Runtime
    measured_ms: dict[str, float]

    @property
    def reason(self) -> str:
        """One line for `doctor`."""
        if len(self.measured_ms) < 2:
            return "set in the configuration"
        figures = ", ".join(f"{name} {ms:.1f} ms" for name, ms in self.measured_ms.items())
        return f"fastest on this machine: {figures}"


def prepared(model: bytes) -> bytes:
    """`model` with free batch, height and width, and with its weights no longer listed as inputs.

    Weights listed as graph inputs may be overridden by the caller, which stops constant folding.

    Raises:
        EngineError: the bytes are no ONNX file.
    """
    try:
        loaded = onnx.load_from_string(model)
    except DecodeError as error:
        raise EngineError(f"the model file is no ONNX network: {error}") from error
    graph = loaded.graph
    weights = {item.name for item in graph.initializer}
    used = {name for node in graph.node for name in node.input}
    inputs = [value for value in graph.input if value.name not in weights]
    kept = [item for item in graph.initializer if item.name in used]
    del graph.input[:], graph.initializer[:], graph.value_info[:]
    graph.input.extend(inputs)
    graph.initializer.extend(kept)
    for value in [*graph.input, *graph.output]:
        dims = value.type.tensor_type.shape.dim
        for axis, dim in enumerate(dims):
            if axis == 0 or (len(dims) == 4 and axis != 1):
                dim.Clear()
    return bytes(loaded.SerializeToString())


class _OpenVino:
    """An OpenVINO network; one infer request, so one call at a time."""

    def __init__(self, model: bytes, shape: Shape, runtime: Runtime) -> None:
        core = openvino.Core()
        network = core.read_model(model, b"")
        network.reshape(list(shape))
        self._shape = shape
        self._request = core.compile_model(
            network,
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": runtime.precision,
                "INFERENCE_NUM_THREADS": runtime.threads,
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
            },
        ).create_infer_request()

    def run(self, batch: Floats) -> list[Floats]:
        _check(batch, self._shape)
        result = self._request.infer({0: batch}, share_inputs=True)
        return [np.array(value, np.float32) for value in result.values()]


class _OnnxRuntime:
    """An onnxruntime session."""

    def __init__(self, model: bytes, shape: Shape, runtime: Runtime) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = runtime.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._shape = shape
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def run(self, batch: Floats) -> list[Floats]:
        _check(batch, self._shape)
        return list(self._session.run(None, {self._input: batch}))


def _check(batch: Floats, shape: Shape) -> None:
    if batch.dtype != np.float32 or batch.shape != shape:
        raise EngineError(f"the network takes float32 {shape}, but was given {batch.dtype} {batch.shape}")


ORT_ERRORS = tuple(
    getattr(onnxruntime_pybind11_state, name)
    for name in (
        "Fail",
        "InvalidArgument",
        "InvalidGraph",
        "InvalidProtobuf",
        "NotImplemented",
        "RuntimeException",
    )
)
"""onnxruntime's exceptions share no base but Exception; OpenVINO's are RuntimeErrors."""

_LIBRARIES: dict[str, Callable[[bytes, Shape, Runtime], Network]] = {
    "openvino": _OpenVino,
    "onnxruntime": _OnnxRuntime,
}


def compile_network(model: bytes, shape: Shape, runtime: Runtime) -> Network:
    """Compile `model` (from `prepared`) for inputs of `shape` (N, C, H, W).

    Raises:
        EngineError: the library cannot run this network.
    """
    try:
        return _LIBRARIES[runtime.library](model, shape, runtime)
    except (RuntimeError, *ORT_ERRORS) as error:
        raise EngineError(f"{runtime.library} cannot run this network: {error}") from error


def candidates(library: str, threads: int) -> list[Runtime]:
    """The runtimes worth measuring: those of `library`, or of both for "auto"."""
    found: list[Runtime] = []
    if library in ("auto", "openvino"):
        abilities: Any = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if "BF16" in abilities:
            found.append(Runtime("openvino", "bf16", threads))
        found.append(Runtime("openvino", "f32", threads))
    if library in ("auto", "onnxruntime"):
        found.append(Runtime("onnxruntime", "f32", threads))
    return found


def choose_runtime(
    model: bytes,
    shape: Shape,
    options: Sequence[Runtime],
    *,
    clock: Clock | None = None,
    calls: int = 9,
) -> RuntimeChoice:
    """Measure `options` on `model` and keep the fastest; a single option is taken unmeasured.

    The figure is the least of `calls` timed calls after two unmeasured ones: on a busy machine the
    least is the least disturbed.
    """
    if len(options) == 1:
        return RuntimeChoice(options[0], {})
    timer = clock or SystemClock()
    batch = np.zeros(shape, np.float32)
    best_ms: dict[Runtime, float] = {}
    for option in options:
        network = compile_network(model, shape, option)
        times_ms = []
        for _ in range(calls + 2):
            start_s = timer.monotonic_s()
            network.run(batch)
            times_ms.append((timer.monotonic_s() - start_s) * 1000)
        best_ms[option] = min(times_ms[2:])
    fastest = min(best_ms, key=lambda option: best_ms[option])
    return RuntimeChoice(fastest, {f"{o.library} {o.precision}": ms for o, ms in best_ms.items()})
