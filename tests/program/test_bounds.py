"""What float16 would have to hold in one operation, also on the way to its result."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from moceir_edge.network.network import MoceIR
from moceir_edge.program import bounds
from moceir_edge.program.bounds import measure_bounds
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.lower import lower
from moceir_edge.program.program import REDUCTIONS, Builder, Kind, Operation, Program
from tests.golden import drawn_pictures

LIMIT = 16376.0


def bound(kind: Kind, image: Tensor, *, twice: bool = False, constants: Any = None, **attributes: Any) -> float:
    """Of one operation on the picture."""
    build = Builder()
    given = build.add(Kind.INPUT, "image")
    build.add(kind, "only", *([given, given] if twice else [given]), constants=constants, **attributes)
    program = Program(tuple(build.operations), {"restored": "only"}, (), 0)
    return measure_bounds(program, image, limit=LIMIT)[0]["only"]


def grey(value: float, *, size: tuple[int, int] = (8, 8)) -> Tensor:
    """(1, 3, H, W) of one value."""
    return torch.full((1, 3, *size), value)


@pytest.mark.parametrize(
    ("kind", "attributes", "expected"),
    [
        (Kind.ENERGY, {"axes": (2, 3)}, 64 * 16.0),
        (Kind.MEAN, {"axes": (2, 3)}, 64 * 4.0),
        (Kind.GELU, {}, 8.0),
        (Kind.SQRT, {}, 4.0),
        (Kind.SIGMOID, {}, 4.0),
        (Kind.SOFTMAX, {"axis": 3}, 8.0),
    ],
)
def test_steps_inside_an_operation_count(kind: Kind, attributes: dict[str, Any], expected: float) -> None:
    """A mean is a sum before it is divided; gelu doubles before it halves; eight exponentials of 0 make 8."""
    assert bound(kind, grey(4.0), **attributes) == pytest.approx(expected)


def test_a_norm_sums_squares() -> None:
    """Of 300, 0 and -300: 180000 on the way to numbers near 1."""
    image = torch.tensor([300.0, 0.0, -300.0]).reshape(1, 3, 1, 1).expand(1, 3, 8, 8)
    constants = {"weight": np.ones(3), "bias": np.zeros(3)}
    assert bound(Kind.NORM, image, constants=constants, epsilon=1e-5) == pytest.approx(180000)


def test_a_divisor_that_float16_loses_gives_infinity() -> None:
    """1e-9 is 0 in float16; so is the epsilon of a flat picture's norm."""
    assert bound(Kind.DIV, grey(1.0), constants={"right": np.array(1e-9)}) == np.inf
    norm = {"weight": np.ones(3), "bias": np.zeros(3)}
    assert bound(Kind.NORM, grey(0.5), constants=norm, epsilon=1e-12) == np.inf


def test_what_is_read_counts() -> None:
    """A large value that is made small has to be read first; a weight as well."""
    assert bound(Kind.MUL, grey(1e6), constants={"right": np.array(1e-6)}) == pytest.approx(1e6)
    weight = np.full((1, 3, 1, 1), 1e6)
    assert bound(Kind.CONV, grey(1e-9), constants={"weight": weight}, groups=1) == pytest.approx(1e6)


def test_no_number_is_infinity() -> None:
    """An operation that gives NaN is never below a limit."""
    assert bound(Kind.MUL, grey(np.nan), constants={"right": np.array(1.0)}) == np.inf


@pytest.mark.parametrize("side", [1, 3, 7])
@pytest.mark.parametrize("groups", [1, 6])
def test_bands_add_up_what_the_whole_does(monkeypatch: pytest.MonkeyPatch, side: int, groups: int) -> None:
    """Sums in narrow bands are those of the whole picture, and the rough bound is not below them."""
    monkeypatch.setattr(bounds, "BAND", 40)
    random = np.random.default_rng(side)
    constants = {
        "weight": random.standard_normal((6, 6 // groups, side, side)).astype(np.float32),
        "bias": random.standard_normal(6).astype(np.float32),
    }
    op = Operation("only", Kind.CONV, ("x",), constants, {"groups": groups})
    x = torch.from_numpy(random.standard_normal((1, 6, 24, 16)).astype(np.float32))
    weight, bias = (torch.from_numpy(constants[key]).abs().double() for key in ("weight", "bias"))
    whole = torch.nn.functional.conv2d(x.abs().double(), weight, bias, padding=side // 2, groups=groups)
    sharp = bounds._conv_sharp(op, (x,))
    assert sharp == pytest.approx(float(whole.max()), rel=1e-12)
    assert bounds._conv_rough(op, (x,)) >= sharp


def test_every_reduction_has_a_bound_of_its_own() -> None:
    """A new kind of operation that adds up is not bounded by its result alone."""
    assert bounds._SHARP.keys() >= REDUCTIONS


def test_nothing_is_below_what_float32_shows(golden_tiny: MoceIR) -> None:
    """Every operation outside the islands is bounded, by no less than its result; the largest one sharply."""
    program, picture = lower(golden_tiny), drawn_pictures(1)
    found, restored = measure_bounds(program, picture, limit=LIMIT)
    results: dict[str, float] = {}
    with torch.inference_mode():
        module = StaticNetwork(program)
        outputs = module(picture, watch=lambda op, _, result: results.update({op.name: float(result.abs().max())}))
    assert torch.equal(outputs["restored"], restored)
    islands = set(program.islands)
    assert found.keys() == results.keys() - islands
    assert all(found[name] >= results[name] for name in found)


def test_a_known_bound_saves_sums(golden_tiny: MoceIR) -> None:
    """With the largest one known, nothing below it is told apart, and nothing is above it."""
    program, picture = lower(golden_tiny), drawn_pictures(1)
    sharp, _ = measure_bounds(program, picture, limit=LIMIT)
    known = max(sharp.values())
    rough, _ = measure_bounds(program, picture, limit=LIMIT, known=known)
    assert max(rough.values()) <= known
    assert all(rough[name] >= sharp[name] for name in sharp)
