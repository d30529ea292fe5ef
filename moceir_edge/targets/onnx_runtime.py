"""Running ONNX files with ONNX Runtime, reproducibly."""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from moceir_edge.errors import ArtifactError, MissingBackendError
from moceir_edge.program.program import GATES, IMAGE
from moceir_edge.runner import Image, Outputs, outputs_from_arrays

REPAIR = "pip install 'moceir-edge[onnx]'"
_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "nnapi": "NnapiExecutionProvider",
    "xnnpack": "XnnpackExecutionProvider",
}
_APPENDED = re.compile(r"_token_\d+$")
"""To the name of a node that ONNX Runtime replaces by one of another layout."""


def session(
    model: Path | bytes,
    *,
    providers: Sequence[str] = ("cpu",),
    optimized: Path | None = None,
    wide_sums: bool = False,
    signed: bool = False,
    threads: int | None = None,
    profile: Path | None = None,
) -> Any:
    """An InferenceSession; providers that are not present are passed over, the CPU is always the last.

    optimized: where the runtime saves the graph after its optimizations that do not depend on the machine.
    threads: that compute one operation; None leaves them to the runtime (one for each core).
    profile: how the file begins in which the runtime writes the time of every operator.
    wide_sums: never saturate in 8-bit products, also on x86 without VNNI; slower, and what a GPU does.
    signed: int8 activations stay what they are, as on Arm; else x86 turns half of their kernels back into floats.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingBackendError("onnxruntime is not installed", REPAIR) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Threads that go on waiting busily after a run take the cores of whatever runs next: other sessions, too.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # A plan of all buffers is made after the first run of a size, and held beside them: 401 MiB in place of 250 for
    # every further picture of 512x512, and no faster (1.17 and 1.16 s of a core).
    options.enable_mem_pattern = False
    if wide_sums:
        options.add_session_config_entry("session.x64quantprecision", "1")
    if signed:
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    if threads is not None:
        options.intra_op_num_threads = threads
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    present = onnxruntime.get_available_providers()
    wanted = [_PROVIDERS[name] for name in providers if _PROVIDERS[name] in present]
    source = model if isinstance(model, bytes) else str(model)
    state = onnxruntime.capi.onnxruntime_pybind11_state
    refusals = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented)
    try:
        return onnxruntime.InferenceSession(source, options, providers=[*dict.fromkeys([*wanted, _PROVIDERS["cpu"]])])
    except refusals as error:
        raise ArtifactError(f"ONNX Runtime does not load the model: {_line(error)}", "export it again") from error


def present_providers() -> frozenset[str]:
    """Those of the recipe's words that the installed wheel has."""
    import onnxruntime

    present = onnxruntime.get_available_providers()
    return frozenset(name for name, provider in _PROVIDERS.items() if provider in present)


def onnxruntime_tool(name: str) -> Any:
    """A module of ONNX Runtime's own tools; loading one makes all loggers of the process talk, which is undone here."""
    root, known = logging.getLogger(), logging.getLogger().handlers[:]
    try:
        return importlib.import_module(f"onnxruntime.tools.{name}")
    finally:
        root.handlers[:] = known
        logging.getLogger("ort_format_model.utils").setLevel(logging.WARNING)


def name_in_file(node: str) -> str:
    """The name that a node of an optimized graph had in the ONNX file."""
    return _APPENDED.sub("", node)


def _line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]


class OnnxRunner:
    """An ONNX file as a runner; `provider` is what really runs it.

    stands_in: why this runs in place of the target's own runtime; empty where this is that runtime.
    """

    def __init__(
        self,
        model: Path,
        *,
        size: tuple[int, int] | None,
        providers: Sequence[str] = ("cpu",),
        wide_sums: bool = False,
        signed: bool = False,
        stands_in: str = "",
        threads: int | None = None,
        profile: Path | None = None,
    ) -> None:
        self.size, self.stands_in = size, stands_in
        self.session = session(
            model, providers=providers, wide_sums=wide_sums, signed=signed, threads=threads, profile=profile
        )
        self.names = [output.name for output in self.session.get_outputs()]

    @property
    def provider(self) -> str:
        """Name of the execution provider in use."""
        return str(self.session.get_providers()[0])

    def run(self, image: Image) -> Outputs:
        """See `Runner`."""
        return self._run({IMAGE: np.ascontiguousarray(image[None], np.float32)})

    def run_gated(self, image: Image, gates: Image) -> Outputs:
        """See `TakesGates`."""
        return self._run({IMAGE: np.ascontiguousarray(image[None], np.float32), GATES: gates[None]})

    def _run(self, inputs: dict[str, Image]) -> Outputs:
        arrays = self.session.run(self.names, inputs)
        return outputs_from_arrays(dict(zip(self.names, arrays, strict=True)))
