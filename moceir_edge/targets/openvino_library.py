"""OpenVINO on the CPU: loading ONNX files, running them one picture at a time, and what it made of them."""

from __future__ import annotations

import importlib
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from moceir_edge.errors import ArtifactError, MissingBackendError
from moceir_edge.program.program import GATES, IMAGE
from moceir_edge.runner import Image, Outputs, outputs_from_arrays
from moceir_edge.terms import Precision

REPAIR = "pip install 'moceir-edge[openvino]'"
HINTS = {Precision.FLOAT32: "f32", Precision.BFLOAT16: "bf16"}
"""How OpenVINO names what it may compute in."""


def load_library() -> Any:
    """The library; MissingBackendError where it is not installed."""
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise MissingBackendError("openvino is not installed", REPAIR) from error


def capabilities() -> tuple[str, ...]:
    """What the CPU computes in, in OpenVINO's words, such as FP32, BF16 and INT8."""
    return tuple(load_library().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def floats_here(wanted: Precision) -> Precision:
    """What floats really are on this CPU: bfloat16 only where it has kernels for it."""
    return wanted if wanted is not Precision.BFLOAT16 or "BF16" in capabilities() else Precision.FLOAT32


def compiled(model: Path | bytes, *, hint: str | None = None, threads: int | None = None, profile: bool = False) -> Any:
    """A compiled model for one picture at a time; ArtifactError where OpenVINO does not take it.

    hint: what floats may be computed in, None for OpenVINO's own choice. threads: None leaves them to it. profile: keep
    the time of every operation.
    """
    core = load_library().Core()
    settings: dict[str, Any] = {"NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY", "PERF_COUNT": profile}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    if hint is not None:
        settings["INFERENCE_PRECISION_HINT"] = hint
    try:
        return core.compile_model(core.read_model(model if isinstance(model, bytes) else str(model)), "CPU", settings)
    except RuntimeError as error:
        last = str(error).strip().splitlines()[-1][:200]
        raise ArtifactError(f"OpenVINO does not load the model: {last}", "export it again") from error


def integer_operations(network: Any) -> frozenset[str]:
    """Names of the operations that a compiled model runs in integer kernels; a fused one brings all its names."""
    names: set[str] = set()
    for kernel in network.get_runtime_model().get_ordered_ops():
        facts = kernel.get_rt_info()
        if "primitiveType" in facts and _text(facts["primitiveType"]).lower().endswith("_i8"):
            names.update(_text(facts["originalLayersNames"]).split(","))
    return frozenset(names)


def _text(entry: Any) -> str:
    return str(entry.value if hasattr(entry, "value") else entry)


def integer_share(network: Any, macs: dict[str, int]) -> float:
    """Share of MACs in integer kernels; macs: by operation of the program."""
    integer = integer_operations(network)
    return math.fsum(count for name, count in macs.items() if name in integer) / sum(macs.values())


class OpenVinoRunner:
    """A model file as a runner; `provider` is what runs it, and in what.

    stands_in: why it computes in another format than it is for; empty where it does not.
    """

    def __init__(
        self,
        model: Path,
        *,
        size: tuple[int, int] | None,
        hint: str | None = None,
        threads: int | None = None,
        stands_in: str = "",
        profile: bool = False,
    ) -> None:
        self.size, self.stands_in = size, stands_in
        self.compiled = compiled(model, hint=hint, threads=threads, profile=profile)
        self.request = self.compiled.create_infer_request()
        self.names = [port.get_any_name() for port in self.compiled.outputs]

    @property
    def provider(self) -> str:
        """OpenVINO's version, and what its floats are."""
        return f"OpenVINO {version('openvino')}, CPU, {self.floats}"

    @property
    def floats(self) -> str:
        """OpenVINO's name of what it really computes in, outside integers."""
        return str(self.compiled.get_property("INFERENCE_PRECISION_HINT").to_string())

    def run(self, image: Image) -> Outputs:
        """See `Runner`."""
        return self._run({IMAGE: np.ascontiguousarray(image[None], np.float32)})

    def run_gated(self, image: Image, gates: Image) -> Outputs:
        """See `TakesGates`."""
        return self._run({IMAGE: np.ascontiguousarray(image[None], np.float32), GATES: gates[None]})

    def _run(self, inputs: dict[str, Image]) -> Outputs:
        given = [inputs[port.get_any_name()] for port in self.compiled.inputs]
        found = self.request.infer(given)
        return outputs_from_arrays({name: np.array(found[i]) for i, name in enumerate(self.names)})

    def kernel_times_us(self, image: Image) -> list[tuple[str, float]]:
        """Kind and microseconds of every kernel that ran for a picture; needs `profile`."""
        self.run(image)
        ran = [(kernel, kernel.real_time.total_seconds()) for kernel in self.request.profiling_info]
        return [(f"{kernel.node_type} {kernel.exec_type}", seconds * 1e6) for kernel, seconds in ran if seconds > 0]
