"""The largest number that float16 would have to hold in an operation: results, what is read, and sums on the way.

A sum is bounded by the sum of its terms' magnitudes, in float64, so whatever the order of summation. Operations that a
kernel computes in steps are bounded in every step:

conv            sum |w||x| + |b|, and |w|
matmul          sum |a||b|
mean            sum |x| over the axes, before any division
energy          sum x^2
norm            the same for the mean and for the squares; then by the deviation, the weight and the bias
softmax         x less its largest, and the sum of their exponentials
gelu            x (1 + erf), halved last: 2 |x|
div sqrt        a divisor that float16 rounds to 0 gives infinity
all others      their results: a sigmoid's exponential may become infinite, which gives the 0 it stands for
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf, isnan

import torch
from torch import Tensor
from torch.nn import functional

from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.program import Kind, Operation, Program

BAND = 2**17
"""Pixels of one float64 pass: what keeps a 1920x1080 picture of the size S below 6 GB."""

Inputs = tuple[Tensor, ...]


def measure_bounds(
    program: Program, image: Tensor, *, limit: float, known: float = 0.0
) -> tuple[dict[str, float], Tensor]:
    """Bounds by name of the operations outside the islands, and the restored picture (1, 3, H, W) in float32.

    image: (1, 3, H, W). limit: what counts as too large. A sum is first bounded from its terms' largest factors, and
    added up only where that is beyond the largest found so far; known: a bound that need not be told from smaller ones,
    such as that of a smaller picture of the same kind.
    """
    watch = _Watch(limit, known)
    with torch.inference_mode():
        outputs = StaticNetwork(program)(image, watch=watch)
    return watch.bounds, outputs["restored"]


class _Watch:
    def __init__(self, limit: float, known: float) -> None:
        self.limit, self.largest = limit, min(known, limit)
        self.bounds: dict[str, float] = {}

    def __call__(self, op: Operation, inputs: Inputs, result: Tensor) -> None:
        if op.exact:
            return
        plain = max(_largest(value) for value in (result, *inputs))
        bound = _ROUGH[op.kind](op, inputs) if op.kind in _ROUGH else 0.0
        if bound > max(plain, self.largest):
            bound = _SHARP[op.kind](op, inputs)
        bound = max(plain, bound)
        self.bounds[op.name] = bound
        if bound <= self.limit:
            self.largest = max(self.largest, bound)


def _largest(x: Tensor) -> float:
    """Largest magnitude; infinity where a number is none."""
    low, high = torch.aminmax(x)
    largest = max(-float(low), float(high))
    return inf if isnan(largest) else largest


def _parts(x: Tensor, axis: int, length: int) -> Iterator[Tensor]:
    for start in range(0, x.shape[axis], length):
        yield x.narrow(axis, start, min(length, x.shape[axis] - start))


def _sides(op: Operation, inputs: Inputs) -> tuple[Tensor, Tensor]:
    if "left" in op.constants:
        return torch.from_numpy(op.constants["left"]), inputs[0]
    if "right" in op.constants:
        return inputs[0], torch.from_numpy(op.constants["right"])
    return inputs[0], inputs[1]


def _weights(op: Operation) -> tuple[Tensor, Tensor]:
    """|w| (O, I/groups, k, k) and |b| (O,) in float64."""
    weight = torch.from_numpy(op.constants["weight"]).abs().double()
    bias = op.constants.get("bias")
    return weight, weight.new_zeros(len(weight)) if bias is None else torch.from_numpy(bias).abs().double()


def _conv_rough(op: Operation, inputs: Inputs) -> float:
    """Each input channel at its largest under the whole kernel."""
    weight, bias = _weights(op)
    low, high = torch.aminmax(inputs[0].flatten(2), dim=2)
    peaks = torch.maximum(-low, high).double().reshape(op.attributes["groups"], -1, 1)
    kernels = weight.sum((2, 3)).reshape(len(peaks), -1, weight.shape[1])
    return max(_largest(weight), float(((kernels @ peaks).flatten() + bias).max()))


def _conv_sharp(op: Operation, inputs: Inputs) -> float:
    """By bands of rows, one kernel wider on each side: terms that a band lacks there only make its sums smaller."""
    weight, bias = _weights(op)
    x, margin = inputs[0], weight.shape[-1] // 2
    step, largest = max(1, BAND // x.shape[3]), _largest(weight)
    for top in range(0, x.shape[2], step):
        band = x[:, :, max(0, top - margin) : top + step + margin].abs().double()
        sums = functional.conv2d(band, weight, bias, padding=margin, groups=op.attributes["groups"])
        largest = max(largest, _largest(sums))
    return largest


def _matmul_rough(op: Operation, inputs: Inputs) -> float:
    left, right = _sides(op, inputs)
    return float(left.abs().sum(-1, dtype=torch.float64).max()) * _largest(right)


def _matmul_sharp(op: Operation, inputs: Inputs) -> float:
    left, right = (side.abs() for side in _sides(op, inputs))
    return max(_largest(left.double() @ part.double()) for part in _parts(right, -1, BAND))


def _reduced(op: Operation, inputs: Inputs) -> float:
    return float(inputs[0].abs().sum(op.attributes["axes"], dtype=torch.float64).max())


def _norm(op: Operation, inputs: Inputs) -> float:
    """Means over channels, and what float16 makes of the deviation; by bands of rows."""
    weight, bias = _column(op, "weight"), _column(op, "bias")
    x, largest = inputs[0], 0.0
    for band in _parts(x, 2, max(1, BAND // x.shape[3])):
        wide = band.double()
        centred = wide - wide.mean(1, keepdim=True)
        squares = (centred * centred).sum(1, keepdim=True)
        variance = (squares / x.shape[1] + op.attributes["epsilon"]).half().double()
        normed = centred / variance.sqrt()
        steps = (wide.abs().sum(1), squares, normed, normed * weight, (normed * weight).abs() + bias.abs())
        largest = max(largest, *map(_largest, steps))
    return largest


def _energy(op: Operation, inputs: Inputs) -> float:
    return float(inputs[0].square().sum(op.attributes["axes"], dtype=torch.float64).max())


def _column(op: Operation, key: str) -> Tensor:
    return torch.from_numpy(op.constants[key]).double().reshape(-1, 1, 1)


def _softmax(op: Operation, inputs: Inputs) -> float:
    axis, x = op.attributes["axis"], inputs[0].double()
    shifted = x - x.amax(axis, keepdim=True)
    return max(_largest(shifted), _largest(shifted.exp().sum(axis)))


def _quotient(op: Operation, inputs: Inputs) -> float:
    left, right = _sides(op, inputs)
    return _largest(left / right.half().float())


def _gelu(op: Operation, inputs: Inputs) -> float:
    del op
    return 2 * _largest(inputs[0])


_SHARP: dict[Kind, Callable[[Operation, Inputs], float]] = {
    Kind.CONV: _conv_sharp,
    Kind.MATMUL: _matmul_sharp,
    Kind.MEAN: _reduced,
    Kind.ENERGY: _energy,
    Kind.NORM: _norm,
    Kind.SOFTMAX: _softmax,
    Kind.DIV: _quotient,
    Kind.GELU: _gelu,
}

_ROUGH = {**_SHARP, Kind.CONV: _conv_rough, Kind.MATMUL: _matmul_rough}
"""Never below the sharp bound, and cheap where that is dear."""
