"""ONNX or ORT format for ONNX Runtime: float32, float16 with float32 islands, int8 where the precision plan puts it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from moceir_edge.artifacts import Artifact, Estimate, Proof, Proofs
from moceir_edge.memory import Memory
from moceir_edge.processor import cores, is_arm
from moceir_edge.program.program import IMAGE, Program
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Skipped
from moceir_edge.runner import Runner
from moceir_edge.targets.onnx_memory import onnx_memory
from moceir_edge.targets.onnx_runtime import REPAIR, OnnxRunner, present_providers, session
from moceir_edge.targets.ort_flatbuffer import format_version, kinds_of
from moceir_edge.targets.ort_format import ORT_FILE, write_ort
from moceir_edge.targets.target import COUNT_SIZE, Calibration, Exported, Target, Timer, recipe_of
from moceir_edge.terms import GateState, Precision, TargetName

if TYPE_CHECKING:
    import onnx

    from moceir_edge.compress.ranges import Ranges

MODEL_FILE = "model.onnx"
PLAN_FILE = "precision.json"
ON_PHONES = ("nnapi", "xnnpack")
"""Providers that onnxruntime-android has."""


def write_onnx(program: Program, recipe: Recipe, calibration: Calibration, path: Path, *, unsigned: bool) -> Exported:
    """Write a program as an ONNX file in the recipe's precision; the plan of 8 bits lies beside it.

    unsigned: uint8 activations, as x86 kernels want them; else signed with zero points 0, as TensorRT wants them.
    """
    from moceir_edge.targets.onnx_graph import onnx_model

    half = recipe.precision is Precision.FLOAT16
    native = recipe.tensorrt_options.norms == "native"
    model = onnx_model(program, size=recipe.fixed_size, opset=recipe.opset, half=half, native_norms=native)
    skipped: tuple[Skipped, ...] = ()
    if recipe.precision.in_8_bits:
        from moceir_edge.compress.precision import PrecisionPlan

        plan = PrecisionPlan.read(path.parent / PLAN_FILE)
        model, skipped = _quantized(model, plan.integer, recipe, calibration, unsigned=unsigned), plan.skipped
    path.write_bytes(model.SerializeToString(deterministic=True))
    return Exported(
        model=path.name,
        proofs=Proofs(),
        versions={name: version(name) for name in ("onnx", "onnxruntime", "nncf")},
        islands=program.islands if half else (),
        skipped=skipped,
    )


def _quantized(
    model: onnx.ModelProto,
    planned: Mapping[str, Ranges],
    recipe: Recipe,
    calibration: Calibration,
    *,
    unsigned: bool,
) -> onnx.ModelProto:
    """With the planned convolutions in the numbers that the recipe asks for."""
    from moceir_edge.targets.float8 import quantize_float8
    from moceir_edge.targets.quantize import quantize, unsigned_activations, wide_activations

    if recipe.precision is Precision.FP8:
        quantize_float8(model, planned)
        return model
    options, feeds = recipe.quantize_options, [{IMAGE: crop} for crop in calibration]
    model = quantize(model, planned, feeds, reduced_range=options.reduced_range)
    if options.activation_bits == 16:
        wide_activations(model)
    elif unsigned:
        unsigned_activations(model)
    return model


class _Onnx:
    name = TargetName.ONNX

    def missing(self) -> str | None:
        absent = [name for name in ("onnx", "onnxruntime", "nncf") if find_spec(name) is None]
        return f"{', '.join(absent)} not installed: {REPAIR}" if absent else None

    def prepare(self, program: Program, recipe: Recipe) -> Program:
        from moceir_edge.program.passes.fold_norms import fold_norms

        return fold_norms(program)

    def timer(self, recipe: Recipe) -> Timer | str:
        from moceir_edge.targets.onnx_costs import Runtime, measure_costs

        other = next((name for name in recipe.onnx_options.providers if name != "cpu"), None)
        if other is not None:
            return f"only the CPU is timed here, not {other}"
        if recipe.onnx_options.activations == "int8" and not is_arm():
            return "int8 activations are for Arm, and this machine is none"
        size, reduced = recipe.fixed_size or COUNT_SIZE, recipe.quantize_options.reduced_range
        runtime = Runtime("ONNX Runtime", _loaded)
        return partial(measure_costs, runtime=runtime, size=size, reduced_range=reduced)

    def export(self, program: Program, recipe: Recipe, calibration: Calibration, folder: Path) -> Exported:
        path, options = folder / MODEL_FILE, recipe.onnx_options
        signed = options.activations == "int8"
        exported = write_onnx(program, recipe, calibration, path, unsigned=not signed)
        session(path, signed=signed)
        estimated = _estimates(program, recipe, path)
        versions = exported.versions
        if options.format == "ort":
            path = _in_ort_format(path, for_cpu=options.providers == ("cpu",))
            versions = {**versions, "ORT format": str(format_version(path))}
        share = None
        if recipe.precision is Precision.INT8:
            share = measured_integer_share(program, path, recipe.fixed_size or COUNT_SIZE, signed=signed)
        accepted = Proof(state=GateState.PASSED, reason=f"ONNX Runtime {exported.versions['onnxruntime']}")
        update = {
            "model": path.name,
            "proofs": Proofs(parsed=accepted, built=accepted),
            "versions": versions,
            "integer_share": share,
            "estimates": estimated,
        }
        return exported.model_copy(update=update)

    def runner(self, artifact: Artifact, folder: Path, *, threads: int | None = None) -> Runner | str:
        options = recipe_of(artifact).onnx_options
        return OnnxRunner(
            folder / artifact.model,
            size=artifact.fixed_size,
            providers=options.providers,
            signed=options.activations == "int8",
            threads=threads,
        )

    def memory(self, artifact: Artifact, folder: Path) -> Memory | str:
        return onnx_memory(folder / artifact.model, artifact.fixed_size)

    def emulator(self, artifact: Artifact, folder: Path) -> Runner | None:
        return None


def _in_ort_format(model: Path, *, for_cpu: bool) -> Path:
    """The file in ORT format, in place of the ONNX file."""
    path = model.with_name(ORT_FILE)
    write_ort(model, path, for_cpu=for_cpu)
    session(path)
    model.unlink()
    return path


def _estimates(program: Program, recipe: Recipe, path: Path) -> tuple[Estimate, ...]:
    """Of the providers that the recipe names and this machine lacks; for phones, of all that phones have."""
    from moceir_edge.program.macs import macs_by_operation
    from moceir_edge.targets.provider_estimates import estimates

    options = recipe.onnx_options
    asked = {*options.providers, *(ON_PHONES if options.format == "ort" else ())} - present_providers()
    macs = macs_by_operation(program, *(recipe.fixed_size or COUNT_SIZE))
    return estimates(path, asked, macs, fixed=recipe.fixed_size is not None)


def measured_integer_share(program: Program, path: Path, size: tuple[int, int], *, signed: bool = False) -> float:
    """Share of MACs in integer kernels: in the graph that ONNX Runtime saves after optimizing the file, or in the one
    that was saved so in ORT format.
    """
    import onnx

    from moceir_edge.program.macs import macs_by_operation
    from moceir_edge.targets.quantize import integer_share, share_in_integers

    macs = macs_by_operation(program, *size)
    if path.name == ORT_FILE:
        return share_in_integers(kinds_of(path), macs)
    with tempfile.TemporaryDirectory() as scratch:
        optimized = Path(scratch) / "optimized.onnx"
        session(path, optimized=optimized, signed=signed)
        return integer_share(onnx.load(optimized), macs)


def _loaded(model: bytes) -> partial[object]:
    return partial(session(model, threads=cores()).run, None)


TARGET: Target = _Onnx()
