"""Qualcomm's NPUs (Snapdragon): ONNX for ONNX Runtime's QNN provider, compiled here for one chip into a context.

The NPU computes floats in float16 only, so there are no float32 islands: the program is made to fit. Convolutions of
the precision plan read and write 16- or 8-bit integers. Nothing is left to the phone's CPU. Qualcomm's libraries
emulate the NPU here; a phone loads the context with onnxruntime-android-qnn and compiles nothing.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from moceir_edge.artifacts import Artifact, Proof, Proofs
from moceir_edge.memory import Memory
from moceir_edge.metrics import psnr_db
from moceir_edge.program.macs import macs_by_operation
from moceir_edge.program.passes.without_islands import without_islands
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Recipe, Size
from moceir_edge.runner import Image, Runner
from moceir_edge.targets.onnx_runtime import OnnxRunner
from moceir_edge.targets.qnn_graph import formats, integer_share, read_graph
from moceir_edge.targets.qnn_library import (
    NPUS,
    Npu,
    compile_context,
    emulated,
    library_text,
    library_versions,
    missing,
)
from moceir_edge.targets.target import Calibration, Exported, Target, Timer, recipe_of
from moceir_edge.targets.to_onnx import MODEL_FILE, write_onnx
from moceir_edge.targets.to_onnx import TARGET as ONNX
from moceir_edge.terms import GateState, Precision, TargetName

CONTEXT_FILE, OPERATIONS_FILE = "model.qnn.onnx", "operations.json"
OPSET = 21
"""The first with 16-bit integers; GELU is one operation, which the NPU has."""

_EMULATED_DB = 40.0
"""What the emulated NPU and ONNX Runtime have to agree to on the same ONNX file: with the bundled model, slim for rain,
in float16 it is 62.8 dB on noise and 48.9 dB on black. What photographs lose is judged on photographs."""

NO_NPU = "no Snapdragon NPU is here: not verified on a device"


def npu_of(recipe: Recipe) -> Npu:
    """What the context is compiled for."""
    return NPUS[recipe.qnn_options.chip]


def size_of(recipe: Recipe) -> Size:
    """(height, width)."""
    assert recipe.fixed_size is not None  # the recipe's own rule
    return recipe.fixed_size


class _Qnn:
    name = TargetName.QNN

    def missing(self) -> str | None:
        return ONNX.missing() or missing()

    def prepare(self, program: Program, recipe: Recipe) -> Program:
        return without_islands(program, size_of(recipe))

    def timer(self, recipe: Recipe) -> Timer | str:
        return "the NPU can be timed on the device only"

    def export(self, program: Program, recipe: Recipe, calibration: Calibration, folder: Path) -> Exported:
        assert not program.islands, "the NPU has no float32"
        written = write_onnx(program, _as_written(recipe), calibration, folder / MODEL_FILE, unsigned=True)
        with tempfile.TemporaryDirectory() as graphs:
            compile_context(folder / MODEL_FILE, folder / CONTEXT_FILE, Path(graphs), npu_of(recipe))
            graph = read_graph(Path(graphs))
        counted = formats(graph)
        (folder / OPERATIONS_FILE).write_text(json.dumps(counted, indent=2) + "\n", encoding="utf-8")
        whole = recipe.precision is Precision.INT8
        update = {
            "model": CONTEXT_FILE,
            "proofs": Proofs(
                parsed=Proof(state=GateState.PASSED, reason=f"{library_text()}: nothing is left to the CPU"),
                built=Proof(state=GateState.PASSED, reason=f"for {npu_of(recipe).name}: {_counted_text(counted)}"),
                emulated=_emulation(folder, recipe),
                executed=Proof(reason=NO_NPU),
            ),
            "versions": {**written.versions, **library_versions()},
            "counted_in": "the graph that Qualcomm's compiler was given",
            "integer_share": integer_share(graph, macs_by_operation(program, *size_of(recipe))) if whole else None,
        }
        return written.model_copy(update=update)

    def runner(self, artifact: Artifact, folder: Path, *, threads: int | None = None) -> Runner | str:
        return NO_NPU

    def memory(self, artifact: Artifact, folder: Path) -> Memory | str:
        return "an NPU's memory is the device's: measure it there"

    def emulator(self, artifact: Artifact, folder: Path) -> Runner | None:
        """Qualcomm's emulation of the NPU, where its libraries are installed."""
        if missing() is not None:
            return None
        return emulated(folder / artifact.model, npu_of(recipe_of(artifact)), size=artifact.fixed_size)


def _as_written(recipe: Recipe) -> Recipe:
    """The recipe of the ONNX file: in float32 where the provider itself goes down to float16."""
    precision = Precision.FLOAT32 if recipe.precision is Precision.FLOAT16 else recipe.precision
    return recipe.model_copy(update={"precision": precision, "opset": OPSET})


def _counted_text(counted: Mapping[str, Mapping[str, int]]) -> str:
    totals: dict[str, int] = {}
    for found in counted.values():
        for form, count in found.items():
            totals[form] = totals.get(form, 0) + count
    return ", ".join(f"{count} operations in {form}" for form, count in sorted(totals.items()))


def _emulation(folder: Path, recipe: Recipe) -> Proof:
    """Whether the emulated NPU gives what ONNX Runtime makes of the same file: on black, where divisions by 0 show,
    and on noise.
    """
    size, npu = size_of(recipe), npu_of(recipe)
    noise = np.random.default_rng(0).random((3, *size), np.float32)
    pictures: dict[str, Image] = {"black": np.zeros_like(noise), "noise": noise}
    runner = emulated(folder / CONTEXT_FILE, npu, size=size)
    other = OnnxRunner(folder / MODEL_FILE, size=size, wide_sums=True)
    found = {}
    for name, picture in pictures.items():
        restored = runner.run(picture).restored
        found[name] = psnr_db(other.run(picture).restored, restored) if np.isfinite(restored).all() else -np.inf
    worst = min(found.values())
    said = ", ".join(f"{name} {parity_db:.1f} dB" for name, parity_db in found.items())
    return Proof(
        state=GateState.PASSED if worst >= _EMULATED_DB else GateState.FAILED,
        reason=f"{runner.provider}, against ONNX Runtime on the same ONNX file: {said}, limit {_EMULATED_DB:g}",
    )


TARGET: Target = _Qnn()
