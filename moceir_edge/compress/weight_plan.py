"""How the weights of each convolution are stored: the smallest artifact that keeps its dB.

The effect of each layer alone is measured on a few calibration crops, the smallest choice for all of them is an integer
program, and what is chosen is simulated together, until it is safely within what the gates allow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from math import inf, log10

import torch
from torch import Tensor

from moceir_edge.compress.crops import Crop, centred, change_power, judgeable, restored_crops
from moceir_edge.compress.groups import Choice
from moceir_edge.compress.placement import Options, Placed, place
from moceir_edge.compress.safety import Allowed, Simulated, loudest_safe, option_of, summed_up
from moceir_edge.compress.search import measured_on
from moceir_edge.compress.simulation import Effects, effects_of, measure_alone
from moceir_edge.compress.stored_weights import (
    Storage,
    Stored,
    skipped,
    storable,
    weights_stored,
    with_stored_weights,
)
from moceir_edge.keeping import Keeper
from moceir_edge.metrics import Pixels
from moceir_edge.program.execute import StaticNetwork, compute
from moceir_edge.program.program import Kind, Operation, Program
from moceir_edge.recipe.schema import QuantizeOptions, Recipe
from moceir_edge.records import Record, Skipped
from moceir_edge.terms import Progress, silent

WEIGHTS_FILE = "weights.json"
"""Where an artifact keeps its plan, beside the model."""

WEIGHTS_SAFETY_DB = 3.0
"""How far above the gate of the residual SNR weights stay on calibration crops: their error is in every picture, so it
varies less than that of activations."""

BLOCKS_FROM = 18
"""The version of iOS from which on a weight may have a palette for each block of output channels."""


class WeightPlan(Record):
    """stored: convolutions whose weights are not floats, in running order; storage: where they are stored.

    size_bytes, float_bytes: of the weights of all convolutions, so stored and as floats. layers: the choice for each
    convolution with its numbers (costs are bytes); simulated: the plan as a whole; slack_db: how much louder that could
    be and still be safely within the gates, negative where it is too loud; all three where something was measured.
    """

    stored: dict[str, Stored]
    storage: Storage
    size_bytes: int
    float_bytes: int
    skipped: tuple[Skipped, ...] = ()
    layers: tuple[Placed, ...] = ()
    simulated: Simulated | None = None
    slack_db: float | None = None
    model_sha256: str | None = None


def storage_of(recipe: Recipe) -> Storage:
    """Where a recipe's weights are stored."""
    return Storage(half=recipe.half, blocks=recipe.coreml_options.minimum_ios >= BLOCKS_FROM)


def with_planned_weights(program: Program, plan: WeightPlan) -> Program:
    """The program with the weights that are stored."""
    return with_stored_weights(program, plan.stored, plan.storage)


def plan_in_8_bits(program: Program, storage: Storage) -> WeightPlan:
    """Linear 8-bit weights wherever weights may be stored in fewer bits."""
    return _plan(program, {op.name: Stored.LINEAR_8 for op in storable(program)}, storage)


def smallest_plan(
    program: Program,
    crops: Sequence[Crop],
    options: QuantizeOptions,
    storage: Storage,
    *,
    allowed: Allowed,
    parity_db: float | None,
    keeper: Keeper,
    progress: Progress = silent,
) -> WeightPlan:
    """Each convolution in the fewest bytes such that all together stay safely within what is allowed.

    parity_db: what the artifact has to agree to with the program in float32 on every picture, if anything.
    """
    references = restored_crops(program, crops)
    crops = judgeable(crops, references)
    allowed = with_parity(allowed, crops, references, parity_db=parity_db)
    decided = {"allowed": allowed.model_dump(), "storage": storage.model_dump()}
    free = [op for op in storable(program) if not any(re.search(p, op.name) for p in options.keep_float)]
    measured = []
    for number in measured_on(crops):
        effects = partial(measure_storage, program, free, centred(crops[number], options.crop), storage, progress)
        measured.append(keeper.stage(f"weights-{number}", decided, Effects, effects))
    choices = tuple(_options(op, measured, storage) for op in free)

    def attempt(margin_db: float) -> WeightPlan:
        placed = place(choices, allowed.budget(margin_db), least_share=0.0)
        stored = {one.name: one.chosen.choice for one in placed if isinstance(one.chosen.choice, Stored)}
        network = StaticNetwork(with_stored_weights(program, stored, storage), half=storage.half)
        effects = effects_of(network, progress(crops, f"simulating weights, {margin_db:g} dB below limits"), references)
        simulated = summed_up(crops, effects)
        update = {"layers": placed, "simulated": simulated, "slack_db": simulated.slack_db(allowed)}
        return _plan(program, stored, storage).model_copy(update=update)

    plan = loudest_safe(attempt, lambda plan: -inf if plan.slack_db is None else plan.slack_db)
    known = {op.name for op in free}
    kept = (op.name for op in storable(program) if op.name not in known)
    reason = "kept in float by the recipe (quantize.keep_float)"
    return plan.model_copy(update={"skipped": (*plan.skipped, *(Skipped(what=name, reason=reason) for name in kept))})


def with_parity(
    allowed: Allowed, crops: Sequence[Crop], references: Sequence[Pixels], *, parity_db: float | None
) -> Allowed:
    """With a residual SNR that leaves a parity on every crop: where little is added, parity asks for less of it."""
    if parity_db is None:
        return allowed
    pairs = zip(crops, references, strict=True)
    changes_db = [10 * log10(change_power(crop, reference) / reference.size) for crop, reference in pairs]
    return allowed.model_copy(update={"residual_snr_db": max(allowed.residual_snr_db, parity_db + max(changes_db))})


def measure_storage(
    program: Program, convolutions: Sequence[Operation], crop: Crop, storage: Storage, progress: Progress = silent
) -> Effects:
    """What every way to store the weights of each convolution, alone, does to a crop."""
    network = _OtherWeights(program)
    by_name = {op.name: op for op in convolutions}

    def switch(name: str, choice: Choice | Stored | None) -> None:
        network.other = {}
        if isinstance(choice, Stored):
            weight = weights_stored(by_name[name], choice, storage).constants["weight"]
            network.other = {name: torch.from_numpy(weight)}

    members = {name: (name,) for name in by_name}
    text = f"measuring weights on {crop.task or 'a crop'}"
    listed = dict.fromkeys(by_name, tuple(Stored))
    return measure_alone(network, crop, members, listed, switch, text=text, progress=progress)


class _OtherWeights(StaticNetwork):
    """A program of which some convolutions (`other`) have other weights."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.other: Mapping[str, Tensor] = {}

    def step(self, op: Operation, inputs: tuple[Tensor, ...], constants: Mapping[str, Tensor]) -> Tensor:
        """See `StaticNetwork`."""
        weight = self.other.get(op.name)
        return compute(op, inputs, constants if weight is None else {**constants, "weight": weight})


def _options(op: Operation, effects: Sequence[Effects], storage: Storage) -> Options:
    base = option_of(Choice.FLOAT, (), cost=storage.size_bytes(op, None))
    others = (
        option_of(
            stored,
            [(found.task, found.by_group[op.name][stored]) for found in effects],
            cost=storage.size_bytes(op, stored),
        )
        for stored in Stored
    )
    return Options(name=op.name, options=(base, *others))


def _plan(program: Program, stored: dict[str, Stored], storage: Storage) -> WeightPlan:
    convolutions = [op for op in program.operations if op.kind is Kind.CONV]
    return WeightPlan(
        stored={op.name: stored[op.name] for op in convolutions if op.name in stored},
        storage=storage,
        size_bytes=sum(storage.size_bytes(op, stored.get(op.name)) for op in convolutions),
        float_bytes=sum(storage.size_bytes(op, None) for op in convolutions),
        skipped=skipped(program),
    )
