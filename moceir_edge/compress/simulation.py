"""8-bit convolutions in simulation: their ranges, and the noise they add beside what the network adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from typing import Annotated

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from moceir_edge.compress.groups import Choice, Group, candidates
from moceir_edge.program.execute import StaticNetwork, compute
from moceir_edge.program.program import Operation, Program
from moceir_edge.records import Record
from moceir_edge.terms import Progress, silent

Crops = Sequence[NDArray[np.float32]]
Targets = Sequence[NDArray[np.float32] | None]
"""What crops should become, of the same shapes; None where nobody knows."""

LEVELS = 127
"""Steps of a symmetric signed 8-bit integer on each side of zero."""

REDUCED_LEVELS = 63
"""Steps of a weight that leaves one bit free: x86 without VNNI adds pairs of products up in 16 bits, which saturate.

Depthwise convolutions keep all steps: their kernels widen first, and NNCF leaves them alone.
"""

SMALLEST_RANGE = 1e-9
"""Of values that are 0 on every crop; steps of 0 would make NaN of them."""

SMALLEST_NOISE = 1e-20
SMALLEST_POWER = 1e-12


class Noises(Record):
    """Error power at the output over the power of what the network adds, by group and choice, on one crop or more."""

    by_group: dict[str, dict[Choice, float]]


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


def measure_ranges(program: Program, crops: Crops) -> dict[str, Ranges]:
    """Ranges of every candidate over the crops, each (1, 3, H, W) in [0, 1]."""
    names = {op.name for op in candidates(program)}
    found: dict[str, tuple[float, float]] = {}

    def watch(op: Operation, inputs: tuple[Tensor, ...], result: Tensor) -> None:
        if op.name in names:
            read, written = found.get(op.name, (0.0, 0.0))
            found[op.name] = max(read, float(inputs[0].abs().max())), max(written, float(result.abs().max()))

    network = StaticNetwork(program)
    with torch.inference_mode():
        for crop in crops:
            network(torch.from_numpy(crop), watch=watch)
    return {
        name: Ranges(input=max(read, SMALLEST_RANGE), output=max(written, SMALLEST_RANGE))
        for name, (read, written) in found.items()
    }


def measure_noises(
    program: Program,
    choices: Mapping[Group, Sequence[Choice]],
    crop: NDArray[np.float32],
    ranges: Mapping[str, Ranges],
    *,
    reduced_range: bool = False,
    progress: Progress = silent,
) -> Noises:
    """The noise of every choice of every group, quantized alone, on a crop (1, 3, H, W) in [0, 1].

    What comes before a group is computed once for all of them.
    """
    network = QuantizedNetwork(program, {}, reduced_range=reduced_range)
    positions = {op.name: position for position, op in enumerate(program.operations)}
    starts = sorted(choices, key=lambda group: min(positions[name] for name in group.convolutions))
    found: dict[str, dict[Choice, float]] = {}
    image, reached = torch.from_numpy(crop), 0
    with torch.inference_mode():
        reference = network(image)["restored"]
        values = network.start(image)
        for group in progress(starts, "measuring int8 noise"):
            start = min(positions[name] for name in group.convolutions)
            network.integer = {}
            for position in range(reached, start):
                network.advance(values, position)
            reached, noises = start, {}
            for choice in choices[group]:
                network.integer = {name: ranges[name] for name in group.integer(choice)}
                noises[choice] = noise(image, reference, network.finish(dict(values), start)["restored"])
            found[group.name] = noises
    return Noises(by_group=found)


def loudest(noises: Sequence[Noises], tolerances: Sequence[float]) -> Noises:
    """Each noise on the crop where it is loudest, by what that crop tolerates."""
    first = noises[0].by_group
    pairs = list(zip(noises, tolerances, strict=True))
    return Noises(
        by_group={
            name: {choice: max(n.by_group[name][choice] / t for n, t in pairs) for choice in choices}
            for name, choices in first.items()
        }
    )


def restored_crops(program: Program, crops: Crops) -> list[NDArray[np.float32]]:
    """What the program makes of the crops in float32, each (1, 3, H, W)."""
    network = StaticNetwork(program)
    with torch.inference_mode():
        return [network(torch.from_numpy(crop))["restored"].numpy() for crop in crops]


def measure_tolerances(
    crops: Crops, references: Crops, targets: Targets, *, residual_snr_db: float, loss_db: float
) -> list[float]:
    """What share of the noise that `residual_snr_db` allows each crop tolerates, at most 1.

    Noise that has nothing to do with the error there is adds its power to it: a crop that is restored to a mean square
    error M loses `loss_db` of PSNR to noise of M (10^(loss_db / 10) - 1). A crop without a target tolerates all.
    references: the restored crops.
    """

    def tolerance(crop: NDArray[np.float32], reference: NDArray[np.float32], target: NDArray[np.float32]) -> float:
        allowed = _power(reference - target) * (10 ** (loss_db / 10) - 1)
        return min(1.0, allowed / (_power(reference - crop) * 10 ** (-residual_snr_db / 10)))

    triples = zip(crops, references, targets, strict=True)
    return [1.0 if target is None else tolerance(crop, reference, target) for crop, reference, target in triples]


def _power(array: NDArray[np.float32]) -> float:
    return max(float(np.square(array, dtype=np.float64).sum()), SMALLEST_POWER)


def simulated_snr_db(
    program: Program,
    integer: Mapping[str, Ranges],
    crops: Crops,
    references: Crops,
    *,
    reduced_range: bool,
    tolerances: Sequence[float] | None = None,
) -> float:
    """Residual SNR of convolutions quantized together, on the worst crop, less what each tolerates less (see above)."""
    network = QuantizedNetwork(program, integer, reduced_range=reduced_range)
    given = zip(map(torch.from_numpy, crops), map(torch.from_numpy, references), strict=True)
    with torch.inference_mode():
        noises = [noise(image, reference, network(image)["restored"]) for image, reference in given]
    if tolerances is not None:
        noises = [found / tolerance for found, tolerance in zip(noises, tolerances, strict=True)]
    return -10 * log10(max(*noises, SMALLEST_NOISE))


def noise(image: Tensor, reference: Tensor, candidate: Tensor) -> float:
    """Error power over the power of what the network adds."""
    added = float(((reference - image).double() ** 2).sum())
    return float(((reference - candidate).double() ** 2).sum()) / max(added, SMALLEST_POWER)


def _rounded(x: Tensor, span: Tensor | float, levels: int = LEVELS) -> Tensor:
    step = span / levels
    return torch.clamp(torch.round(x / step), -levels - 1, levels) * step
