"""Core ML: an `.mlpackage` (ML program, fixed sizes) in float32, in float16 with float32 islands, or with int8 in it.

The package is read back and executed here, operation by operation; Core ML itself runs on macOS only.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import numpy as np

from moceir_edge.artifacts import Artifact, Proof, Proofs
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.compress.ranges import Ranges
from moceir_edge.compress.rounding import rounding_of
from moceir_edge.compress.simulation import QuantizedNetwork
from moceir_edge.compress.stored_weights import weights_in_words
from moceir_edge.errors import RecipeError
from moceir_edge.memory import Memory
from moceir_edge.metrics import psnr_db
from moceir_edge.program.macs import macs_by_operation
from moceir_edge.program.program import RESTORED, Program
from moceir_edge.recipe.schema import Recipe, Size
from moceir_edge.runner import ProgramRunner, Runner
from moceir_edge.targets import coreml_library
from moceir_edge.targets.coreml_runners import coreml_runner, emulated_runner, in_8_bits
from moceir_edge.targets.coreml_units import UNITS_FILE, units_of
from moceir_edge.targets.mil_constants import different_weights
from moceir_edge.targets.mil_integer import as_stored, in_integers
from moceir_edge.targets.mil_program import Emitted, emit
from moceir_edge.targets.mlpackage import MAIN, Description, Package, read_functions, read_package, write_package
from moceir_edge.targets.target import Calibration, Exported, Target, Timer, interface_of
from moceir_edge.targets.to_onnx import PLAN_FILE
from moceir_edge.terms import GateState, Precision, TargetName

Integer: TypeAlias = Mapping[str, Ranges]
"""Convolutions in 8-bit integers, by name."""

PACKAGE = "model.mlpackage"
NOT_HERE = "Core ML runs on macOS only: not verified on a device"

_EMULATED_DB = {Precision.FLOAT32: 80.0, Precision.FLOAT16: 50.0, Precision.INT8: 40.0}
"""What the package and its program have to agree to: the gates of parity, but in int8, where a change in the last bits
takes some values to the next step. The bundled model, slim for rain, agrees to 46.4 dB on noise, as its program does
with itself (46.7 dB) if the input changes by 1e-6. Other precisions are refused by the recipe."""

_EMULATED_PIXELS = 2**19
"""Up to here a package is executed while it is exported: the full S takes 8.5 kB and 0.2 ms a pixel (2 x86 cores)."""


def is_picture(recipe: Recipe) -> bool:
    """Whether pictures of 8 bits go in and out."""
    return recipe.coreml_options.interface == "image"


def sizes_of(recipe: Recipe) -> dict[str, Size]:
    """(height, width) of each function, the default one first; RecipeError if it is not fixed."""
    if recipe.fixed_size is None:
        raise RecipeError("size: Core ML needs a fixed size", "write it as [height, width]")
    return {MAIN: recipe.fixed_size, **{f"size_{w}x{h}": (h, w) for h, w in recipe.coreml_options.more_sizes}}


def description_of(program: Program, recipe: Recipe, integer: Integer) -> Description:
    """What a person sees in Xcode."""
    interface = interface_of(program, recipe)
    tensors = {tensor.name: tensor.meaning for tensor in (*interface.inputs, *interface.outputs)}
    if is_picture(recipe):
        tensors[RESTORED] = "restored picture, 8-bit RGB"
    sizes = {name: f"{width}x{height}" for name, (height, width) in sizes_of(recipe).items()}
    notes = {
        "precision": recipe.precision.value,
        "weights": weights_in_words(program, half=recipe.half),
        "float32 islands": str(len(program.islands) if recipe.half else 0),
        "routed layers": str(len(program.layers)),
    }
    if integer:
        notes["8-bit integers"] = f"{len(integer)} convolutions, activations and weights; fast from A17 Pro and M4 on"
    if len(sizes) > 1:
        notes["functions"] = ", ".join(f"{name}: {size}" for name, size in sizes.items())
    return Description(
        title=f"MoCE-IR image restoration, {', '.join(sizes.values())}, {recipe.precision}",
        author="moceir-edge; network by Zamfir et al., CVPR 2025",
        licence="Code: Apache-2.0 (moceir-edge). Weights: the terms of the checkpoint this model was made from.",
        version=version("moceir-edge"),
        tensors=tensors,
        notes=notes,
    )


def reading(package: Package, emitted: Emitted, program: Program, recipe: Recipe, size: Size) -> Proof:
    """Whether what was read back has the interface and the weights of the program, for pictures of `size`."""
    interface = interface_of(program, recipe.model_copy(update={"size": size}))
    expected = {tensor.name: tensor.shape for tensor in (*interface.inputs, *interface.outputs)}
    if dict(package.shapes) != expected:
        return Proof(state=GateState.FAILED, reason=f"read back with {dict(package.shapes)}, expected {expected}")
    wrong = different_weights(package, program, emitted.convolutions, half=recipe.half)
    if wrong:
        return Proof(state=GateState.FAILED, reason=f"weights of {wrong[0]} differ ({len(wrong)} in all)")
    kinds = Counter(op.op_type for op in package.operations)
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return Proof(state=GateState.PASSED, reason=f"package was read back: {kinds.total()} operations ({listed})")


def emulation(package: Package, program: Program, recipe: Recipe, integer: Integer) -> Proof:
    """Whether the package, executed here, gives what the program gives with the same rounding."""
    height, width = package.size
    if height * width > _EMULATED_PIXELS:
        return Proof(
            reason=f"{width}x{height} is more than a picture of {_EMULATED_PIXELS} pixels, which is tried here"
        )
    simulated = QuantizedNetwork(program, integer, rounding=rounding_of(recipe), half=recipe.half)
    image = in_8_bits(np.random.default_rng(0).random((3, height, width), np.float32))
    reference = ProgramRunner(simulated).run(image).restored
    if is_picture(recipe):
        reference = in_8_bits(reference)
    parity_db = psnr_db(reference, emulated_runner(package).run(image).restored)
    limit_db = _EMULATED_DB[recipe.precision]
    state = GateState.PASSED if parity_db >= limit_db else GateState.FAILED
    return Proof(
        state=state,
        reason=f"package executed operation by operation in PyTorch, a random picture: {parity_db:.1f} dB from the"
        f" program in the same precision, limit {limit_db:g}",
    )


def _of_all(proofs: Mapping[str, Proof]) -> Proof:
    """What holds for every function: the first that failed, else the first that was not run."""
    order = (GateState.FAILED, GateState.NOT_RUN, GateState.PASSED)
    name, worst = min(proofs.items(), key=lambda pair: order.index(pair[1].state))
    if len(proofs) == 1:
        return worst
    said = f"{len(proofs)} functions; {name}: {worst.reason}"
    return worst.model_copy(update={"reason": said})


def _built() -> Proof:
    """On a Mac, Core ML compiled the package for its compute plan; elsewhere nothing of Core ML took it."""
    made = f"coremltools {coreml_library.VERSION} wrote the package"
    if platform.system() == "Darwin":
        return Proof(state=GateState.PASSED, reason=f"{made}; Core ML compiled it, on this Mac")
    return Proof(reason=f"{made}; Core ML's own compiler runs on macOS only")


def _integer_share(program: Program, package: Package, emitted: Emitted) -> float:
    """Share of MACs in convolutions that Core ML can take to integer kernels, by the package that was read back."""
    counts, found = macs_by_operation(program, *package.size), in_integers(package)
    integer = {name for name, value in emitted.convolutions.items() if value in found}
    return sum(counts[name] for name in integer) / sum(counts.values())


def _counted_in(recipe: Recipe) -> str:
    """At the default one of several sizes."""
    height, width = sizes_of(recipe)[MAIN]
    several = f", at {width}x{height}, the default of its sizes" if recipe.coreml_options.more_sizes else ""
    return f"the package that was read back{several}"


class _CoreML:
    name = TargetName.COREML

    def missing(self) -> str | None:
        return coreml_library.missing()

    def prepare(self, program: Program, recipe: Recipe) -> Program:
        return program

    def timer(self, recipe: Recipe) -> Timer | str:
        return "Core ML is timed on Apple's devices only"

    def export(self, program: Program, recipe: Recipe, calibration: Calibration, folder: Path) -> Exported:
        del calibration
        coreml_library.load()
        picture, ios, path = is_picture(recipe), recipe.coreml_options.minimum_ios, folder / PACKAGE
        plan = PrecisionPlan.read(folder / PLAN_FILE) if recipe.precision is Precision.INT8 else None
        sizes, integer = sizes_of(recipe), {} if plan is None else plan.integer
        stored, spans = as_stored(program, integer, half=recipe.half)
        emitted = {
            name: emit(stored, size, half=recipe.half, picture=picture, ios=ios, integer=spans)
            for name, size in sizes.items()
        }
        mils, described = {name: one.program for name, one in emitted.items()}, description_of(stored, recipe, integer)
        write_package(mils, path, picture=picture, ios=ios, description=described)
        functions = read_functions(path)
        units = units_of(path, functions[MAIN])
        units.write(folder / UNITS_FILE)
        return Exported(
            model=PACKAGE,
            proofs=Proofs(
                parsed=_of_all({n: reading(functions[n], emitted[n], stored, recipe, sizes[n]) for n in sizes}),
                built=_built(),
                emulated=_of_all({n: emulation(functions[n], program, recipe, integer) for n in sizes}),
                executed=Proof(reason=NOT_HERE),
            ),
            versions={"coremltools": coreml_library.VERSION},
            counted_in=_counted_in(recipe),
            integer_share=_integer_share(program, functions[MAIN], emitted[MAIN]) if plan is not None else None,
            islands=program.islands if recipe.half else (),
            skipped=() if plan is None else plan.skipped,
        )

    def memory(self, artifact: Artifact, folder: Path) -> Memory | str:
        return "Core ML's memory is the device's: measure it there"

    def runner(self, artifact: Artifact, folder: Path, *, threads: int | None = None) -> Runner | str:
        if platform.system() != "Darwin":
            return NOT_HERE
        path = folder / artifact.model
        return coreml_runner(path, read_package(path))

    def emulator(self, artifact: Artifact, folder: Path) -> Runner:
        """The package itself, read back and executed on any machine: for accuracy that is marked as emulated."""
        return emulated_runner(read_package(folder / artifact.model))


TARGET: Target = _CoreML()
