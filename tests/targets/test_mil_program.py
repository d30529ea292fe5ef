"""Each kind of operation, written as MIL, read back from a package and executed, against the program itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.program import Builder, Kind, Program
from moceir_edge.targets import coreml_library
from moceir_edge.targets.mil_execute import MilExecutor
from moceir_edge.targets.mil_program import emit
from moceir_edge.targets.mlpackage import Description, Package, read_package, write_package

pytestmark = pytest.mark.skipif(coreml_library.missing() is not None, reason=str(coreml_library.missing()))

HEIGHT, WIDTH = 24, 40
DESCRIPTION = Description("", "", "", "", {"image": "", "restored": ""}, {})
Write = Callable[[Builder, str], str]


def drawn(*shape: int, seed: int = 7) -> np.ndarray:
    """A constant without symmetry."""
    return np.random.default_rng(seed).standard_normal(shape) / np.sqrt(np.prod(shape[1:]))


def conv(b: Builder, x: str, channels: int = 8, inputs: int = 3, side: int = 3, **more: object) -> str:
    """A convolution that makes some channels of the picture."""
    constants = {"weight": drawn(channels, inputs, side, side), "bias": drawn(channels)}
    return b.add(Kind.CONV, "made", x, constants=constants, groups=1, **more)  # type: ignore[arg-type]


def made(
    kind: Kind, *, exact: bool = False, constants: dict[str, np.ndarray] | None = None, **attributes: object
) -> Write:
    """An operation of `kind` on 8 channels."""
    return lambda b, x: b.add(kind, "tried", conv(b, x), constants=constants, exact=exact, **attributes)


def both(kind: Kind) -> Write:
    """An operation on two different values; b is one column, to be broadcast."""

    def write(b: Builder, x: str) -> str:
        left = conv(b, x)
        right = b.add(Kind.MEAN, "column", b.add(Kind.MUL, "squares", left, left), axes=(3,))
        return b.add(kind, "tried", left, right)

    return write


def turned(b: Builder, x: str) -> str:
    """q k^T v by heads: a transposed right side, then back to pixels."""
    x = conv(b, x)
    q = b.add(Kind.HEADS, "q", x, heads=2)
    k = b.add(Kind.HEADS, "k", b.add(Kind.SIGMOID, "gated", x), heads=2)
    product = b.add(Kind.MATMUL, "product", q, b.add(Kind.TRANSPOSE, "k.turned", k))
    scaled = b.add(Kind.MUL, "scaled", product, constants={"right": drawn(2, 1, 1)})
    weights = b.add(Kind.SOFTMAX, "weights", scaled, axis=3)
    return b.add(Kind.PIXELS, "tried", b.add(Kind.MATMUL, "mixed", weights, q), x)


def windowed(window: int) -> Write:
    """In windows: constant matrices on both sides, a part of rows and one of columns, joined again, and back."""

    def write(b: Builder, x: str) -> str:
        x = conv(b, x)
        w = b.add(Kind.WINDOWS, "windows", x, window=window)
        w = b.add(Kind.MATMUL, "left", w, constants={"left": drawn(2 * window, window)})
        w = b.add(Kind.MATMUL, "right", w, constants={"right": drawn(window, window + 3)})
        top = b.add(Kind.SLICE, "top", w, axis=2, start=1, stop=window // 2 + 1)
        low = b.add(Kind.SLICE, "low", w, axis=2, start=window, stop=window + window // 2)
        w = b.add(Kind.CONCAT, "joined", low, top, axis=2)
        w = b.add(Kind.SLICE, "narrow", w, axis=3, start=2, stop=window + 2)
        return b.add(Kind.UNWINDOWS, "tried", w, x, window=window)

    return write


def unshuffled(b: Builder, x: str) -> str:
    """Channels in the order of pixel-unshuffle, made visible by a convolution that weighs each differently."""
    return conv(b, b.add(Kind.UNSHUFFLE, "unshuffled", x), inputs=12, side=1)


def pooled(b: Builder, x: str) -> str:
    """Routing arithmetic on (1, C, 1, 1) and a change of shape."""
    scores = b.add(Kind.SOFTMAX, "scores", b.add(Kind.MEAN, "pooled", conv(b, x), axes=(2, 3)), axis=1)
    parts = [b.add(Kind.SLICE, "part", scores, axis=1, start=i, stop=i + 1) for i in range(3)]
    best = b.add(Kind.MAXIMUM, "best", parts[0], b.add(Kind.MAXIMUM, "best", parts[1], parts[2]))
    masks = [b.add(Kind.AT_LEAST, "chosen", part, best) for part in parts]
    return b.add(Kind.RESHAPE, "tried", b.add(Kind.CONCAT, "masks", *masks, scores, axis=1), shape=(1, 11))


CASES: dict[str, Write] = {
    "conv": conv,
    "conv without bias": lambda b, x: b.add(Kind.CONV, "tried", x, constants={"weight": drawn(5, 3, 1, 1)}, groups=1),
    "depthwise conv": made(Kind.CONV, constants={"weight": drawn(8, 1, 7, 7), "bias": drawn(8)}, groups=8),
    "add": both(Kind.ADD),
    "sub": both(Kind.SUB),
    "mul": both(Kind.MUL),
    "div": both(Kind.DIV),
    "maximum": both(Kind.MAXIMUM),
    "at least": both(Kind.AT_LEAST),
    "add a number": made(Kind.ADD, constants={"right": np.array(0.3)}),
    "mul by channels": made(Kind.MUL, constants={"right": drawn(8, 1, 1)}),
    "sqrt": lambda b, x: b.add(Kind.SQRT, "tried", b.add(Kind.SIGMOID, "positive", conv(b, x))),
    "gelu": made(Kind.GELU),
    "sigmoid": made(Kind.SIGMOID),
    "floor": made(Kind.FLOOR, value=0.1),
    "norm": made(
        Kind.NORM,
        constants={"weight": 1 + drawn(8, 1)[:, 0], "bias": drawn(8, 1, seed=3)[:, 0]},
        epsilon=1e-5,
        exact=True,
    ),
    "mean": made(Kind.MEAN, axes=(2, 3)),
    "mean over channels": made(Kind.MEAN, axes=(1,)),
    "energy": made(Kind.ENERGY, axes=(3,)),
    "softmax": made(Kind.SOFTMAX, axis=1),
    "concat": lambda b, x: b.add(Kind.CONCAT, "tried", conv(b, x), x, axis=1),
    "slice": made(Kind.SLICE, axis=1, start=3, stop=7),
    "transpose": made(Kind.TRANSPOSE),
    "attention": turned,
    "windows of 4": windowed(4),
    "windows of 16, padded": windowed(16),
    "windows of 32, padded": windowed(32),
    "unshuffle": unshuffled,
    "shuffle": made(Kind.SHUFFLE),
    "routing": pooled,
}


def program_of(write: Write) -> Program:
    """A program with one output."""
    builder = Builder()
    result = write(builder, builder.add(Kind.INPUT, "image"))
    return Program(tuple(builder.operations), {"restored": result}, (), 0)


def package_of(program: Program, folder: Path, *, half: bool, picture: bool = False) -> Package:
    """The program as a package, read back."""
    emitted = emit(program, (HEIGHT, WIDTH), half=half, picture=picture, ios=17)
    write_package({"main": emitted.program}, folder / "x.mlpackage", picture=picture, ios=17, description=DESCRIPTION)
    return read_package(folder / "x.mlpackage")


def image(seed: int = 1) -> np.ndarray:
    """A picture in [0, 1]."""
    return np.random.default_rng(seed).random((1, 3, HEIGHT, WIDTH), np.float32)


@pytest.mark.parametrize("case", CASES)
def test_package_computes_what_the_program_says(case: str, tmp_path: Path) -> None:
    """In float32 the package gives the program's result, on a picture with different sides."""
    program = program_of(CASES[case])
    result = MilExecutor(package_of(program, tmp_path, half=False)).run({"image": image()})["restored"]
    expected = StaticNetwork(program)(torch.from_numpy(image()))["restored"].numpy()
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(result.reshape(expected.shape), expected, atol=2e-6, rtol=2e-5)


def test_every_kind_is_tried() -> None:
    """No kind of operation is left out above."""
    tried = {op.kind for write in CASES.values() for op in program_of(write).operations}
    assert tried == set(Kind)


@pytest.mark.parametrize("case", ["conv", "gelu", "attention", "windows of 16, padded", "norm"])
def test_half_rounds_what_the_program_rounds(case: str, tmp_path: Path) -> None:
    """In float16 outside the islands, package and program round the same values."""
    program = program_of(CASES[case])
    result = MilExecutor(package_of(program, tmp_path, half=True)).run({"image": image()})["restored"]
    expected = StaticNetwork(program, half=True)(torch.from_numpy(image()))["restored"].numpy()
    np.testing.assert_allclose(result, expected, atol=2e-3 * np.abs(expected).max())
    assert not np.array_equal(result, StaticNetwork(program)(torch.from_numpy(image()))["restored"].numpy())


def test_casts_stand_at_the_borders_of_islands(tmp_path: Path) -> None:
    """An island reads and gives float32, and a value is cast once for all who read it."""
    builder = Builder()
    x = conv(builder, builder.add(Kind.INPUT, "image"))
    squares = builder.add(Kind.MUL, "squares", x, x, exact=True)
    total = builder.add(
        Kind.ENERGY, "total", builder.add(Kind.ADD, "sum", squares, x, exact=True), axes=(3,), exact=True
    )
    last = builder.add(Kind.MUL, "last", total, x)
    package = package_of(Program(tuple(builder.operations), {"restored": last}, (), 0), tmp_path, half=True)
    formats = {op.name: op.outputs[0].dtype.__name__ for op in package.operations}
    assert {formats[name] for name in ("squares", "sum", "total")} == {"fp32"}
    assert {formats[name] for name in ("made", "last")} == {"fp16"}
    casts = [op.inputs["x"].name for op in package.operations if op.op_type == "cast"]
    assert sorted(casts) == ["image", "last", "made", "total"]


def test_names_that_collide_stay_apart(tmp_path: Path) -> None:
    """Dots become underscores without two values sharing a name, and outputs keep theirs."""
    builder = Builder()
    x = builder.add(Kind.INPUT, "image")
    x = builder.add(Kind.ADD, "a.b", x, constants={"right": np.array(1.0)})
    x = builder.add(Kind.ADD, "a_b", x, constants={"right": np.array(2.0)})
    program = Program(tuple(builder.operations), {"restored": x}, (), 0)
    package = package_of(program, tmp_path, half=False)
    assert set(package.shapes) == {"image", "restored"}
    np.testing.assert_allclose(MilExecutor(package).run({"image": image()})["restored"], image() + 3, rtol=1e-6)


def test_picture_is_scaled_rounded_and_clipped_inside(tmp_path: Path) -> None:
    """0 to 255 goes in, and whole numbers of the same range come out, clipped at both ends."""
    builder = Builder()
    x = builder.add(Kind.ADD, "restored", builder.add(Kind.INPUT, "image"), constants={"right": np.array(-0.4)})
    x = builder.add(Kind.MUL, "doubled", x, constants={"right": np.array(2.0)})
    package = package_of(Program(tuple(builder.operations), {"restored": x}, (), 0), tmp_path, half=False, picture=True)
    given = np.round(image() * 255)
    result = MilExecutor(package).run({"image": given})["restored"]
    expected = np.clip(np.round(255 * (2 * (given.astype(np.float64) / 255 - 0.4))), 0, 255)
    assert package.picture
    assert {0.0, 255.0} <= set(result.ravel().tolist())
    assert np.abs(result - expected).max() <= 1
    assert np.mean(result != expected) < 1e-3
