"""8-bit convolutions in simulation: their ranges, and what they do to restored crops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from moceir_edge.compress.groups import Choice, Group, candidates
from moceir_edge.metrics import Pixels, quality_db
from moceir_edge.program.execute import StaticNetwork, compute
from moceir_edge.program.program import Operation, Program
from moceir_edge.records import Record
from moceir_edge.terms import Progress, silent


@dataclass(frozen=True)
class Crop:
    """Of a calibration picture: (1, 3, H, W) in [0, 1], what it should become where that is known, and its task."""

    image: Pixels
    target: Pixels | None = None
    task: str = ""


LEVELS = 127
"""Steps of a symmetric signed 8-bit integer on each side of zero."""

REDUCED_LEVELS = 63
"""Steps of a weight that leaves one bit free: x86 without VNNI adds pairs of products up in 16 bits, which saturate.

Depthwise convolutions keep all steps: their kernels widen first, and NNCF leaves them alone.
"""

SMALLEST_RANGE = 1e-9
"""Of values that are 0 on every crop; steps of 0 would make NaN of them."""

SMALLEST_POWER = 1e-12

HIGHEST_DB = 100.0
"""PSNR above which nothing is lost any more."""


class Effect(Record):
    """What int8 does to a restored crop.

    noise: error power at the output over the power of what the network adds; loss_db: of PSNR against the target, after
    clipping to [0, 1], negative where int8 happens to be nearer; None without a target.
    """

    noise: float
    loss_db: float | None


class Effects(Record):
    """Of each choice of each group alone, on one crop of a task."""

    task: str
    by_group: dict[str, dict[Choice, Effect]]


class Ranges(Record):
    """Largest absolute value that a convolution reads and writes, over the calibration crops."""

    input: Annotated[float, Field(gt=0)]
    output: Annotated[float, Field(gt=0)]


class QuantizedNetwork(StaticNetwork):
    """A program whose `integer` convolutions read, weigh and write 8-bit symmetric values, in simulation."""

    def __init__(self, program: Program, integer: Mapping[str, Ranges], *, reduced_range: bool = False) -> None:
        super().__init__(program)
        self.integer = integer
        self.dense_levels = REDUCED_LEVELS if reduced_range else LEVELS

    def step(self, op: Operation, inputs: tuple[Tensor, ...], constants: Mapping[str, Tensor]) -> Tensor:
        """See `StaticNetwork`."""
        ranges = self.integer.get(op.name)
        if ranges is None:
            return compute(op, inputs, constants)
        weight = constants["weight"]
        span = weight.abs().amax((1, 2, 3), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        levels = self.dense_levels if op.attributes["groups"] == 1 else LEVELS
        rounded = {**constants, "weight": _rounded(weight, span, levels)}
        result = compute(op, (_rounded(inputs[0], ranges.input),), rounded)
        return _rounded(result, ranges.output)


def measure_ranges(program: Program, crops: Sequence[Crop]) -> dict[str, Ranges]:
    """Ranges of every candidate over the crops."""
    names = {op.name for op in candidates(program)}
    found: dict[str, tuple[float, float]] = {}

    def watch(op: Operation, inputs: tuple[Tensor, ...], result: Tensor) -> None:
        if op.name in names:
            read, written = found.get(op.name, (0.0, 0.0))
            found[op.name] = max(read, float(inputs[0].abs().max())), max(written, float(result.abs().max()))

    network = StaticNetwork(program)
    with torch.inference_mode():
        for crop in crops:
            network(torch.from_numpy(crop.image), watch=watch)
    return {
        name: Ranges(input=max(read, SMALLEST_RANGE), output=max(written, SMALLEST_RANGE))
        for name, (read, written) in found.items()
    }


def measure_effects(
    program: Program,
    choices: Mapping[Group, Sequence[Choice]],
    crop: Crop,
    ranges: Mapping[str, Ranges],
    *,
    reduced_range: bool = False,
    progress: Progress = silent,
) -> Effects:
    """What every choice of every group, quantized alone, does to a crop.

    What comes before a group is computed once for all of them.
    """
    network = QuantizedNetwork(program, {}, reduced_range=reduced_range)
    positions = {op.name: position for position, op in enumerate(program.operations)}
    starts = sorted(choices, key=lambda group: min(positions[name] for name in group.convolutions))
    found: dict[str, dict[Choice, Effect]] = {}
    image, reached = torch.from_numpy(crop.image), 0
    with torch.inference_mode():
        reference = network(image)["restored"].numpy()
        values = network.start(image)
        for group in progress(starts, f"measuring int8 on {crop.task or 'a crop'}"):
            start = min(positions[name] for name in group.convolutions)
            network.integer = {}
            for position in range(reached, start):
                network.advance(values, position)
            reached, effects = start, {}
            for choice in choices[group]:
                network.integer = {name: ranges[name] for name in group.integer(choice)}
                candidate = network.finish(dict(values), start)["restored"].numpy()
                effects[choice] = effect(crop, reference, candidate)
            found[group.name] = effects
    return Effects(task=crop.task, by_group=found)


def restored_crops(program: Program, crops: Sequence[Crop]) -> list[Pixels]:
    """What the program makes of the crops in float32, each (1, 3, H, W)."""
    network = StaticNetwork(program)
    with torch.inference_mode():
        return [network(torch.from_numpy(crop.image))["restored"].numpy() for crop in crops]


def judgeable(crops: Sequence[Crop], references: Sequence[Pixels]) -> list[Crop]:
    """The crops, without targets where the restored crops (`references`) of a task are no better than its crops."""
    gains: dict[str, list[float]] = {}
    for crop, reference in zip(crops, references, strict=True):
        if crop.target is not None:
            gain = quality_db(crop.target, reference) - quality_db(crop.target, crop.image)
            gains.setdefault(crop.task, []).append(gain)
    restored = {task for task, found in gains.items() if fmean(found) > 0}
    return [crop if crop.task in restored else replace(crop, target=None) for crop in crops]


def simulate(
    program: Program,
    integer: Mapping[str, Ranges],
    crops: Sequence[Crop],
    references: Sequence[Pixels],
    *,
    reduced_range: bool,
) -> list[Effect]:
    """What convolutions quantized together do to each crop; references: the restored crops."""
    network = QuantizedNetwork(program, integer, reduced_range=reduced_range)
    with torch.inference_mode():
        return [
            effect(crop, reference, network(torch.from_numpy(crop.image))["restored"].numpy())
            for crop, reference in zip(crops, references, strict=True)
        ]


def effect(crop: Crop, reference: Pixels, candidate: Pixels) -> Effect:
    """Of a candidate beside the restored crop, both (1, 3, H, W)."""
    noise = _power(reference - candidate) / max(changed(crop, reference), SMALLEST_POWER)
    if crop.target is None:
        return Effect(noise=noise, loss_db=None)
    best, left = (min(quality_db(crop.target, pixels), HIGHEST_DB) for pixels in (reference, candidate))
    return Effect(noise=noise, loss_db=best - left)


def changed(crop: Crop, reference: Pixels) -> float:
    """The power of what the network adds to a crop."""
    return _power(reference - crop.image)


def _power(array: Pixels) -> float:
    return float(np.square(array, dtype=np.float64).sum())


def _rounded(x: Tensor, span: Tensor | float, levels: int = LEVELS) -> Tensor:
    step = span / levels
    return torch.clamp(torch.round(x / step), -levels - 1, levels) * step
