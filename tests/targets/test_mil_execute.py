"""The executor of packages, against coremltools' own evaluation of constants and against written-out definitions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from moceir_edge.errors import ArtifactError
from moceir_edge.targets import coreml_library
from moceir_edge.targets.mil_execute import MilExecutor
from moceir_edge.targets.mlpackage import Description, read_package, write_package

pytestmark = pytest.mark.skipif(coreml_library.missing() is not None, reason=str(coreml_library.missing()))

SHAPE = (1, 4, 6, 10)
DESCRIPTION = Description("", "", "", "", {"image": "", "restored": ""}, {})
Call = Callable[[Any, Any], Any]


def drawn(*shape: int, seed: int = 5) -> np.ndarray:
    """Numbers without symmetry."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def executed(call: Call, folder: Path, x: np.ndarray) -> np.ndarray:
    """The result of one operation, from a package that was written and read back."""
    coreml_library.load()
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import Function, Program

    with Function({"image": Builder.placeholder(shape=x.shape)}, opset_version=target()) as function:
        result = Builder.cast(x=call(Builder, function.inputs["image"]), dtype="fp32", name="restored")
        function.set_outputs([result])
    program = Program()
    program.add_function("main", function)
    write_package({"main": program}, folder / "x.mlpackage", picture=False, ios=17, description=DESCRIPTION)
    return MilExecutor(read_package(folder / "x.mlpackage")).run({"image": x})["restored"]


def evaluated(call: Call, x: np.ndarray) -> np.ndarray:
    """The result of one operation as coremltools folds it on a constant."""
    coreml_library.load()
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import Function

    with Function({}, opset_version=target()) as function:
        result = call(Builder, Builder.const(val=x))
        function.set_outputs([result])
    assert result.val is not None, "coremltools does not fold this operation"
    return np.asarray(result.val, np.float32)


def target() -> Any:
    """The opset of iOS 17."""
    return coreml_library.load().target.iOS17


FOLDED: dict[str, Call] = {
    "add": lambda mb, x: mb.add(x=x, y=drawn(1, 4, 1, 1)),
    "sub": lambda mb, x: mb.sub(x=x, y=drawn(6, 1)),
    "mul": lambda mb, x: mb.mul(x=x, y=drawn(1, 4, 1, 1)),
    "real_div": lambda mb, x: mb.real_div(x=x, y=drawn(10)),
    "maximum": lambda mb, x: mb.maximum(x=x, y=np.float32(0.2)),
    "greater_equal": lambda mb, x: mb.greater_equal(x=x, y=drawn(1, 4, 1, 1)),
    "clip": lambda mb, x: mb.clip(x=x, alpha=np.float32(-0.5), beta=np.float32(0.25)),
    "round": lambda mb, x: mb.round(x=mb.mul(x=x, y=np.float32(3))),
    "sigmoid": lambda mb, x: mb.sigmoid(x=x),
    "sqrt": lambda mb, x: mb.sqrt(x=mb.mul(x=x, y=x)),
    "rsqrt": lambda mb, x: mb.rsqrt(x=mb.mul(x=x, y=x), epsilon=np.float32(0.1)),
    "gelu": lambda mb, x: mb.gelu(x=x, mode="EXACT"),
    "softmax": lambda mb, x: mb.softmax(x=x, axis=1),
    "reduce_mean": lambda mb, x: mb.reduce_mean(x=x, axes=[1], keep_dims=True),
    "reduce_sum_square": lambda mb, x: mb.reduce_sum_square(x=x, axes=[2, 3], keep_dims=True),
    "matmul": lambda mb, x: mb.matmul(x=x, y=drawn(1, 1, 10, 3)),
    "matmul, turned": lambda mb, x: mb.matmul(x=drawn(4, 7, 10), y=x, transpose_y=True),
    "concat": lambda mb, x: mb.concat(values=[x, drawn(1, 2, 6, 10)], axis=1),
    "reshape": lambda mb, x: mb.reshape(x=x, shape=[4, 2, 3, 2, 5]),
    "transpose": lambda mb, x: mb.transpose(x=mb.reshape(x=x, shape=[4, 2, 3, 2, 5]), perm=[0, 1, 3, 2, 4]),
    "slice_by_index": lambda mb, x: mb.slice_by_index(x=x, begin=[0, 1, 0, 3], end=[1, 3, 6, 8]),
    "pad": lambda mb, x: mb.pad(x=x, pad=[0, 0, 0, 0, 0, 2, 0, 5], mode="constant", constant_val=np.float32(0)),
    "quantize": lambda mb, x: mb.quantize(input=x, scale=np.float32(0.01), output_dtype="int8"),
    "cast": lambda mb, x: mb.cast(x=x, dtype="fp16"),
    "identity": lambda mb, x: mb.identity(x=x),
}


@pytest.mark.parametrize("name", FOLDED)
def test_operation_agrees_with_coremltools(name: str, tmp_path: Path) -> None:
    """Our reading of an operation is the one that coremltools folds constants with."""
    x = drawn(*SHAPE)
    np.testing.assert_allclose(executed(FOLDED[name], tmp_path, x), evaluated(FOLDED[name], x), atol=1e-6, rtol=1e-5)


def test_convolution_by_its_definition(tmp_path: Path) -> None:
    """Grouped convolution, written out as a sum over taps."""
    x, weight, bias = drawn(*SHAPE), drawn(6, 2, 3, 3), drawn(6)
    pad = [1] * 4
    result = executed(
        lambda mb, v: mb.conv(x=v, weight=weight, bias=bias, pad_type="custom", pad=pad, groups=2), tmp_path, x
    )
    padded = np.pad(x[0], ((0, 0), (1, 1), (1, 1)))
    expected = np.zeros((6, 6, 10))
    for o in range(6):
        for i in range(2):
            for row in range(3):
                for column in range(3):
                    part = padded[o // 3 * 2 + i, row : row + 6, column : column + 10]
                    expected[o] += weight[o, i, row, column] * part
    np.testing.assert_allclose(result[0], expected + bias[:, None, None], atol=1e-5)


def test_shuffles_by_their_definition(tmp_path: Path) -> None:
    """Channel c of the shuffled picture takes pixel (i, j) of each 2x2 block from channel 4 c + 2 i + j."""
    x = drawn(1, 8, 3, 5)
    expected = np.zeros((1, 2, 6, 10), np.float32)
    for c in range(2):
        for i in range(2):
            for j in range(2):
                expected[:, c, i::2, j::2] = x[:, 4 * c + 2 * i + j]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    shuffled = executed(lambda mb, v: mb.pixel_shuffle(x=v, upscale_factor=2), tmp_path / "a", x)
    back = executed(lambda mb, v: mb.pixel_unshuffle(x=v, downscale_factor=np.uint32(2)), tmp_path / "b", expected)
    np.testing.assert_array_equal(shuffled, expected)
    np.testing.assert_array_equal(back, x)


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning", "ignore:Output:UserWarning")
def test_coremltools_takes_the_same_operations_for_pytorchs_shuffles() -> None:
    """coremltools turns PyTorch's pixel-(un)shuffle into these very operations, so their channel order is PyTorch's."""
    ct = coreml_library.load()

    class Shuffles(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.pixel_shuffle(torch.nn.functional.pixel_unshuffle(x, 2), 2)

    x = torch.from_numpy(drawn(1, 3, 6, 10))
    with coreml_library.without_progress_bars():
        program = ct.convert(
            torch.jit.trace(Shuffles(), x),
            inputs=[ct.TensorType(shape=x.shape)],
            convert_to="milinternal",
            minimum_deployment_target=ct.target.iOS17,
            compute_precision=ct.precision.FLOAT32,
        )
    found = [op for op in program.functions["main"].operations if op.op_type not in ("const", "cast")]
    assert [op.op_type for op in found] == ["pixel_unshuffle", "pixel_shuffle"]


def test_steps_by_their_definition(tmp_path: Path) -> None:
    """Whole numbers from -128 to 127, halves to even, times the step; what is beyond saturates."""
    x = np.array([[0.25, 0.75, -0.25, -64.5, 1000, -1000, 3.1]], np.float32)
    step = np.float32(0.5)

    def through(mb: Any, v: Any) -> Any:
        return mb.dequantize(input=mb.quantize(input=v, scale=step, output_dtype="int8"), scale=step)

    assert executed(through, tmp_path, x).tolist() == [[0.0, 1.0, -0.0, -64.0, 63.5, -64.0, 3.0]]


def test_half_results_are_rounded(tmp_path: Path) -> None:
    """What MIL types as float16 is rounded, and overflows where float16 does."""
    x = np.array([[1.0002, 300.0]], np.float32)
    square = executed(lambda mb, v: mb.mul(x=mb.cast(x=v, dtype="fp16"), y=np.float16([[1, 300]])), tmp_path, x)
    assert square.tolist() == [[1.0, np.inf]]


REFUSED: dict[str, tuple[Call, str]] = {
    "concat": (lambda mb, x: mb.concat(values=[x, x], axis=1, interleave=True), "interleave = True"),
    "stride": (lambda mb, x: mb.slice_by_index(x=x, begin=[0] * 4, end=[1, 4, 6, 10], stride=[1, 1, 2, 1]), "stride"),
    "mask": (
        lambda mb, x: mb.slice_by_index(x=x, begin=[0, 0, 1, 0], end=[1, 4, 6, 10], begin_mask=[False] * 3 + [True]),
        "begin_mask",
    ),
    "cast": (lambda mb, x: mb.cast(x=x, dtype="int32"), "dtype = int32"),
    "pad": (lambda mb, x: mb.pad(x=x, pad=[1, 1], mode="reflect"), "mode = reflect"),
    "conv": (lambda mb, x: mb.conv(x=x, weight=drawn(2, 4, 3, 3), pad_type="same"), "pad_type = same"),
    "axis": (
        lambda mb, x: mb.quantize(input=x, scale=np.float32([1, 2, 3, 4]), axis=1, output_dtype="int8"),
        "quantize",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_computed_as_it_stands_is_refused(name: str, tmp_path: Path) -> None:
    """An argument that changes the result, and is none of those that are computed, is named with its operation."""
    call, said = REFUSED[name]
    with pytest.raises(
        ArtifactError, match=f"is not emulated .*{said}" if said != "quantize" else "package's quantize"
    ):
        executed(call, tmp_path, drawn(*SHAPE))


def test_unknown_operation_is_named(tmp_path: Path) -> None:
    """A package with something that is not emulated is refused by name, not computed wrongly."""
    with pytest.raises(ArtifactError, match="erf"):
        executed(lambda mb, v: mb.erf(x=v), tmp_path, drawn(2, 3))
