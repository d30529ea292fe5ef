"""ONNX for ONNX Runtime: float32, float16 with float32 islands, int8 where the precision plan puts it."""

from __future__ import annotations

import tempfile
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from moceir_edge.artifacts import Artifact, Proof, Proofs
from moceir_edge.memory import Memory
from moceir_edge.processor import cores
from moceir_edge.program.lower import IMAGE
from moceir_edge.program.macs import macs_by_operation
from moceir_edge.program.passes.fold_norms import fold_norms
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Skipped
from moceir_edge.runner import Runner
from moceir_edge.targets.onnx_memory import onnx_memory
from moceir_edge.targets.onnx_runtime import REPAIR, OnnxRunner, session
from moceir_edge.targets.target import COUNT_SIZE, Calibration, Exported, Target, Timer, recipe_of
from moceir_edge.terms import GateState, Precision, TargetName

MODEL_FILE = "model.onnx"
PLAN_FILE = "precision.json"


def write_onnx(program: Program, recipe: Recipe, calibration: Calibration, path: Path, *, unsigned: bool) -> Exported:
    """Write a program as an ONNX file in the recipe's precision; the plan of 8 bits lies beside it.

    unsigned: uint8 activations, as x86 kernels want them; else signed with zero points 0, as TensorRT wants them.
    """
    from moceir_edge.targets.onnx_graph import onnx_model

    half = recipe.precision is Precision.FLOAT16
    native = recipe.tensorrt_options.norms == "native"
    model = onnx_model(program, size=recipe.fixed_size, opset=recipe.opset, half=half, native_norms=native)
    skipped: tuple[Skipped, ...] = ()
    if recipe.precision is Precision.FP8:
        from moceir_edge.compress.precision import PrecisionPlan
        from moceir_edge.targets.float8 import quantize_float8

        plan = PrecisionPlan.read(path.parent / PLAN_FILE)
        quantize_float8(model, plan.integer)
        skipped = plan.skipped
    elif recipe.precision is Precision.INT8:
        from moceir_edge.compress.precision import PrecisionPlan
        from moceir_edge.targets.quantize import quantize, unsigned_activations

        plan = PrecisionPlan.read(path.parent / PLAN_FILE)
        feeds = [{IMAGE: crop} for crop in calibration]
        model = quantize(model, plan.integer, feeds, reduced_range=recipe.quantize_options.reduced_range)
        if unsigned:
            unsigned_activations(model)
        skipped = plan.skipped
    path.write_bytes(model.SerializeToString(deterministic=True))
    return Exported(
        model=path.name,
        proofs=Proofs(),
        versions={name: version(name) for name in ("onnx", "onnxruntime", "nncf")},
        islands=program.islands if half else (),
        skipped=skipped,
    )


class _Onnx:
    name = TargetName.ONNX

    def missing(self) -> str | None:
        absent = [name for name in ("onnx", "onnxruntime", "nncf") if find_spec(name) is None]
        return f"{', '.join(absent)} not installed: {REPAIR}" if absent else None

    def prepare(self, program: Program, recipe: Recipe) -> Program:
        return fold_norms(program)

    def timer(self, recipe: Recipe) -> Timer | str:
        from moceir_edge.targets.onnx_costs import Runtime, measure_costs

        if recipe.onnx_options.providers != ("cpu",):
            return f"only the CPU is timed here, not {recipe.onnx_options.providers[0]}"
        size, reduced = recipe.fixed_size or COUNT_SIZE, recipe.quantize_options.reduced_range
        runtime = Runtime("ONNX Runtime", _loaded)
        return partial(measure_costs, runtime=runtime, size=size, reduced_range=reduced)

    def export(self, program: Program, recipe: Recipe, calibration: Calibration, folder: Path) -> Exported:
        path = folder / MODEL_FILE
        exported = write_onnx(program, recipe, calibration, path, unsigned=True)
        accepted = Proof(state=GateState.PASSED, reason=f"ONNX Runtime {exported.versions['onnxruntime']}")
        share = None
        if recipe.precision is Precision.INT8:
            share = measured_integer_share(program, path, recipe.fixed_size or COUNT_SIZE)
        else:
            session(path)
        return exported.model_copy(update={"proofs": Proofs(parsed=accepted, built=accepted), "integer_share": share})

    def runner(self, artifact: Artifact, folder: Path, *, threads: int | None = None) -> Runner | str:
        providers = recipe_of(artifact).onnx_options.providers
        return OnnxRunner(folder / artifact.model, size=artifact.fixed_size, providers=providers, threads=threads)

    def memory(self, artifact: Artifact, folder: Path) -> Memory | str:
        return onnx_memory(folder / artifact.model, artifact.fixed_size)

    def emulator(self, artifact: Artifact, folder: Path) -> Runner | None:
        return None


def measured_integer_share(program: Program, path: Path, size: tuple[int, int]) -> float:
    """Share of MACs in integer kernels, in the graph that ONNX Runtime saves after optimizing the file."""
    import onnx

    from moceir_edge.targets.quantize import integer_share

    with tempfile.TemporaryDirectory() as scratch:
        optimized = Path(scratch) / "optimized.onnx"
        session(path, optimized=optimized)
        return integer_share(onnx.load(optimized), macs_by_operation(program, *size))


def _loaded(model: bytes) -> partial[object]:
    return partial(session(model, threads=cores()).run, None)


TARGET: Target = _Onnx()
