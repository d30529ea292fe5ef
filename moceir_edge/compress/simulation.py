"""8-bit convolutions in simulation: what they do to restored crops."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from moceir_edge.compress.crops import Crop, capped_quality_db, change_power, power
from moceir_edge.compress.groups import Choice, Group
from moceir_edge.compress.ranges import LEVELS, Ranges, rounded, rounded_float8, rounding_of
from moceir_edge.metrics import Pixels
from moceir_edge.program.execute import StaticNetwork, compute
from moceir_edge.program.program import Operation, Program
from moceir_edge.records import Record
from moceir_edge.terms import Precision, Progress, silent

REDUCED_LEVELS = 63
"""Steps of a weight that leaves one bit free: x86 without VNNI adds pairs of products up in 16 bits, which saturate.

Depthwise convolutions keep all steps: their kernels widen first, and NNCF leaves them alone.
"""


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


class QuantizedNetwork(StaticNetwork):
    """A program whose `integer` convolutions read, weigh and write 8-bit symmetric values, in simulation.

    precision: int8, or fp8, whose weights have one scale for all channels.
    """

    def __init__(
        self,
        program: Program,
        integer: Mapping[str, Ranges],
        *,
        reduced_range: bool = False,
        precision: Precision = Precision.INT8,
    ) -> None:
        super().__init__(program)
        self.integer = integer
        self.precision = precision
        self.dense_levels = REDUCED_LEVELS if reduced_range else LEVELS

    def step(self, op: Operation, inputs: tuple[Tensor, ...], constants: Mapping[str, Tensor]) -> Tensor:
        """See `StaticNetwork`."""
        ranges = self.integer.get(op.name)
        if ranges is None:
            return compute(op, inputs, constants)
        rounding = rounding_of(self.precision)
        integers = {**constants, "weight": self._weight(op, constants["weight"])}
        result = compute(op, (rounding(inputs[0], ranges.input),), integers)
        return rounding(result, ranges.output)

    def _weight(self, op: Operation, weight: Tensor) -> Tensor:
        tiny = torch.finfo(torch.float32).tiny
        if self.precision is Precision.FP8:
            return rounded_float8(weight, weight.abs().amax().clamp_min(tiny))
        levels = self.dense_levels if op.attributes["groups"] == 1 else LEVELS
        return rounded(weight, weight.abs().amax((1, 2, 3), keepdim=True).clamp_min(tiny), levels)


def measure_effects(
    program: Program,
    choices: Mapping[Group, Sequence[Choice]],
    crop: Crop,
    ranges: Mapping[str, Ranges],
    *,
    reduced_range: bool = False,
    precision: Precision = Precision.INT8,
    progress: Progress = silent,
) -> Effects:
    """What every choice of every group, quantized alone, does to a crop.

    What comes before a group is computed once for all of them.
    """
    network = QuantizedNetwork(program, {}, reduced_range=reduced_range, precision=precision)
    positions = {op.name: position for position, op in enumerate(program.operations)}
    starts = sorted(choices, key=lambda group: min(positions[name] for name in group.convolutions))
    found: dict[str, dict[Choice, Effect]] = {}
    image, reached = torch.from_numpy(crop.image), 0
    with torch.inference_mode():
        reference = network(image)["restored"].numpy()
        values = network.start(image)
        for group in progress(starts, f"measuring {precision} on {crop.task or 'a crop'}"):
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


def simulate(
    program: Program,
    integer: Mapping[str, Ranges],
    crops: Iterable[Crop],
    references: Sequence[Pixels],
    *,
    reduced_range: bool,
    precision: Precision = Precision.INT8,
) -> list[Effect]:
    """What convolutions quantized together do to each crop; references: the restored crops."""
    network = QuantizedNetwork(program, integer, reduced_range=reduced_range, precision=precision)
    with torch.inference_mode():
        return [
            effect(crop, reference, network(torch.from_numpy(crop.image))["restored"].numpy())
            for crop, reference in zip(crops, references, strict=True)
        ]


def effect(crop: Crop, reference: Pixels, candidate: Pixels) -> Effect:
    """Of a candidate beside the restored crop, both (1, 3, H, W)."""
    noise = power(reference - candidate) / change_power(crop, reference)
    if crop.target is None:
        return Effect(noise=noise, loss_db=None)
    best, left = (capped_quality_db(crop.target, pixels) for pixels in (reference, candidate))
    return Effect(noise=noise, loss_db=best - left)
