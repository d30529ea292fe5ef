"""Core ML's arithmetic without a Mac: a package that was read back runs here, operation by operation, in PyTorch.

Values are float32; what the package types as float16 is rounded to it. Nothing of the program that the package was made
from is used, so a wrong shape, axis, constant or cast in the package shows. It is an emulation: sums run in float32,
and devices add in other orders and formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from moceir_edge.errors import ArtifactError
from moceir_edge.targets.mil_constants import as_typed, constant_of
from moceir_edge.targets.mlpackage import Package

Arguments = Mapping[str, Any]
"""Arguments of one operation by MIL's names: tensors, lists of numbers, numbers, texts."""


class MilExecutor:
    """Runs a package: inputs by name in, outputs by name out, as its MIL function has them (pictures in [0, 255])."""

    def __init__(self, package: Package) -> None:
        self._steps = package.operations
        self._outputs = [value.name for value in package.function.outputs]
        unknown = sorted({op.op_type for op in self._steps} - _COMPUTE.keys())
        if unknown:
            raise ArtifactError(f"the package uses {', '.join(unknown)}, which is not emulated", "run it on macOS")
        wanted = {value.name for op in self._steps for value in _operands(op)}
        self._constants = {name: constant_of(op) for name, op in package.constants.items() if name in wanted}
        self._last_use = _last_uses(self._steps, set(self._outputs))

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        """inputs: float32 arrays of the package's shapes."""
        values = {name: torch.from_numpy(array) for name, array in inputs.items()}
        with torch.inference_mode():
            for position, op in enumerate(self._steps):
                arguments = {name: self._argument(value, values) for name, value in op.inputs.items()}
                result = op.outputs[0]
                values[result.name] = as_typed(_COMPUTE[op.op_type](arguments), result)
                for name in self._last_use.get(position, ()):
                    del values[name]
        return {name: values[name].numpy() for name in self._outputs}

    def _argument(self, value: Any, values: Mapping[str, Tensor]) -> Any:
        if isinstance(value, list | tuple):
            return [self._argument(part, values) for part in value]
        return values[value.name] if value.name in values else self._constants[value.name]


def _operands(op: Any) -> Iterator[Any]:
    """Values that an operation reads, those of its lists too."""
    for value in op.inputs.values():
        yield from value if isinstance(value, list | tuple) else (value,)


def _last_uses(steps: list[Any], kept: set[str]) -> dict[int, list[str]]:
    last = {value.name: position for position, op in enumerate(steps) for value in _operands(op)}
    computed = {op.outputs[0].name for op in steps}
    uses: dict[int, list[str]] = {}
    for name, position in last.items():
        if name in computed and name not in kept:
            uses.setdefault(position, []).append(name)
    return uses


def _conv(a: Arguments) -> Tensor:
    assert a["pad_type"] == "custom"
    above, below, left, right = a["pad"]
    padded = functional.pad(a["x"], (left, right, above, below))
    return functional.conv2d(
        padded, a["weight"], a.get("bias"), stride=a["strides"], dilation=a["dilations"], groups=a["groups"]
    )


def _matmul(a: Arguments) -> Tensor:
    left = a["x"].transpose(-2, -1) if a["transpose_x"] else a["x"]
    return torch.matmul(left, a["y"].transpose(-2, -1) if a["transpose_y"] else a["y"])


def _slice(a: Arguments) -> Tensor:
    assert not any(any(a.get(mask) or ()) for mask in ("begin_mask", "end_mask", "squeeze_mask"))
    x: Tensor = a["x"]
    return x[tuple(slice(*bounds) for bounds in zip(a["begin"], a["end"], strict=True))]


def _pad(a: Arguments) -> Tensor:
    assert a["mode"] == "constant"
    pairs = list(zip(a["pad"][::2], a["pad"][1::2], strict=True))
    return functional.pad(a["x"], [side for pair in reversed(pairs) for side in pair], value=float(a["constant_val"]))


def _gelu(a: Arguments) -> Tensor:
    assert a["mode"] == "EXACT"
    return functional.gelu(a["x"])


def _quantize(a: Arguments) -> Tensor:
    """clip(round(x / scale)), halves to even; whole numbers, held as float32."""
    lowest, highest = {"int8": (-128, 127), "uint8": (0, 255)}[a["output_dtype"]]
    steps: Tensor = torch.round(a["input"] / a["scale"]) + a.get("zero_point", 0)
    return steps.clamp(lowest, highest)


def _dequantize(a: Arguments) -> Tensor:
    """One scale for all; a scale by channel is not read, so it fails here by its shape."""
    assert "axis" not in a
    return a["scale"] * (a["input"] - a.get("zero_point", 0))


_COMPUTE: dict[str, Callable[[Arguments], Tensor]] = {
    "add": lambda a: a["x"] + a["y"],
    "cast": lambda a: a["x"].float(),
    "clip": lambda a: a["x"].clamp(a["alpha"], a["beta"]),
    "concat": lambda a: torch.cat(a["values"], a["axis"]),
    "conv": _conv,
    "dequantize": _dequantize,
    "gelu": _gelu,
    "greater_equal": lambda a: a["x"] >= a["y"],
    "identity": lambda a: a["x"],
    "matmul": _matmul,
    "maximum": lambda a: torch.maximum(a["x"], torch.as_tensor(a["y"])),
    "mul": lambda a: a["x"] * a["y"],
    "pad": _pad,
    "pixel_shuffle": lambda a: functional.pixel_shuffle(a["x"], a["upscale_factor"]),
    "pixel_unshuffle": lambda a: functional.pixel_unshuffle(a["x"], a["downscale_factor"]),
    "quantize": _quantize,
    "real_div": lambda a: a["x"] / a["y"],
    "reduce_mean": lambda a: a["x"].mean(a["axes"], a["keep_dims"]),
    "reduce_sum_square": lambda a: (a["x"] * a["x"]).sum(a["axes"], a["keep_dims"]),
    "reshape": lambda a: a["x"].reshape(a["shape"]),
    "round": lambda a: a["x"].round(),
    "rsqrt": lambda a: 1 / torch.sqrt(a["x"] + a["epsilon"]),
    "sigmoid": lambda a: torch.sigmoid(a["x"]),
    "silu": lambda a: functional.silu(a["x"]),
    "slice_by_index": _slice,
    "softmax": lambda a: torch.softmax(a["x"], a["axis"]),
    "sqrt": lambda a: torch.sqrt(a["x"]),
    "sub": lambda a: a["x"] - a["y"],
    "transpose": lambda a: a["x"].permute(a["perm"]),
}
