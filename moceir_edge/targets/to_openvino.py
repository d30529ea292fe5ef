"""OpenVINO on Intel and AMD CPUs: the same ONNX files, in float32, bfloat16, or int8 where the precision plan puts it.

The artifact carries ONNX, which OpenVINO reads as it is: its own format comes out with other names at each save.
Activations are uint8: with int8 ones its low-precision passes gave other values, 7 dB from ONNX Runtime's where uint8
gave 44 (2026.4, residual SNR of a derain model).
"""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from moceir_edge.artifacts import Artifact, Proof, Proofs
from moceir_edge.memory import Memory
from moceir_edge.processor import cores
from moceir_edge.program.macs import macs_by_operation
from moceir_edge.program.passes.fold_norms import fold_norms
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Skipped
from moceir_edge.runner import Runner
from moceir_edge.targets.onnx_memory import onnx_memory
from moceir_edge.targets.openvino_library import HINTS, REPAIR, OpenVinoRunner, compiled, floats_here, integer_share
from moceir_edge.targets.target import COUNT_SIZE, Calibration, Exported, Target, Timer, recipe_of
from moceir_edge.targets.to_onnx import MODEL_FILE, write_onnx
from moceir_edge.terms import GateState, Precision, TargetName

_NO_BFLOAT16 = "this CPU has no bfloat16 arithmetic: OpenVINO computes in float32 here"


def hint_here(recipe: Recipe) -> str:
    """What OpenVINO is told to compute a recipe's floats in on this CPU."""
    return HINTS[floats_here(recipe.floats)]


class _OpenVino:
    name = TargetName.OPENVINO

    def missing(self) -> str | None:
        absent = [name for name in ("onnx", "onnxruntime", "nncf", "openvino") if find_spec(name) is None]
        return f"{', '.join(absent)} not installed: {REPAIR}" if absent else None

    def prepare(self, program: Program, recipe: Recipe) -> Program:
        return fold_norms(program)

    def timer(self, recipe: Recipe) -> Timer | str:
        from moceir_edge.targets.onnx_costs import Runtime, measure_costs

        hint = hint_here(recipe)
        load = partial(compiled, hint=hint, threads=cores())
        runtime = Runtime(f"OpenVINO with floats as {hint}", load)
        size, reduced = recipe.fixed_size or COUNT_SIZE, recipe.quantize_options.reduced_range
        return partial(measure_costs, runtime=runtime, size=size, reduced_range=reduced)

    def export(self, program: Program, recipe: Recipe, calibration: Calibration, folder: Path) -> Exported:
        path, size = folder / MODEL_FILE, recipe.fixed_size or COUNT_SIZE
        exported = write_onnx(program, recipe, calibration, path, unsigned=True)
        network = compiled(path, hint=hint_here(recipe))
        share = None
        if recipe.precision is Precision.INT8:
            share = integer_share(network, macs_by_operation(program, *size))
        accepted = Proof(state=GateState.PASSED, reason=f"OpenVINO {version('openvino')}")
        wanted = recipe.floats
        lacking = () if floats_here(wanted) is wanted else (Skipped(what=wanted, reason=_NO_BFLOAT16),)
        update = {
            "proofs": Proofs(parsed=accepted, built=accepted),
            "integer_share": share,
            "versions": {**exported.versions, "openvino": version("openvino")},
            "skipped": (*exported.skipped, *lacking),
        }
        return exported.model_copy(update=update)

    def runner(self, artifact: Artifact, folder: Path, *, threads: int | None = None) -> Runner | str:
        """Where the CPU lacks bfloat16, float32 stands in for it, and says so."""
        recipe = recipe_of(artifact)
        return OpenVinoRunner(
            folder / artifact.model,
            size=artifact.fixed_size,
            hint=hint_here(recipe),
            threads=threads,
            stands_in="" if floats_here(recipe.floats) is recipe.floats else _NO_BFLOAT16,
        )

    def memory(self, artifact: Artifact, folder: Path) -> Memory | str:
        return onnx_memory(folder / artifact.model, artifact.fixed_size, openvino=hint_here(recipe_of(artifact)))

    def emulator(self, artifact: Artifact, folder: Path) -> Runner | None:
        return None


TARGET: Target = _OpenVino()
