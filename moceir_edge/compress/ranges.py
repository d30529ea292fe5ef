"""The ranges that 8-bit values of a convolution have to hold, and the rounding to their steps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from moceir_edge.compress.crops import Crop
from moceir_edge.compress.groups import candidates
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.program import Operation, Program
from moceir_edge.recipe.schema import QuantizeOptions
from moceir_edge.records import Record
from moceir_edge.terms import Progress, silent

LEVELS = 127
"""Steps of a symmetric signed 8-bit integer on each side of zero."""

WIDE_LEVELS = 2**15 - 1
"""Of a 16-bit one."""

REDUCED_LEVELS = 63
"""Steps of a weight that leaves one bit free: x86 without VNNI adds pairs of products up in 16 bits, which saturate.

Depthwise convolutions keep all steps: their kernels widen first, and NNCF leaves them alone.
"""

HELD = tuple(10 ** (-db / 20) for db in (0.0, 1.5, 3.0, 4.5, 6.0, 7.5, 9.0, 12.0))
"""Shares of the largest value that a range may hold."""

SOME = 2**17
"""Values of a crop that are looked at for that, about."""

SMALLEST_RANGE = 1e-9
"""Of values that are 0 on every crop; steps of 0 would make NaN of them."""


class Levels(NamedTuple):
    """Steps of symmetric integers on each side of zero: of dense weights, and of what convolutions read and write."""

    weights: int = LEVELS
    activations: int = LEVELS


EIGHT_BITS = Levels()


def levels_of(options: QuantizeOptions) -> Levels:
    """As a recipe says."""
    return Levels(
        weights=REDUCED_LEVELS if options.reduced_range else LEVELS,
        activations=WIDE_LEVELS if options.activation_bits == 16 else LEVELS,
    )


class Ranges(Record):
    """Largest absolute value that a convolution reads and writes in 8 bits; beyond it saturates."""

    input: Annotated[float, Field(gt=0)]
    output: Annotated[float, Field(gt=0)]


def rounded(x: Tensor, span: Tensor | float, levels: int = LEVELS) -> Tensor:
    """To the steps of a symmetric integer of `levels` on each side whose range is `span`; beyond it saturates."""
    step = span / levels
    return torch.clamp(torch.round(x / step), -levels - 1, levels) * step


class _Spans:
    """Of the values at one side of each convolution: the largest, and what is lost where less of them is held."""

    def __init__(self) -> None:
        self.largest: dict[str, float] = {}
        self.errors: dict[str, NDArray[np.float64]] = {}

    def widen(self, name: str, x: Tensor) -> None:
        """Hold the values of one more crop."""
        self.largest[name] = max(self.largest.get(name, SMALLEST_RANGE), float(x.abs().max()))

    def weigh(self, name: str, x: Tensor, tolerated: float, levels: int) -> None:
        """Error power of one more crop for each share of the largest value, beside what it tolerates."""
        every = max(1, x.numel() // SOME) | 1  # odd, so that it meets all columns
        some = x.flatten()[::every]
        spans = [self.largest[name] * share for share in HELD]
        errors = [float((rounded(some, span, levels) - some).square().sum()) * every / tolerated for span in spans]
        self.errors[name] = np.maximum(self.errors.get(name, np.zeros(len(HELD))), errors)

    def best(self, name: str) -> float:
        """The range whose worst crop is best."""
        return self.largest[name] * HELD[int(np.argmin(self.errors[name]))]


def measure_ranges(
    program: Program,
    crops: Sequence[Crop],
    tolerated: Sequence[float],
    progress: Progress = silent,
    *,
    levels: int = LEVELS,
) -> dict[str, Ranges]:
    """Ranges of every candidate: they hold all values on all crops, or as many as leave the least error.

    One task may have values so large that the steps which hold them drown the others. tolerated: the error power of
    each crop (see `tolerated_power`), beside which its errors are seen; the worst crop counts. levels: of activations.
    """
    read, written = _Spans(), _Spans()
    names = {op.name for op in candidates(program)}
    network = StaticNetwork(program)

    def widen(op: Operation, inputs: Sequence[Tensor], result: Tensor) -> None:
        if op.name in names:
            read.widen(op.name, inputs[0])
            written.widen(op.name, result)

    def weigh(beside: float, op: Operation, inputs: Sequence[Tensor], result: Tensor) -> None:
        if op.name in names:
            read.weigh(op.name, inputs[0], beside, levels)
            written.weigh(op.name, result, beside, levels)

    with torch.inference_mode():
        images = [torch.from_numpy(crop.image) for crop in crops]
        for image in progress(images, "measuring ranges"):
            network(image, watch=widen)
        for image, beside in zip(progress(images, "weighing ranges"), tolerated, strict=True):
            network(image, watch=partial(weigh, beside))
    return {name: Ranges(input=read.best(name), output=written.best(name)) for name in read.largest}
