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


class Arguments:
    """Arguments of one operation by MIL's names: tensors, lists of numbers, numbers, texts.

    Each has to be read, or to be what is computed here; anything else is an ArtifactError, so that no argument of a
    package is overlooked.
    """

    def __init__(self, op: Any, values: Mapping[str, Any]) -> None:
        self._op, self._values = op, values
        self._unread = set(values)

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            raise self.refused(f"without {name}")
        return self.get(name)

    def get(self, name: str, otherwise: Any = None) -> Any:
        """The argument, or what stands for it where there is none."""
        self._unread.discard(name)
        return self._values.get(name, otherwise)

    def require(self, name: str, *allowed: Any) -> Any:
        """The argument, which is one of those that are computed; None: where there is none."""
        value = self.get(name)
        if value not in allowed:
            raise self.refused(f"with {name} = {value}")
        return value

    def require_each(self, name: str, allowed: int) -> None:
        """Every entry of a list is the one that is computed, or there is no list."""
        value = self.get(name)
        if any(one != allowed for one in value or ()):
            raise self.refused(f"with {name} = {value}")

    def require_all_read(self) -> None:
        """Nothing was overlooked."""
        for name in sorted(self._unread):
            raise self.refused(f"with {name} = {self._values[name]}")

    def refused(self, what: str) -> ArtifactError:
        """An error that names the operation."""
        return ArtifactError(
            f"the package's {self._op.op_type} {self._op.outputs[0].name} is not emulated {what}",
            "export again, or run it on macOS",
        )


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
                values[op.outputs[0].name] = _computed(op, Arguments(op, arguments))
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


def _computed(op: Any, arguments: Arguments) -> Tensor:
    try:
        result = _COMPUTE[op.op_type](arguments)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:  # what PyTorch raises at what does not fit
        raise arguments.refused(f"as it stands: {' '.join(str(error).split())[:200]}") from error
    arguments.require_all_read()
    return as_typed(result, op.outputs[0])


def _conv(a: Arguments) -> Tensor:
    a.require("pad_type", "custom")
    above, below, left, right = a["pad"]
    padded = functional.pad(a["x"], (left, right, above, below))
    return functional.conv2d(
        padded, a["weight"], a.get("bias"), stride=a["strides"], dilation=a["dilations"], groups=a["groups"]
    )


def _matmul(a: Arguments) -> Tensor:
    left = a["x"].transpose(-2, -1) if a["transpose_x"] else a["x"]
    return torch.matmul(left, a["y"].transpose(-2, -1) if a["transpose_y"] else a["y"])


def _slice(a: Arguments) -> Tensor:
    for mask in ("begin_mask", "end_mask", "squeeze_mask"):
        a.require_each(mask, False)
    a.require_each("stride", 1)
    x: Tensor = a["x"]
    return x[tuple(slice(*bounds) for bounds in zip(a["begin"], a["end"], strict=True))]


def _pad(a: Arguments) -> Tensor:
    a.require("mode", "constant")
    pairs = list(zip(a["pad"][::2], a["pad"][1::2], strict=True))
    return functional.pad(a["x"], [side for pair in reversed(pairs) for side in pair], value=float(a["constant_val"]))


def _gelu(a: Arguments) -> Tensor:
    a.require("mode", "EXACT")
    return functional.gelu(a["x"])


def _cast(a: Arguments) -> Tensor:
    """To float16 as its result is typed; whole numbers would be cut off."""
    a.require("dtype", "fp16", "fp32")
    x: Tensor = a["x"]
    return x.float()


def _concat(a: Arguments) -> Tensor:
    a.require("interleave", False, None)
    return torch.cat(a["values"], a["axis"])


def _quantize(a: Arguments) -> Tensor:
    """clip(round(x / scale)), halves to even; whole numbers, held as float32."""
    lowest, highest = (-128, 127) if a.require("output_dtype", "int8", "uint8") == "int8" else (0, 255)
    steps: Tensor = torch.round(a["input"] / a["scale"]) + a.get("zero_point", 0)
    return steps.clamp(lowest, highest)


def _dequantize(a: Arguments) -> Tensor:
    """One scale for all; the axis of scales by channel is not read, and so refused."""
    return a["scale"] * (a["input"] - a.get("zero_point", 0))


_COMPUTE: dict[str, Callable[[Arguments], Tensor]] = {
    "add": lambda a: a["x"] + a["y"],
    "cast": _cast,
    "clip": lambda a: a["x"].clamp(a["alpha"], a["beta"]),
    "concat": _concat,
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
