"""The search for an int8 plan: ranges, costs, effects crop by crop, and what follows from them; parts are kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

from moceir_edge import processor
from moceir_edge.compress.crops import Crop, centred, judgeable, restored_crops
from moceir_edge.compress.group_costs import GroupCosts
from moceir_edge.compress.groups import Choice, Group, candidates, groups_of
from moceir_edge.compress.precision import PrecisionPlan, options_of, settle_plan
from moceir_edge.compress.ranges import Ranges, measure_ranges
from moceir_edge.compress.rounding import INT8, Rounding
from moceir_edge.compress.safety import Allowed
from moceir_edge.compress.simulation import Effects, measure_effects
from moceir_edge.keeping import Keeper
from moceir_edge.program.program import Program
from moceir_edge.recipe.schema import QuantizeOptions
from moceir_edge.records import Skipped
from moceir_edge.terms import Progress, silent

MEASURED_CROPS = 4
"""Calibration crops on which the effects of each group are measured, at least."""

OF_A_TASK = 2
"""And at least so many of each task: a loss depends on the picture."""

LEAST_TOLERATED = 1e-2
"""Beside the median of the crops: one that is hardly changed does not decide the ranges of all."""

Measure = Callable[[Sequence[Group], Mapping[str, Ranges]], GroupCosts]
"""What the groups cost, given what their convolutions read and write."""


def search_plan(
    program: Program,
    crops: Sequence[Crop],
    options: QuantizeOptions,
    measure: Measure,
    *,
    allowed: Allowed,
    size: tuple[int, int],
    keeper: Keeper,
    rounding: Rounding = INT8,
    progress: Progress = silent,
) -> PrecisionPlan:
    """Which convolutions run in int8 or fp8: the cheapest plan that is safely within what is allowed.

    size: at which MACs are counted. keeper: of the parts. GateError where no plan is quiet enough.
    """
    groups = groups_of(program, keep_float=options.keep_float)
    references = restored_crops(program, crops)
    crops = judgeable(crops, references)
    tolerated = [allowed.tolerated(crop, reference) for crop, reference in zip(crops, references, strict=True)]
    floor = LEAST_TOLERATED * median(tolerated)
    tolerated = [max(floor, power) for power in tolerated]
    ranges = measure_ranges(program, crops, tolerated, progress, rounding=rounding)
    costs = keeper.stage("costs", processor.identity(), GroupCosts, lambda: measure(groups, ranges))
    choices = {group: worthwhile(group, costs) for group in groups}
    listed = {group.name: found for group, found in choices.items()}
    decided = {"choices": listed, "allowed": allowed.model_dump()}
    measured = []
    for number in measured_on(crops):
        cut = centred(crops[number], options.crop)
        effects = partial(measure_effects, program, choices, cut, ranges, rounding=rounding, progress=progress)
        measured.append(keeper.stage(f"effects-{number}", decided, Effects, effects))
    plan = settle_plan(
        program,
        options_of(program, groups, measured, costs, size=size),
        ranges,
        crops,
        references,
        allowed=allowed,
        rounding=rounding,
        costs=costs.origin,
        progress=progress,
    )
    free = {name for group in groups for name in group.convolutions}
    dense = [op.name for op in candidates(program) if op.attributes["groups"] == 1]
    kept = (name for name in dense if name not in free)
    reason = "kept in float by the recipe (quantize.keep_float)"
    return plan.model_copy(update={"skipped": (*plan.skipped, *(Skipped(what=n, reason=reason) for n in kept))})


def measured_on(crops: Sequence[Crop]) -> list[int]:
    """Which crops the effects of groups are measured on: the first ones of each task."""
    tasks = dict.fromkeys(crop.task for crop in crops)
    wanted = max(OF_A_TASK, -(-MEASURED_CROPS // max(1, len(tasks))))
    return [n for task in tasks for n in [n for n, crop in enumerate(crops) if crop.task == task][:wanted]]


def worthwhile(group: Group, costs: GroupCosts) -> tuple[Choice, ...]:
    """Int8, and the chain where it is cheaper: else it is dearer and louder, for the few MACs of depthwise kernels."""
    found = costs.by_group[group.name]
    chain = Choice.CHAIN in found and found[Choice.CHAIN] < found[Choice.INT8]
    return (Choice.INT8, Choice.CHAIN) if chain else (Choice.INT8,)
