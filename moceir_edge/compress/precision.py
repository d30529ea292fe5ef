"""Which convolutions run in 8-bit integers: measured noise and costs in, a plan out, simulated as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from moceir_edge.compress.group_costs import GroupCosts
from moceir_edge.compress.groups import Choice, Group
from moceir_edge.compress.placement import Option, Options, Placed, noise_db, place
from moceir_edge.compress.simulation import SMALLEST_NOISE, Crops, Noises, Ranges, simulated_snr_db
from moceir_edge.errors import GateError
from moceir_edge.program.macs import macs_by_operation
from moceir_edge.program.program import Program
from moceir_edge.records import Record, Skipped

SAFETY_DB = 8.0
"""How far above the gate a plan has to stay on calibration crops, which are not the judging pictures."""

BUDGETS_DB = (4.0, 8.0, 12.0, 16.0, 20.0, 24.0)
"""Noise budgets that are tried, as dB below what the gate allows, the loudest first."""

LEAST_SHARE = 0.62
"""Of all MACs in integers: the gate of 60 % counts in the runtime's own graph, a little above it is safe."""


class PrecisionPlan(Record):
    """integer: convolutions in int8, in running order, with their ranges; skipped: the others, with the reason.

    groups: the choice for each group with its numbers. costs: what the costs are, in words. cost_share: of the plan,
    against float everywhere. expected_residual_snr_db: what the noise powers add up to at most; where its PSNR allows a
    crop less noise, the noise counts for as much more. integer_share: of all MACs. model_sha256: what it was made for.
    """

    integer: dict[str, Ranges]
    skipped: tuple[Skipped, ...]
    integer_share: float
    expected_residual_snr_db: float
    groups: tuple[Placed, ...] = ()
    costs: str = ""
    cost_share: float | None = None
    model_sha256: str | None = None


def options_of(
    program: Program, groups: Sequence[Group], noises: Noises, costs: GroupCosts, *, size: tuple[int, int]
) -> tuple[Options, ...]:
    """Float and every choice whose noise was measured; shares of MACs are those of a picture of `size`."""
    counts = macs_by_operation(program, *size)
    total = sum(counts.values())

    def option(group: Group, choice: Choice) -> Option:
        integer = group.integer(choice)
        return Option(
            choice=choice,
            integer=integer,
            cost=costs.by_group[group.name][choice],
            noise=0.0 if choice is Choice.FLOAT else noises.by_group[group.name][choice],
            share=sum(counts[name] for name in integer) / total,
        )

    return tuple(
        Options(
            name=group.name,
            options=tuple(option(group, choice) for choice in (Choice.FLOAT, *noises.by_group[group.name])),
        )
        for group in groups
    )


def settle_plan(
    program: Program,
    options: Sequence[Options],
    ranges: Mapping[str, Ranges],
    crops: Crops,
    references: Crops,
    *,
    residual_snr_db: float,
    tolerances: Sequence[float] | None = None,
    least_share: float = LEAST_SHARE,
    reduced_range: bool = False,
    costs: str = "",
) -> PrecisionPlan:
    """The cheapest plan whose simulation stays above the gate by `SAFETY_DB` on every crop.

    references: the restored crops. tolerances: of the crops, by which the noises of the options are divided already
    (see `measure_tolerances`). Noise powers add up only roughly, so every plan is simulated as a whole, and the budget
    shrinks until one holds. The last possible one is taken in any case: the gate on judging pictures has the last word.
    GateError where even the loudest budget leaves less than `least_share` of MACs in integers, though they could be.
    """
    plan: PrecisionPlan | None = None
    for margin in BUDGETS_DB:
        try:
            placed = place(options, residual_snr_db=residual_snr_db + margin, least_share=least_share)
        except GateError:
            if plan is None:
                raise
            return plan
        plan = _plan(placed, ranges, costs=costs)
        reached = simulated_snr_db(
            program, plan.integer, crops, references, reduced_range=reduced_range, tolerances=tolerances
        )
        if reached >= residual_snr_db + SAFETY_DB:
            break
    assert plan is not None
    return plan


def _plan(placed: Sequence[Placed], ranges: Mapping[str, Ranges], *, costs: str) -> PrecisionPlan:
    chosen = {name for group in placed for name in group.chosen.integer}
    spent = sum(group.chosen.noise for group in placed)
    floats = sum(group.float_cost for group in placed)
    return PrecisionPlan(
        integer={name: found for name, found in ranges.items() if name in chosen},
        skipped=tuple(Skipped(what=g.name, reason=g.reason) for g in placed if g.chosen.choice is Choice.FLOAT),
        integer_share=sum(group.chosen.share for group in placed),
        expected_residual_snr_db=noise_db(max(spent, SMALLEST_NOISE)),
        groups=tuple(placed),
        costs=costs,
        cost_share=sum(group.chosen.cost for group in placed) / floats if floats else None,
    )
