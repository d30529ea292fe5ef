"""Faults planted in a saved package are found: by reading it back, or by executing it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moceir_edge.compress import stored_weights
from moceir_edge.compress.ranges import Ranges
from moceir_edge.compress.stored_weights import Storage, Stored, storable, with_steps, with_stored_weights
from moceir_edge.errors import ArtifactError
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import Recipe
from moceir_edge.targets import coreml_library
from moceir_edge.targets.mil_integer import with_half_steps
from moceir_edge.targets.mil_program import Emitted, emit
from moceir_edge.targets.mlpackage import read_package, write_package
from moceir_edge.targets.to_coreml import description_of, emulation, reading
from moceir_edge.terms import GateState
from tests.targets.networks import SIZE, full_plan, recipe, small_network

pytestmark = pytest.mark.skipif(coreml_library.missing() is not None, reason=str(coreml_library.missing()))

MODEL, WEIGHTS = "Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/weights/weight.bin"


@dataclass
class Saved:
    """A package on disk, what it was made from, and its model description, which a test may alter and write back."""

    path: Path
    program: Program
    emitted: Emitted
    recipe: Recipe
    integer: dict[str, Ranges]

    def __post_init__(self) -> None:
        self.spec = coreml_library.load().utils.load_spec(str(self.path))

    @property
    def operations(self) -> list[Any]:
        """As they stand in the file."""
        (block,) = self.spec.mlProgram.functions["main"].block_specializations.values()
        return list(block.operations)

    def of(self, kind: str, number: int = 0) -> Any:
        """An operation of a kind."""
        return [op for op in self.operations if op.type == kind][number]

    def constant(self, op: Any, argument: str) -> Any:
        """The value that an argument names, to be altered in place."""
        if argument in op.attributes:
            return op.attributes[argument]
        bound = op.inputs[argument].arguments[0]
        if bound.WhichOneof("binding") == "value":
            return bound.value
        made = (one for one in self.operations if any(out.name == bound.name for out in one.outputs))
        return next(made).attributes["val"]

    def write(self) -> None:
        """Save what was altered."""
        (self.path / MODEL).write_bytes(self.spec.SerializeToString())

    def alter_blob(self, value: Any, change: Callable[[bytes], bytes], *, at: int = 0, size: int = 2) -> None:
        """Change some bytes of a value that is stored in the file of weights."""
        data = bytearray((self.path / WEIGHTS).read_bytes())
        start = struct.unpack_from("<Q", data, value.blobFileValue.offset + 16)[0] + at
        data[start : start + size] = change(bytes(data[start : start + size]))
        (self.path / WEIGHTS).write_bytes(data)

    def proofs(self) -> tuple[GateState, GateState]:
        """Whether reading, and whether executing it, passes."""
        package = read_package(self.path)
        read = reading(package, self.emitted, self.program, self.recipe, SIZE)
        return read.state, emulation(package, self.program, self.recipe, self.integer).state


@pytest.fixture
def save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Saved]:
    """Saves the small network with its weights stored in one way, or in integers."""
    monkeypatch.setattr(stored_weights, "SMALLEST", 64)

    def saved(stored: Stored | None = None, *, ios: int = 17, precision: str = "float16") -> Saved:
        program, chosen = lower(small_network()), recipe("coreml", precision, coreml={"interface": "tensor"})
        integer: dict[str, Ranges] = {}
        if precision == "int8":
            integer = with_half_steps(full_plan(program).integer)
            program = with_steps(program, integer, half=True)
        elif stored is not None:
            storage = Storage(half=True, blocks=ios >= 18)
            program = with_stored_weights(program, {op.name: stored for op in storable(program)}, storage)
        emitted = emit(program, SIZE, half=True, picture=False, ios=ios, integer=integer)
        described = description_of(program, chosen, integer)
        path = tmp_path / "x.mlpackage"
        write_package({"main": emitted.program}, path, picture=False, ios=ios, description=described)
        return Saved(path, program, emitted, chosen, integer)

    return saved


def other(given: bytes) -> bytes:
    """Every bit turned."""
    return bytes(255 - one for one in given)


def largest(given: bytes) -> bytes:
    """A float16 number far from any weight."""
    return np.float16(9.0).tobytes()


@pytest.mark.parametrize(
    ("stored", "ios"),
    [
        (None, 17),
        (Stored.LINEAR_8, 17),
        (Stored.PALETTE_4, 17),
        (Stored.PALETTE_6, 17),
        (Stored.PALETTE_4, 18),
        (Stored.PALETTE_6, 18),
    ],
)
def test_unaltered_package_passes(save: Callable[..., Saved], stored: Stored | None, ios: int) -> None:
    """What is found below is the fault, not the package."""
    assert save(stored, ios=ios).proofs() == (GateState.PASSED, GateState.PASSED)


FAULTS: dict[str, tuple[Stored | None, int, str, str]] = {
    "a float weight": (None, 17, "conv", "weight"),
    "8-bit steps": (Stored.LINEAR_8, 17, "constexpr_affine_dequantize", "quantized_data"),
    "a scale": (Stored.LINEAR_8, 17, "constexpr_affine_dequantize", "scale"),
    "bits of indices": (Stored.PALETTE_4, 17, "constexpr_lut_to_dense", "indices"),
    "bits of 6-bit indices": (Stored.PALETTE_6, 17, "constexpr_lut_to_dense", "indices"),
    "an entry of a palette": (Stored.PALETTE_4, 17, "constexpr_lut_to_dense", "lut"),
    "bits of indices, iOS 18": (Stored.PALETTE_4, 18, "constexpr_lut_to_dense", "indices"),
    "an entry of a palette, iOS 18": (Stored.PALETTE_6, 18, "constexpr_lut_to_dense", "lut"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_wrong_weight_is_found_by_reading(save: Callable[..., Saved], fault: str) -> None:
    """Two bytes of the file of weights, whatever they mean, make other weights than the program's."""
    stored, ios, kind, argument = FAULTS[fault]
    saved = save(stored, ios=ios)
    change = largest if argument in ("lut", "scale") else other
    saved.alter_blob(saved.constant(_in_blob(saved, kind, argument), argument), change)
    assert saved.proofs()[0] is GateState.FAILED


def _in_blob(saved: Saved, kind: str, argument: str) -> Any:
    """The first operation of a kind whose argument lies in the file of weights."""

    def stored(op: Any) -> Iterator[str]:
        yield saved.constant(op, argument).WhichOneof("value")

    return next(op for op in saved.operations if op.type == kind and "blobFileValue" in stored(op))


def test_a_swapped_axis_is_found_by_executing(save: Callable[..., Saved]) -> None:
    """A softmax over the axis before the last has the same shape and the same weights, and gives another picture."""
    saved = save()
    value = saved.constant(saved.of("softmax", -1), "axis")
    value.immediateValue.tensor.ints.values[0] = 2
    saved.write()
    assert saved.proofs() == (GateState.PASSED, GateState.FAILED)


def planted(saved: Saved, kind: str, argument: str, alter: Callable[[Any], None]) -> str:
    """An operation gets an argument of its own, an altered copy of what it had; the message of what is said to that."""
    op = saved.of(kind)
    value = saved.constant(op, argument)
    del op.inputs[argument]
    op.inputs[argument].arguments.add().value.CopyFrom(value)
    alter(op.inputs[argument].arguments[0].value.immediateValue.tensor)
    saved.write()
    with pytest.raises(ArtifactError) as caught:
        saved.proofs()
    return caught.value.what


def test_an_interleaved_concatenation_is_refused(save: Callable[..., Saved]) -> None:
    """The same shape and weights, other channels: it is not executed as if it stood one after the other."""

    def true(tensor: Any) -> None:
        tensor.bools.values[:] = [True]

    said = planted(save(), "concat", "interleave", true)
    assert "the package's concat " in said
    assert said.endswith(" is not emulated with interleave = True")


def test_another_mode_is_refused(save: Callable[..., Saved]) -> None:
    """An approximation in place of what is emulated."""

    def tanh(tensor: Any) -> None:
        tensor.strings.values[:] = ["TANH_APPROXIMATION"]

    assert planted(save(), "gelu", "mode", tanh).endswith("with mode = TANH_APPROXIMATION")


def test_a_package_without_its_picture_is_refused(save: Callable[..., Saved]) -> None:
    """A description without inputs."""
    saved = save()
    del saved.spec.description.input[:]
    saved.write()
    with pytest.raises(ArtifactError, match="not a Core ML package of ours"):
        saved.proofs()


def test_an_overflow_is_found_by_executing(save: Callable[..., Saved]) -> None:
    """A bias, which is a weight too, of the largest float16 number makes infinities."""
    saved = save()
    op = next(op for op in saved.operations if op.type == "conv" and "bias" in op.inputs)
    value = saved.constant(op, "bias")
    size = value.type.tensorType.dimensions[0].constant.size
    if value.WhichOneof("value") == "blobFileValue":
        saved.alter_blob(value, lambda _: np.full(size, 65504, np.float16).tobytes(), size=2 * size)
    else:
        value.immediateValue.tensor.bytes.values = np.full(size, 65504, np.float16).tobytes()
        saved.write()
    assert saved.proofs() == (GateState.FAILED, GateState.FAILED)


def test_a_wrong_step_of_an_activation_is_found_by_executing(save: Callable[..., Saved]) -> None:
    """The scale of a quantize and not of its dequantize: weights are right, the picture is not."""
    saved = save(precision="int8")
    assert saved.proofs() == (GateState.PASSED, GateState.PASSED)
    value = saved.constant(saved.of("quantize", -1), "scale")
    halved = np.frombuffer(value.immediateValue.tensor.bytes.values, np.float16) / np.float16(4)
    value.immediateValue.tensor.bytes.values = halved.astype(np.float16).tobytes()
    saved.write()
    assert saved.proofs() == (GateState.PASSED, GateState.FAILED)
