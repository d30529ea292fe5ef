"""Core ML: an `.mlpackage` (ML program, fixed size) in float32, or in float16 with float32 islands.

The package is read back and executed here, operation by operation; Core ML itself runs on macOS only.
"""

from __future__ import annotations

import platform
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import numpy as np

from moceir_edge.artifacts import Artifact, Proof, Proofs
from moceir_edge.errors import RecipeError
from moceir_edge.memory import Memory
from moceir_edge.metrics import psnr_db
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.lower import RESTORED
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Recipe, Size
from moceir_edge.runner import ProgramRunner, Runner
from moceir_edge.targets import coreml_library
from moceir_edge.targets.coreml_runners import coreml_runner, emulated_runner, in_8_bits
from moceir_edge.targets.mil_constants import different_weights
from moceir_edge.targets.mil_program import Emitted, emit
from moceir_edge.targets.mil_weights import skipped, with_weights_in_8_bits
from moceir_edge.targets.mlpackage import Description, Package, read_package, write_package
from moceir_edge.targets.target import Calibration, Exported, Target, Timer, interface_of
from moceir_edge.terms import GateState, Precision, TargetName

PACKAGE = "model.mlpackage"
NOT_HERE = "Core ML runs on macOS only: not verified on a device"

_EMULATED_DB = 50.0
"""What the package and its program have to agree to: the parity gate of float16; float32 stays far above."""

_EMULATED_PIXELS = 2**19
"""Up to here a package is executed while it is exported: the full S takes 8.5 kB and 0.2 ms a pixel (2 x86 cores)."""


def is_half(recipe: Recipe) -> bool:
    """Whether everything outside the islands runs in float16."""
    return recipe.precision is Precision.FLOAT16


def is_picture(recipe: Recipe) -> bool:
    """Whether pictures of 8 bits go in and out."""
    return recipe.coreml_options.interface == "image"


def size_of(recipe: Recipe) -> Size:
    """(height, width); RecipeError if it is not fixed."""
    if recipe.fixed_size is None:
        raise RecipeError("size: Core ML needs a fixed size", "write it as [height, width]")
    return recipe.fixed_size


def description_of(program: Program, recipe: Recipe) -> Description:
    """What a person sees in Xcode."""
    interface, picture = interface_of(program, recipe), is_picture(recipe)
    tensors = {tensor.name: tensor.meaning for tensor in (*interface.inputs, *interface.outputs)}
    if picture:
        tensors[RESTORED] = "restored picture, 8-bit RGB"
    height, width = size_of(recipe)
    return Description(
        title=f"MoCE-IR image restoration, {width}x{height}, {recipe.precision}",
        author="moceir-edge; network by Zamfir et al., CVPR 2025",
        licence="Code: Apache-2.0 (moceir-edge). Weights: the terms of the checkpoint this model was made from.",
        version=version("moceir-edge"),
        tensors=tensors,
        notes={
            "precision": recipe.precision.value,
            "weights": recipe.coreml_options.weights if is_half(recipe) or _in_8_bits(recipe) else "float32",
            "float32 islands": str(len(program.islands) if is_half(recipe) else 0),
            "routed layers": str(len(program.layers)),
        },
    )


def _in_8_bits(recipe: Recipe) -> bool:
    return recipe.coreml_options.weights == "int8"


def reading(package: Package, emitted: Emitted, program: Program, recipe: Recipe) -> Proof:
    """Whether what was read back has the interface and the weights of the program."""
    interface = interface_of(program, recipe)
    expected = {tensor.name: tensor.shape for tensor in (*interface.inputs, *interface.outputs)}
    if dict(package.shapes) != expected:
        return Proof(state=GateState.FAILED, reason=f"read back with {dict(package.shapes)}, expected {expected}")
    wrong = different_weights(package, program, emitted.convolutions, half=is_half(recipe))
    if wrong:
        return Proof(state=GateState.FAILED, reason=f"weights of {wrong[0]} differ ({len(wrong)} in all)")
    kinds = Counter(op.op_type for op in package.operations)
    listed = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return Proof(state=GateState.PASSED, reason=f"package was read back: {kinds.total()} operations ({listed})")


def emulation(package: Package, program: Program, recipe: Recipe) -> Proof:
    """Whether the package, executed here, gives what the program gives with the same rounding."""
    height, width = size_of(recipe)
    if height * width > _EMULATED_PIXELS:
        return Proof(
            reason=f"{width}x{height} is more than a picture of {_EMULATED_PIXELS} pixels, which is tried here"
        )
    image = in_8_bits(np.random.default_rng(0).random((3, height, width), np.float32))
    reference = ProgramRunner(StaticNetwork(program, half=is_half(recipe))).run(image).restored
    if is_picture(recipe):
        reference = in_8_bits(reference)
    parity_db = psnr_db(reference, emulated_runner(package).run(image).restored)
    state = GateState.PASSED if parity_db >= _EMULATED_DB else GateState.FAILED
    return Proof(
        state=state,
        reason=f"package executed operation by operation in PyTorch, a random picture: {parity_db:.1f} dB from the"
        f" program in the same precision, limit {_EMULATED_DB:g}",
    )


class _CoreML:
    name = TargetName.COREML

    def missing(self) -> str | None:
        return coreml_library.missing()

    def prepare(self, program: Program, recipe: Recipe) -> Program:
        return with_weights_in_8_bits(program, half=is_half(recipe)) if _in_8_bits(recipe) else program

    def timer(self, recipe: Recipe) -> Timer | str:
        return "Core ML is not quantized to int8 here"

    def export(self, program: Program, recipe: Recipe, calibration: Calibration, folder: Path) -> Exported:
        del calibration
        coreml_library.load()
        half, picture, ios = is_half(recipe), is_picture(recipe), recipe.coreml_options.minimum_ios
        emitted = emit(program, size_of(recipe), half=half, picture=picture, ios=ios)
        path = folder / PACKAGE
        write_package(emitted.program, path, picture=picture, ios=ios, description=description_of(program, recipe))
        package = read_package(path)
        made = f"coremltools {coreml_library.VERSION} made the package; Core ML's own compiler runs on macOS only"
        return Exported(
            model=PACKAGE,
            proofs=Proofs(
                parsed=reading(package, emitted, program, recipe),
                built=Proof(state=GateState.PASSED, reason=made),
                emulated=emulation(package, program, recipe),
                executed=Proof(reason=NOT_HERE),
            ),
            versions={"coremltools": coreml_library.VERSION},
            islands=program.islands if half else (),
            skipped=skipped(program) if _in_8_bits(recipe) else (),
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
