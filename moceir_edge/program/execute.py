"""Running a program in PyTorch: in float32, or with float16 rounding after every operation, watched or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from moceir_edge.program.program import Kind, Operation, Program

Watcher = Callable[[Operation, tuple[Tensor, ...], Tensor], None]
Values = dict[str, Tensor]
"""Values that are alive between two operations, by name."""


class StaticNetwork(torch.nn.Module):
    """A program as a module: image (1, 3, H, W) in [0, 1], H and W multiples of 8 -> its outputs by name.

    half: round the constants and the result of every operation outside the float32 islands to float16, and what an
    operation outside them reads; sums run in float32, so a sum that overflows float16 shows as infinity in its result.
    """

    def __init__(self, program: Program, *, half: bool = False) -> None:
        super().__init__()
        self.program, self.half_precision = program, half
        self._last_use = _last_uses(program)
        self._constants = {
            op.name: {key: self._rounded(op, torch.from_numpy(array)) for key, array in op.constants.items()}
            for op in program.operations
        }

    def forward(
        self, image: Tensor, gates: Tensor | None = None, *, watch: Watcher | None = None
    ) -> Mapping[str, Tensor]:
        """Run; `watch` sees each operation with its inputs and result."""
        return self.finish(self.start(image, gates), 0, watch=watch)

    def start(self, image: Tensor, gates: Tensor | None = None) -> Values:
        """The values before the first operation."""
        given = {"image": image, "gates": gates}
        absent = [name for name in self.program.inputs if given[name] is None]
        assert not absent, f"input {absent[0]} is missing"
        return {name: value for name, value in given.items() if value is not None}

    def finish(self, values: Values, position: int, *, watch: Watcher | None = None) -> Mapping[str, Tensor]:
        """Run from an operation on (by position), with the values that are alive there; they are used up."""
        for current in range(position, len(self.program.operations)):
            self.advance(values, current, watch=watch)
        return {name: values[value] for name, value in self.program.outputs.items()}

    def advance(self, values: Values, position: int, *, watch: Watcher | None = None) -> None:
        """Run one operation: its result joins the values, what nobody reads any more leaves them."""
        op = self.program.operations[position]
        if op.kind is Kind.INPUT:
            return
        inputs = tuple(self._rounded(op, values[name]) for name in op.inputs)
        values[op.name] = self._rounded(op, self.step(op, inputs, self._constants[op.name]))
        if watch is not None:
            watch(op, inputs, values[op.name])
        for name in self._last_use.get(position, ()):
            del values[name]

    def step(self, op: Operation, inputs: tuple[Tensor, ...], constants: Mapping[str, Tensor]) -> Tensor:
        """One operation; a subclass may compute it in another number format."""
        return compute(op, inputs, constants)

    def _rounded(self, op: Operation, value: Tensor) -> Tensor:
        return value.half().float() if self.half_precision and not op.exact else value


def shapes(program: Program, height: int, width: int) -> dict[str, tuple[int, ...]]:
    """The shape of every value for a picture of height x width."""
    found: dict[str, tuple[int, ...]] = {}
    device = torch.device("meta")

    def watch(op: Operation, inputs: tuple[Tensor, ...], result: Tensor) -> None:
        del inputs
        found[op.name] = tuple(result.shape)

    image = torch.empty(1, 3, height, width, device=device)
    gates = torch.empty(1, len(program.layers), program.experts, device=device)
    found |= {"image": tuple(image.shape), "gates": tuple(gates.shape)}
    StaticNetwork(program)(image, gates, watch=watch)
    return found


def _last_uses(program: Program) -> dict[int, list[str]]:
    last: dict[str, int] = {}
    for position, op in enumerate(program.operations):
        for name in op.inputs:
            last[name] = position
    kept = set(program.outputs.values())
    uses: dict[int, list[str]] = {}
    for name, position in last.items():
        if name not in kept:
            uses.setdefault(position, []).append(name)
    return uses


def compute(op: Operation, inputs: tuple[Tensor, ...], constants: Mapping[str, Tensor]) -> Tensor:
    """The result of one operation; see the table in `program.py`."""
    constants = {name: constant.to(inputs[0].device) for name, constant in constants.items()}
    if op.kind in _BINARY:
        return _BINARY[op.kind](*_sides(inputs, constants))
    if op.kind is Kind.CONV:
        return _conv(inputs[0], constants, op.attributes["groups"])
    if op.kind is Kind.NORM:
        return _norm(inputs[0], constants["weight"], constants["bias"], op.attributes["epsilon"])
    return _FREE[op.kind](inputs, op.attributes)


def _conv(x: Tensor, constants: Mapping[str, Tensor], groups: int) -> Tensor:
    weight = constants["weight"]
    return functional.conv2d(x, weight, constants.get("bias"), padding=weight.shape[-1] // 2, groups=groups)


_BINARY: dict[Kind, Callable[[Tensor, Tensor], Tensor]] = {
    Kind.ADD: torch.add,
    Kind.SUB: torch.sub,
    Kind.MUL: torch.mul,
    Kind.DIV: torch.div,
    Kind.MATMUL: torch.matmul,
    Kind.MAXIMUM: torch.maximum,
    Kind.AT_LEAST: lambda a, b: (a >= b).to(a.dtype),
}


def _sides(inputs: tuple[Tensor, ...], constants: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    if "left" in constants:
        return constants["left"], inputs[0]
    if "right" in constants:
        return inputs[0], constants["right"]
    return inputs[0], inputs[1]


def _norm(x: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> Tensor:
    centred = x - x.mean(1, keepdim=True)
    deviation = torch.sqrt((centred * centred).mean(1, keepdim=True) + epsilon)
    return centred / deviation * weight[:, None, None] + bias[:, None, None]


def _windows(x: Tensor, window: int) -> Tensor:
    padded = functional.pad(x, (0, -x.shape[3] % window, 0, -x.shape[2] % window))
    rows, columns = padded.shape[2] // window, padded.shape[3] // window
    blocks = padded.reshape(-1, rows, window, columns, window).transpose(2, 3)
    return blocks.reshape(-1, rows * columns, window, window)


def _unwindows(x: Tensor, like: Tensor) -> Tensor:
    window = x.shape[-1]
    rows, columns = (-(-side // window) for side in like.shape[2:])
    blocks = x.reshape(-1, rows, columns, window, window).transpose(2, 3)
    whole = blocks.reshape(1, -1, rows * window, columns * window)
    return whole[:, :, : like.shape[2], : like.shape[3]]


_FREE: dict[Kind, Callable[[tuple[Tensor, ...], Mapping[str, Any]], Tensor]] = {
    Kind.SQRT: lambda x, _: torch.sqrt(x[0]),
    Kind.GELU: lambda x, _: functional.gelu(x[0]),
    Kind.SIGMOID: lambda x, _: torch.sigmoid(x[0]),
    Kind.FLOOR: lambda x, a: x[0].clamp_min(a["value"]),
    Kind.MEAN: lambda x, a: x[0].mean(a["axes"], keepdim=True),
    Kind.ENERGY: lambda x, a: (x[0] * x[0]).sum(a["axes"], keepdim=True),
    Kind.SOFTMAX: lambda x, a: torch.softmax(x[0], a["axis"]),
    Kind.CONCAT: lambda x, a: torch.cat(x, a["axis"]),
    Kind.SLICE: lambda x, a: x[0].narrow(a["axis"], a["start"], a["stop"] - a["start"]),
    Kind.TRANSPOSE: lambda x, _: x[0].transpose(-2, -1),
    Kind.RESHAPE: lambda x, a: x[0].reshape(a["shape"]),
    Kind.HEADS: lambda x, a: x[0].reshape(1, a["heads"], x[0].shape[1] // a["heads"], -1),
    Kind.PIXELS: lambda x, _: x[0].reshape(1, -1, *x[1].shape[2:]),
    Kind.WINDOWS: lambda x, a: _windows(x[0], a["window"]),
    Kind.UNWINDOWS: lambda x, _: _unwindows(x[0], x[1]),
    Kind.UNSHUFFLE: lambda x, _: functional.pixel_unshuffle(x[0], 2),
    Kind.SHUFFLE: lambda x, _: functional.pixel_shuffle(x[0], 2),
}
