"""Fewer bits in simulation: what 8-bit convolutions, and weights stored in fewer bits, do to restored crops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from moceir_edge.compress.crops import Crop, capped_quality_db, change_power, power
from moceir_edge.compress.groups import Choice, Group
from moceir_edge.compress.ranges import Ranges
from moceir_edge.compress.rounding import INT8, Rounding
from moceir_edge.compress.stored_weights import Stored
from moceir_edge.metrics import Pixels
from moceir_edge.program.execute import StaticNetwork, compute
from moceir_edge.program.program import Operation, Program
from moceir_edge.records import Record
from moceir_edge.terms import Progress, silent


class Effect(Record):
    """What fewer bits do to a restored crop.

    noise: error power at the output over the power of what the network adds; loss_db: of PSNR against the target, after
    clipping to [0, 1], negative where they happen to be nearer; None without a target.
    """

    noise: float
    loss_db: float | None


class Effects(Record):
    """Of each choice of each group alone, on one crop of a task."""

    task: str
    by_group: dict[str, dict[Choice | Stored, Effect]]


class QuantizedNetwork(StaticNetwork):
    """A program whose `integer` convolutions read, weigh and write what `rounding` holds, in simulation.

    half: see `StaticNetwork`; weights go to their few bits from float32.
    """

    def __init__(
        self, program: Program, integer: Mapping[str, Ranges], *, rounding: Rounding = INT8, half: bool = False
    ) -> None:
        super().__init__(program, half=half)
        self.integer, self.rounding = integer, rounding

    def step(self, op: Operation, inputs: tuple[Tensor, ...], constants: Mapping[str, Tensor]) -> Tensor:
        """See `StaticNetwork`."""
        ranges = self.integer.get(op.name)
        if ranges is None:
            return compute(op, inputs, constants)
        weight = self.rounding.weights(torch.from_numpy(op.constants["weight"]), groups=op.attributes["groups"])
        x = self._rounded(op, self.rounding.activations(inputs[0], ranges.input))
        return self.rounding.activations(
            self._rounded(op, compute(op, (x,), {**constants, "weight": weight})), ranges.output
        )


def measure_effects(
    program: Program,
    choices: Mapping[Group, Sequence[Choice]],
    crop: Crop,
    ranges: Mapping[str, Ranges],
    *,
    rounding: Rounding = INT8,
    progress: Progress = silent,
) -> Effects:
    """What every choice of every group, quantized alone, does to a crop."""
    network = QuantizedNetwork(program, {}, rounding=rounding)
    groups = {group.name: group for group in choices}

    def switch(name: str, choice: Choice | Stored | None) -> None:
        integer = groups[name].integer(choice) if isinstance(choice, Choice) else ()
        network.integer = {convolution: ranges[convolution] for convolution in integer}

    members = {group.name: group.convolutions for group in choices}
    listed = {group.name: found for group, found in choices.items()}
    text = f"measuring {rounding.name} on {crop.task or 'a crop'}"
    return measure_alone(network, crop, members, listed, switch, text=text, progress=progress)


def measure_alone(
    network: StaticNetwork,
    crop: Crop,
    members: Mapping[str, Sequence[str]],
    choices: Mapping[str, Sequence[Choice | Stored]],
    switch: Callable[[str, Choice | Stored | None], None],
    *,
    text: str,
    progress: Progress = silent,
) -> Effects:
    """What every choice for every name, taken alone, does to a crop.

    members: the operations that a name stands for; what comes before them is computed once for all choices. switch:
    sets the network to a choice for a name, or back with None.
    """
    positions = {op.name: position for position, op in enumerate(network.program.operations)}
    starts = {name: min(positions[member] for member in members[name]) for name in choices}
    found: dict[str, dict[Choice | Stored, Effect]] = {}
    image, reached = torch.from_numpy(crop.image), 0
    with torch.inference_mode():
        reference = network(image)["restored"].numpy()
        values = network.start(image)
        for name in progress(sorted(choices, key=lambda name: starts[name]), text):
            for position in range(reached, starts[name]):
                network.advance(values, position)
            reached, effects = starts[name], {}
            for choice in choices[name]:
                switch(name, choice)
                candidate = network.finish(dict(values), reached)["restored"].numpy()
                effects[choice] = effect(crop, reference, candidate)
            switch(name, None)
            found[name] = effects
    return Effects(task=crop.task, by_group=found)


def simulate(
    program: Program,
    integer: Mapping[str, Ranges],
    crops: Iterable[Crop],
    references: Sequence[Pixels],
    *,
    rounding: Rounding,
) -> list[Effect]:
    """What convolutions quantized together do to each crop; references: the restored crops."""
    return effects_of(QuantizedNetwork(program, integer, rounding=rounding), crops, references)


def effects_of(network: StaticNetwork, crops: Iterable[Crop], references: Sequence[Pixels]) -> list[Effect]:
    """What a network does to each crop beside the restored ones."""
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
