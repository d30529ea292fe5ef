"""The search for an int8 plan: ranges, costs, noise crop by crop, and what follows from them; parts are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from moceir_edge import processor
from moceir_edge.compress.group_costs import GroupCosts
from moceir_edge.compress.groups import Choice, Group, candidates, groups_of
from moceir_edge.compress.precision import PrecisionPlan, options_of, settle_plan
from moceir_edge.compress.simulation import (
    Crops,
    Noises,
    Ranges,
    Targets,
    loudest,
    measure_noises,
    measure_ranges,
    measure_tolerances,
    restored_crops,
)
from moceir_edge.keeping import Keeper
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import QuantizeOptions
from moceir_edge.records import Skipped
from moceir_edge.runner import centre
from moceir_edge.terms import Progress, silent

NOISE_CROPS = 4
"""Calibration crops on which the noise of each group is measured, at least."""

Measure = Callable[[Sequence[Group], Mapping[str, Ranges]], GroupCosts]
"""What the groups cost, given what their convolutions read and write."""


def search_plan(
    program: Program,
    crops: Crops,
    targets: Targets,
    options: QuantizeOptions,
    measure: Measure,
    *,
    size: tuple[int, int],
    residual_snr_db: float,
    loss_db: float,
    noise_crops: int = NOISE_CROPS,
    keeper: Keeper,
    progress: Progress = silent,
) -> PrecisionPlan:
    """Which convolutions run in int8: the cheapest plan whose noise stays within both limits.

    crops: each (1, 3, H, W) float32 in [0, 1]. targets: what they should become. size: at which MACs are counted.
    residual_snr_db: below what the network adds; loss_db: of PSNR, on a crop with a target. noise_crops: on how many,
    spread over all, the noise of each group is measured. keeper: of the parts.
    GateError where no plan is quiet enough.
    """
    groups = groups_of(program, keep_float=options.keep_float)
    ranges = measure_ranges(program, crops)
    costs = keeper.stage("costs", processor.identity(), GroupCosts, lambda: measure(groups, ranges))
    choices = {group: worthwhile(group, costs) for group in groups}
    listed = {group.name: found for group, found in choices.items()}
    measured = []
    references = restored_crops(program, crops)
    tolerances = measure_tolerances(crops, references, targets, residual_snr_db=residual_snr_db, loss_db=loss_db)
    chosen = range(0, len(crops), max(1, len(crops) // noise_crops))
    for number in chosen:
        crop = centre(crops[number][0], (options.crop, options.crop))[None]
        noises = partial(
            measure_noises, program, choices, crop, ranges, reduced_range=options.reduced_range, progress=progress
        )
        measured.append(keeper.stage(f"noise-{number}", {"choices": listed}, Noises, noises))
    plan = settle_plan(
        program,
        options_of(program, groups, loudest(measured, [tolerances[number] for number in chosen]), costs, size=size),
        ranges,
        crops,
        references,
        residual_snr_db=residual_snr_db,
        tolerances=tolerances,
        reduced_range=options.reduced_range,
        costs=costs.what,
    )
    free = {name for group in groups for name in group.convolutions}
    dense = [op.name for op in candidates(program) if op.attributes["groups"] == 1]
    kept = (name for name in dense if name not in free)
    reason = "kept in float by the recipe (quantize.keep_float)"
    return plan.model_copy(update={"skipped": (*plan.skipped, *(Skipped(what=n, reason=reason) for n in kept))})


def worthwhile(group: Group, costs: GroupCosts) -> tuple[Choice, ...]:
    """Int8, and the chain where it is cheaper: else it is dearer and louder, for the few MACs of depthwise kernels."""
    found = costs.by_group[group.name]
    chain = Choice.CHAIN in found and found[Choice.CHAIN] < found[Choice.INT8]
    return (Choice.INT8, Choice.CHAIN) if chain else (Choice.INT8,)
