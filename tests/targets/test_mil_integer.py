"""Convolutions in 8-bit integers: written, read back, counted and executed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from moceir_edge.compress.ranges import Ranges
from moceir_edge.compress.rounding import INT8, HalfSteps
from moceir_edge.compress.simulation import QuantizedNetwork
from moceir_edge.compress.stored_weights import with_steps
from moceir_edge.program.program import Builder, Kind, Program
from moceir_edge.targets import coreml_library
from moceir_edge.targets.mil_execute import MilExecutor
from moceir_edge.targets.mil_integer import in_integers, with_half_steps
from moceir_edge.targets.mil_program import emit
from moceir_edge.targets.mlpackage import Description, Package, read_package, write_package

pytestmark = pytest.mark.skipif(coreml_library.missing() is not None, reason=str(coreml_library.missing()))

DESCRIPTION = Description("", "", "", "", {"image": "", "restored": ""}, {})
SIZE = (8, 24)
INTEGER = with_half_steps(
    {
        "first": Ranges(input=1.0, output=3.0),
        "second": Ranges(input=3.0, output=5.0),
        "third": Ranges(input=2.5, output=4.0),
    }
)


def chain() -> Program:
    """A convolution, a depthwise one that reads its steps, a GELU in floats, and a third."""
    draw = np.random.default_rng(3).standard_normal
    builder = Builder()
    x = builder.add(Kind.INPUT, "image")
    x = builder.add(Kind.CONV, "first", x, constants={"weight": draw((8, 3, 3, 3)) / 4, "bias": draw(8)}, groups=1)
    x = builder.add(Kind.CONV, "second", x, constants={"weight": draw((8, 1, 3, 3))}, groups=8)
    x = builder.add(Kind.GELU, "gelu", x)
    x = builder.add(Kind.CONV, "third", x, constants={"weight": draw((3, 8, 1, 1)) / 2, "bias": draw(3)}, groups=1)
    return Program(tuple(builder.operations), {"restored": x}, (), 0)


def package_of(program: Program, integer: dict[str, Ranges], folder: Path, *, half: bool = True) -> Package:
    """Read back."""
    emitted = emit(program, SIZE, half=half, picture=False, ios=17, integer=integer)
    path = folder / "x.mlpackage"
    write_package({"main": emitted.program}, path, picture=False, ios=17, description=DESCRIPTION)
    return read_package(path)


@pytest.mark.parametrize("half", [False, True])
def test_package_computes_what_was_simulated(half: bool, tmp_path: Path) -> None:
    """Steps of inputs, weights and results are the simulation's: nearly all values are equal, none is far.

    What is left are steps next to each other, where sums were added in another order.
    """
    package = package_of(with_steps(chain(), INTEGER, half=half), INTEGER, tmp_path, half=half)
    rounding = HalfSteps() if half else INT8
    image = np.random.default_rng(5).random((1, 3, *SIZE), np.float32)
    result = MilExecutor(package).run({"image": image})["restored"]
    with torch.inference_mode():
        simulated = QuantizedNetwork(chain(), INTEGER, rounding=rounding, half=half)
        expected = simulated(torch.from_numpy(image))["restored"].numpy()
    np.testing.assert_allclose(result, expected, atol=2.01 * INTEGER["third"].output / 127)
    assert np.mean(result == expected) > 0.98
    floats = MilExecutor(package_of(chain(), {}, tmp_path / "floats", half=half)).run({"image": image})["restored"]
    assert np.abs(floats - expected).max() > 0.01


def test_integers_are_counted_in_what_was_read_back(tmp_path: Path) -> None:
    """All three convolutions, and steps that a value is on already are not put on it again."""
    package = package_of(with_steps(chain(), INTEGER, half=True), INTEGER, tmp_path)
    kinds = [op.op_type for op in package.operations]
    assert in_integers(package) == {"first", "second", "third"}
    assert (kinds.count("quantize"), kinds.count("dequantize")) == (5, 5)


def test_a_convolution_is_not_counted_without_steps_all_around(tmp_path: Path) -> None:
    """Float weights, or an input that does not come from steps, make it a float convolution."""
    some = {"first": INTEGER["first"]}
    assert in_integers(package_of(chain(), INTEGER, tmp_path)) == set()
    assert in_integers(package_of(with_steps(chain(), INTEGER, half=True), some, tmp_path / "some")) == {"first"}


def test_half_steps_hold_the_range_and_are_no_denormals() -> None:
    """A step is a float16 number, at most 0.1 % larger than needed, or the smallest that devices do not take for 0."""
    found = with_half_steps({"a": Ranges(input=0.3, output=1e-9)})["a"]
    steps = np.array([found.input, found.output]) / 127
    np.testing.assert_array_equal(steps.astype(np.float16), steps)
    assert 0.3 <= found.input <= 0.3 * 1.001
    assert steps[1] == np.finfo(np.float16).smallest_normal
