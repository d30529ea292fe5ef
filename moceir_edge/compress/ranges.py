"""The ranges that the few bits of a quantized convolution have to hold."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from moceir_edge.compress.crops import Crop
from moceir_edge.compress.groups import candidates
from moceir_edge.compress.rounding import INT8, Rounding
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.program import Operation, Program
from moceir_edge.records import Record
from moceir_edge.terms import Progress, silent

HELD = tuple(10 ** (-db / 20) for db in (0.0, 1.5, 3.0, 4.5, 6.0, 7.5, 9.0, 12.0))
"""Shares of the largest value that a range may hold."""

SOME = 2**17
"""Values of a crop that are looked at for that, about."""

SMALLEST_RANGE = 1e-9
"""Of values that are 0 on every crop; steps of 0 would make NaN of them."""


class Ranges(Record):
    """Largest absolute value that a convolution reads and writes in 8 bits; beyond it saturates."""

    input: Annotated[float, Field(gt=0)]
    output: Annotated[float, Field(gt=0)]


class _Spans:
    """Of the values at one side of each convolution: the largest, and what is lost where less of them is held."""

    def __init__(self, rounding: Rounding) -> None:
        self.rounding = rounding
        self.largest: dict[str, float] = {}
        self.errors: dict[str, NDArray[np.float64]] = {}

    def widen(self, name: str, x: Tensor) -> None:
        """Hold the values of one more crop."""
        self.largest[name] = max(self.largest.get(name, SMALLEST_RANGE), float(x.abs().max()))

    def weigh(self, name: str, x: Tensor, tolerated: float) -> None:
        """Error power of one more crop for each share of the largest value, beside what it tolerates."""
        every = max(1, x.numel() // SOME) | 1  # odd, so that it meets all columns
        some = x.flatten()[::every]
        spans = [self.largest[name] * share for share in HELD]
        activations = self.rounding.activations
        errors = [float((activations(some, span) - some).square().sum()) * every / tolerated for span in spans]
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
    rounding: Rounding = INT8,
) -> dict[str, Ranges]:
    """Ranges of every candidate: they hold all values on all crops, or as many as leave the least error.

    One task may have values so large that the steps which hold them drown the others. tolerated: the error power of
    each crop (see `tolerated_power`), beside which its errors are seen; the worst crop counts.
    """
    read, written = _Spans(rounding), _Spans(rounding)
    names = {op.name for op in candidates(program)}
    network = StaticNetwork(program)

    def widen(op: Operation, inputs: Sequence[Tensor], result: Tensor) -> None:
        if op.name in names:
            read.widen(op.name, inputs[0])
            written.widen(op.name, result)

    def weigh(beside: float, op: Operation, inputs: Sequence[Tensor], result: Tensor) -> None:
        if op.name in names:
            read.weigh(op.name, inputs[0], beside)
            written.weigh(op.name, result, beside)

    with torch.inference_mode():
        images = [torch.from_numpy(crop.image) for crop in crops]
        for image in progress(images, "measuring ranges"):
            network(image, watch=widen)
        for image, beside in zip(progress(images, "weighing ranges"), tolerated, strict=True):
            network(image, watch=partial(weigh, beside))
    return {name: Ranges(input=read.best(name), output=written.best(name)) for name in read.largest}
