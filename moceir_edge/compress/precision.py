"""Which convolutions run in 8-bit integers: measured effects and costs in, a plan out, simulated as a whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import inf, log10
from statistics import fmean
from typing import Annotated

from pydantic import AfterValidator

from moceir_edge.compress.crops import HIGHEST_DB, Crop, tolerated_power
from moceir_edge.compress.group_costs import GroupCosts
from moceir_edge.compress.groups import Choice, Group
from moceir_edge.compress.placement import Budget, Option, Options, Placed, noise_db, place
from moceir_edge.compress.ranges import Ranges
from moceir_edge.compress.simulation import Effect, Effects, simulate
from moceir_edge.errors import GateError
from moceir_edge.metrics import Pixels
from moceir_edge.program.macs import macs_by_operation
from moceir_edge.program.program import Program
from moceir_edge.records import Record, Skipped
from moceir_edge.terms import Precision, Progress, silent

SAFETY_DB = 10.0
"""How far above the gate of the residual SNR a plan stays on calibration crops: they are not the judging pictures."""

SAFE_SHARE = 0.5
"""Of the PSNR that may be lost, how much a plan may lose on calibration crops."""

LOUDEST_DB, QUIETEST_DB = 4.0, 24.0
"""Between which budgets are tried, as dB below what the gate of the residual SNR allows, the loudest first."""

STEP_DB, FINEST_DB = 4.0, 0.5
"""Between budgets, and towards the quietest that is possible."""

LOOSE_DB = 10.0
"""How much looser the sum of losses over the groups is than the mean loss that is allowed, in dB: they are added up as
if all had one sign, and cancel out in part."""

SMALLEST_NOISE, SMALLEST_LOSS_DB = 1e-20, 1e-6

LEAST_SHARE = 0.605
"""Of all MACs in integers: the gate of 60 % counts in the runtime's own graph, a little above it is safe."""


def _sane(loss_db: float) -> float:
    return min(max(loss_db, SMALLEST_LOSS_DB), HIGHEST_DB)


Loss = Annotated[float, AfterValidator(_sane)]
"""Of PSNR in dB: a limit that allows nothing, or anything, has a number that can be computed with."""


class Allowed(Record):
    """What the gates allow: residual SNR on the worst picture, lost PSNR in the mean of a task and on the worst."""

    residual_snr_db: float
    mean_loss_db: Loss
    worst_loss_db: Loss

    def tolerated(self, crop: Crop, reference: Pixels) -> float:
        """The error power of a restored crop, if it is noise.

        Of losses as much as is safe: an error that leans to one side costs more than noise of its power.
        """
        loss_db = SAFE_SHARE * self.worst_loss_db
        return tolerated_power(crop, reference, residual_snr_db=self.residual_snr_db, loss_db=loss_db)

    def budget(self, margin_db: float) -> Budget:
        """For the sums over groups."""
        loss_db = self.mean_loss_db * 10 ** ((LOOSE_DB - margin_db) / 20)
        return Budget(residual_snr_db=self.residual_snr_db + margin_db, loss_db=loss_db)


class Simulated(Record):
    """A plan on the calibration crops: residual SNR on the worst, change of PSNR in the mean of each task and the most.

    Changes have no sign: what is nearer to the target by chance on one picture is as much farther from it on another.
    A task without targets, or that the network does not restore, has none.
    """

    residual_snr_db: float
    mean_change_db: dict[str, float]
    largest_change_db: float | None

    def slack_db(self, allowed: Allowed) -> float:
        """How much louder int8 could be until it is no longer safely within what is allowed; negative if it is not."""
        pairs = [(change, allowed.mean_loss_db) for change in self.mean_change_db.values()]
        if self.largest_change_db is not None:
            pairs.append((self.largest_change_db, allowed.worst_loss_db))
        losses = (20 * log10(SAFE_SHARE * limit / found) for found, limit in pairs if found > 0)
        return min([self.residual_snr_db - allowed.residual_snr_db - SAFETY_DB, *losses])


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
    """Float and every choice whose effects were measured, on one crop or more; MACs are those of a picture of `size`.

    Noise counts on the crop where it is loudest, a loss in the mean over the crops of a task, without its sign.
    """
    counts = macs_by_operation(program, *size)
    total = sum(counts.values())

    def option(group: Group, choice: Choice) -> Option:
        integer = group.integer(choice)
        found = [] if choice is Choice.FLOAT else [(e.task, e.by_group[group.name][choice]) for e in effects]
        losses: dict[str, list[float]] = defaultdict(list)
        for task, one in found:
            if one.loss_db is not None:
                losses[task].append(abs(one.loss_db))
        return Option(
            choice=choice,
            integer=integer,
            cost=costs.by_group[group.name][choice],
            noise=max((one.noise for _, one in found), default=0.0),
            losses={task: fmean(lost) for task, lost in losses.items()},
            share=sum(counts[name] for name in integer) / total,
        )

    return tuple(
        Options(
            name=group.name,
            options=tuple(option(group, choice) for choice in (Choice.FLOAT, *effects[0].by_group[group.name])),
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
    reduced_range: bool = False,
    precision: Precision = Precision.INT8,
    costs: str = "",
    progress: Progress = silent,
) -> PrecisionPlan:
    """The cheapest plan whose simulation is safely within what is allowed, on all crops; references: them restored.

    Sums over groups say only roughly what groups do together, so every plan is simulated as a whole, and the budget
    shrinks until one is safe. Where none is, the safest is taken: the gates on judging pictures have the last word.
    GateError where even the loudest budget leaves less than `least_share` of MACs in integers, though they could be.
    """
    tried: list[tuple[float, PrecisionPlan]] = []
    margin, step, impossible = LOUDEST_DB, STEP_DB, inf
    while margin <= QUIETEST_DB and step >= FINEST_DB:
        if margin >= impossible:
            step /= 2
            margin -= step
            continue
        try:
            placed = place(options, allowed.budget(margin), least_share=least_share)
        except GateError:
            if not tried:
                raise
            impossible = margin
            continue
        chosen = {name for group in placed for name in group.chosen.integer}
        integer = {name: found for name, found in ranges.items() if name in chosen}
        text = f"simulating {precision}, {margin:g} dB below the limits"
        effects = simulate(
            program, integer, progress(crops, text), references, reduced_range=reduced_range, precision=precision
        )
        plan = _plan(placed, integer, summed_up(crops, effects), costs=costs)
        tried.append((plan.simulated.slack_db(allowed), plan))
        if tried[-1][0] >= 0:
            break
        margin += step
    return max(tried, key=lambda pair: pair[0])[1]


def summed_up(crops: Sequence[Crop], effects: Sequence[Effect]) -> Simulated:
    """What int8 does to all crops."""
    changes: dict[str, list[float]] = defaultdict(list)
    for crop, one in zip(crops, effects, strict=True):
        if one.loss_db is not None:
            changes[crop.task].append(abs(one.loss_db))
    return Simulated(
        residual_snr_db=min(noise_db(max(one.noise, SMALLEST_NOISE)) for one in effects),
        mean_change_db={task: fmean(found) for task, found in changes.items()},
        largest_change_db=max((max(found) for found in changes.values()), default=None),
    )


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
