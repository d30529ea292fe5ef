"""TensorRT: an ONNX file with a build recipe and script for the device, or an engine built here.

An engine of TensorRT runs only on the version and GPU that built it, so a Jetson gets the ONNX file and build.py.
TensorRT for RTX builds portable engines ahead of time, without a GPU. Where there is no GPU that takes the engine,
ONNX Runtime runs the same ONNX file for the accuracy rows, and `proofs.executed` says so.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from moceir_edge.artifacts import Artifact, Proof, Proofs
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.errors import ArtifactError, MissingBackendError
from moceir_edge.memory import Memory
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Recipe
from moceir_edge.records import Skipped, sha256_of_file
from moceir_edge.resources import resource
from moceir_edge.runner import Runner
from moceir_edge.targets.onnx_runtime import OnnxRunner
from moceir_edge.targets.target import COUNT_SIZE, Calibration, Exported, Target, Timer
from moceir_edge.targets.tensorrt_api import Library, gpu_missing, load_library
from moceir_edge.targets.tensorrt_build import Agreement, Built, Parsed, build_engine, parse
from moceir_edge.targets.tensorrt_recipe import BuildRecipe, build_flags, build_recipe, plan_of
from moceir_edge.targets.tensorrt_releases import TENSORRT_8_OPSET
from moceir_edge.targets.tensorrt_runner import EngineRunner, tried_once
from moceir_edge.targets.to_onnx import MODEL_FILE, PLAN_FILE, measured_integer_share, write_onnx
from moceir_edge.targets.to_onnx import TARGET as ONNX
from moceir_edge.terms import GateState, Precision, TargetName

ENGINE_FILE, BUILD_FILE = "model.engine", "build.json"
SCRIPT_FILES = tuple(
    f"{name}.py"
    for name in ("build", "build_cache", "build_engine", "build_layers", "build_plan", "build_read", "build_release")
)
LAYERS_FILE = "model.layers.json"
"""What the engine inspector says of the engine, where a GPU here took it."""

_ON_DEVICE = "an engine runs only on the kind of machine that built it: run build.py on the device"


class _TensorRT:
    name = TargetName.TENSORRT

    def missing(self) -> str | None:
        try:
            load_library()
        except MissingBackendError as error:
            return f"{error.what}: {error.remedy}"
        return ONNX.missing()

    def prepare(self, program: Program, recipe: Recipe) -> Program:
        del recipe
        return program

    def timer(self, recipe: Recipe) -> Timer | str:
        return "TensorRT's int8 kernels can be timed on the device only"

    def export(self, program: Program, recipe: Recipe, calibration: Calibration, folder: Path) -> Exported:
        library, path = load_library(), folder / MODEL_FILE
        written = write_onnx(program, recipe, calibration, path, unsigned=False)
        build = _build_recipe(program, path, recipe, library)
        build.write(folder / BUILD_FILE)
        parsed = parse(library, path.read_bytes())
        agreement = None if parsed.errors else parsed.agreement(build)
        built = _built(parsed, path, build, wanted=recipe.tensorrt_options.deliver == "engine")
        _deliver(built, folder, recipe)
        update = {
            "model": ENGINE_FILE if (folder / ENGINE_FILE).exists() else MODEL_FILE,
            "proofs": Proofs(
                parsed=_parsed_proof(parsed, agreement, build),
                built=_built_proof(parsed, built, build),
                executed=_executed_proof(library, built, program, recipe),
            ),
            "versions": {**written.versions, library.name: library.version},
            "counted_in": "the network that NVIDIA's parser made; the device's engine may differ",
            "integer_share": agreement.macs_share if agreement and recipe.precision is Precision.INT8 else None,
            "largest": build.flags.largest,
            "skipped": (*written.skipped, *_notes(program, path, recipe, parsed)),
        }
        return written.model_copy(update=update)

    def runner(self, artifact: Artifact, folder: Path, *, threads: int | None = None) -> Runner | str:
        """The engine where a GPU takes it, else ONNX Runtime on the same file; `provider` and `stands_in` say so."""
        found: EngineRunner | str = gpu_missing() or self.missing() or _engine_runner(artifact, folder)
        if isinstance(found, EngineRunner):
            return found
        try:
            return OnnxRunner(
                folder / MODEL_FILE, size=artifact.fixed_size, wide_sums=True, stands_in=found, threads=threads
            )
        except MissingBackendError as error:
            return f"{found}; {error}"

    def memory(self, artifact: Artifact, folder: Path) -> Memory | str:
        return "an engine's memory is the GPU's: measure it on the device"

    def emulator(self, artifact: Artifact, folder: Path) -> Runner | None:
        return None


def _build_recipe(program: Program, path: Path, recipe: Recipe, library: Library) -> BuildRecipe:
    """What to build; the graph at `path` is made what TensorRT takes."""
    import onnx

    from moceir_edge.targets.tensorrt_graph import operator_counts, require_symmetric, with_float_weights

    model = onnx.load(path)
    require_symmetric(model)
    integer: tuple[str, ...] = ()
    islands = tuple(program.islands) if recipe.precision is Precision.FLOAT16 else ()
    if recipe.precision.in_8_bits:
        integer = tuple(PrecisionPlan.read(path.parent / PLAN_FILE).integer)
        if recipe.precision is Precision.INT8 and recipe.opset <= TENSORRT_8_OPSET:
            with_float_weights(model)
            path.write_bytes(model.SerializeToString(deterministic=True))
    return build_recipe(
        path.name,
        sha256=sha256_of_file(path),
        opset=recipe.opset,
        flags=build_flags(recipe, ahead_of_time=library.ahead_of_time),
        plan=plan_of(program, integer, recipe.fixed_size or COUNT_SIZE, islands=islands),
        operators=operator_counts(model),
        checked_with=library.text,
    )


def _built(parsed: Parsed, path: Path, build: BuildRecipe, *, wanted: bool) -> Built | str | None:
    """An engine, the reason why there is none, or None where the parser refused or nobody here needs one."""
    here = gpu_missing() is None
    if parsed.errors or not (wanted or here):
        return None
    return build_engine(parsed.library, path, build.flags, inspect=here)


def _deliver(built: Built | str | None, folder: Path, recipe: Recipe) -> None:
    """Put beside the model what the recipe delivers, and what the engine inspector said if it was asked."""
    if recipe.tensorrt_options.deliver == "onnx":
        for name in SCRIPT_FILES:
            shutil.copyfile(resource("devices") / "jetson" / name, folder / name)
    elif isinstance(built, Built):
        (folder / ENGINE_FILE).write_bytes(built.engine)
    if isinstance(built, Built) and built.layers is not None:
        (folder / LAYERS_FILE).write_text(built.layers, encoding="utf-8")


def _parsed_proof(parsed: Parsed, agreement: Agreement | None, build: BuildRecipe) -> Proof:
    if agreement is None:
        more = f" (and {len(parsed.errors) - 1} more)" if len(parsed.errors) > 1 else ""
        reason = f"{parsed.library.text} refuses the graph: {parsed.errors[0]}{more}"
        return Proof(state=GateState.FAILED, reason=reason)
    if agreement.problem is not None:
        return Proof(state=GateState.FAILED, reason=f"{parsed.library.text}: {agreement.problem}")
    found = [f"ONNX parser of {parsed.library.text}: {parsed.layers} layers"]
    if build.plan.integer:
        planned = f"{len(build.plan.integer)} planned {build.flags.precision} convolutions"
        found += [
            f"{agreement.quantize} quantizing and {agreement.dequantize} dequantizing, as in the file",
            f"{agreement.convolutions} of {planned} between their own, {agreement.macs_share:.2f} of MACs",
        ]
    return Proof(state=GateState.PASSED, reason=", ".join(found))


def _built_proof(parsed: Parsed, built: Built | str | None, build: BuildRecipe) -> Proof:
    if built is None:
        return Proof(reason="the parser refused the graph" if parsed.errors else _ON_DEVICE)
    if isinstance(built, str):
        return Proof(state=GateState.FAILED, reason=f"{parsed.library.text}: {built}")
    served = ", ".join(build.flags.compute_capabilities) or "of the GPU here"
    summary = built.summary(build)
    account = f"; {summary}" if summary else ""
    return Proof(state=GateState.PASSED, reason=f"{parsed.library.text}, for compute capability {served}{account}")


def _executed_proof(library: Library, built: Built | str | None, program: Program, recipe: Recipe) -> Proof:
    """Whether the GPU here runs the engine; not run where it does not take it, as one that was built for others."""
    absent = gpu_missing()
    if absent is not None:
        return Proof(reason=absent)
    if not isinstance(built, Built):
        return Proof(reason="there is no engine to run")
    try:
        runner = EngineRunner(library, built.engine, size=recipe.fixed_size)
    except ArtifactError as error:
        return Proof(reason=f"{error.what}: accuracy rows come from ONNX Runtime running the same ONNX file")
    return tried_once(runner, program, largest=recipe.overflow_size)


def _notes(program: Program, path: Path, recipe: Recipe, parsed: Parsed) -> tuple[Skipped, ...]:
    """What the parser warned of, and what nobody can know before the engine inspector has seen the device."""
    notes = [Skipped(what=parsed.library.text, reason=message) for message in parsed.warnings]
    if recipe.precision is Precision.INT8:
        share = measured_integer_share(program, path, recipe.fixed_size or COUNT_SIZE)
        reason = (
            f"the engine inspector tells on the device; in ONNX Runtime they do {share:.2f} of MACs for the same file"
        )
        notes.append(Skipped(what="which kernels are integer", reason=reason))
    return tuple(notes)


def _engine_runner(artifact: Artifact, folder: Path) -> EngineRunner | str:
    """The delivered engine, or one that is built here from the ONNX file for the GPU of this machine."""
    library = load_library()
    if artifact.model == ENGINE_FILE:
        engine = (folder / ENGINE_FILE).read_bytes()
    else:
        built = build_engine(library, folder / MODEL_FILE, BuildRecipe.read(folder / BUILD_FILE).flags)
        if isinstance(built, str):
            return built
        engine = built.engine
    try:
        return EngineRunner(library, engine, size=artifact.fixed_size)
    except ArtifactError as error:
        return error.what


TARGET: Target = _TensorRT()
