"""Which convolutions run in 8-bit integers: measured effects and costs in, a plan out, simulated as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moceir_edge.compress.crops import Crop
from moceir_edge.compress.group_costs import GroupCosts
from moceir_edge.compress.groups import Choice, Group
from moceir_edge.compress.placement import Option, Options, Placed, place
from moceir_edge.compress.ranges import Ranges
from moceir_edge.compress.rounding import INT8, Rounding
from moceir_edge.compress.safety import Allowed, Simulated, loudest_safe, option_of, summed_up
from moceir_edge.compress.simulation import Effects, simulate
from moceir_edge.metrics import Pixels
from moceir_edge.program.macs import macs_by_operation
from moceir_edge.program.program import Program
from moceir_edge.records import Record, Skipped
from moceir_edge.terms import Progress, silent

LEAST_SHARE = 0.605
"""Of all MACs in integers: the gate of 60 % counts in the runtime's own graph, a little above it is safe."""


class PrecisionPlan(Record):
    """integer: convolutions in int8, in running order, with their ranges; skipped: the others, with the reason.

    groups: the choice for each group with its numbers. costs: what the costs are, in words. cost_share: of the plan,
    against float everywhere. simulated: the plan as a whole. integer_share: of all MACs. model_sha256: what it was made
    for.
    """

    integer: dict[str, Ranges]
    skipped: tuple[Skipped, ...]
    integer_share: float
    simulated: Simulated
    groups: tuple[Placed, ...] = ()
    costs: str = ""
    cost_share: float | None = None
    model_sha256: str | None = None


def options_of(
    program: Program, groups: Sequence[Group], effects: Sequence[Effects], costs: GroupCosts, *, size: tuple[int, int]
) -> tuple[Options, ...]:
    """Float, and every choice whose effects were measured on a crop or more; MACs are those of a picture of `size`."""
    counts = macs_by_operation(program, *size)
    total = sum(counts.values())

    def option(group: Group, choice: Choice) -> Option:
        found = [] if choice is Choice.FLOAT else [(e.task, e.by_group[group.name][choice]) for e in effects]
        integer = group.integer(choice)
        share = sum(counts[name] for name in integer) / total
        return option_of(choice, found, cost=costs.by_group[group.name][choice], integer=integer, share=share)

    def measured(group: Group, choice: Choice) -> bool:
        return choice is Choice.FLOAT or choice in effects[0].by_group[group.name]

    return tuple(
        Options(
            name=group.name,
            options=tuple(option(group, choice) for choice in group.choices if measured(group, choice)),
        )
        for group in groups
    )


def settle_plan(
    program: Program,
    options: Sequence[Options],
    ranges: Mapping[str, Ranges],
    crops: Sequence[Crop],
    references: Sequence[Pixels],
    *,
    allowed: Allowed,
    least_share: float = LEAST_SHARE,
    rounding: Rounding = INT8,
    costs: str = "",
    progress: Progress = silent,
) -> PrecisionPlan:
    """The cheapest plan whose simulation is safely within what is allowed, on all crops; references: them restored.

    Sums over groups say only roughly what groups do together, so every plan is simulated as a whole, and the budget
    shrinks until one is safe. Where none is, the safest is taken: the gates on judging pictures have the last word.
    GateError where even the loudest budget leaves less than `least_share` of MACs in integers, though they could be.
    """

    def attempt(margin_db: float) -> PrecisionPlan:
        placed = place(options, allowed.budget(margin_db), least_share=least_share, fewer=rounding.name)
        chosen = {name for group in placed for name in group.chosen.integer}
        integer = {name: found for name, found in ranges.items() if name in chosen}
        text = f"simulating {rounding.name}, {margin_db:g} dB below the limits"
        effects = simulate(program, integer, progress(crops, text), references, rounding=rounding)
        return _plan(placed, integer, summed_up(crops, effects), costs=costs)

    return loudest_safe(attempt, lambda plan: plan.simulated.slack_db(allowed))


def _plan(placed: Sequence[Placed], integer: dict[str, Ranges], simulated: Simulated, *, costs: str) -> PrecisionPlan:
    floats = sum(group.float_cost for group in placed)
    return PrecisionPlan(
        integer=integer,
        simulated=simulated,
        skipped=tuple(Skipped(what=g.name, reason=g.reason) for g in placed if g.chosen.choice is Choice.FLOAT),
        integer_share=sum(group.chosen.share for group in placed),
        groups=tuple(placed),
        costs=costs,
        cost_share=sum(group.chosen.cost for group in placed) / floats if floats else None,
    )
