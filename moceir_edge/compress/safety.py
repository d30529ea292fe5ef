"""What the gates allow of fewer bits, and the search for the loudest plan that is safely within it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from math import inf, log10
from statistics import fmean
from typing import Annotated, TypeVar

from pydantic import AfterValidator

from moceir_edge.compress.crops import HIGHEST_DB, Crop, tolerated_power
from moceir_edge.compress.groups import Choice
from moceir_edge.compress.placement import Budget, Option, noise_db
from moceir_edge.compress.simulation import Effect
from moceir_edge.compress.stored_weights import Stored
from moceir_edge.errors import GateError
from moceir_edge.metrics import Pixels
from moceir_edge.records import Record

P = TypeVar("P")

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


def _sane(loss_db: float) -> float:
    return min(max(loss_db, SMALLEST_LOSS_DB), HIGHEST_DB)


Loss = Annotated[float, AfterValidator(_sane)]
"""Of PSNR in dB: a limit that allows nothing, or anything, has a number that can be computed with."""


class Allowed(Record):
    """What the gates allow: residual SNR on the worst picture, lost PSNR in the mean of a task and on the worst.

    safety_db: how far above the residual SNR a plan has to stay on calibration crops.
    """

    residual_snr_db: float
    mean_loss_db: Loss
    worst_loss_db: Loss
    safety_db: float = SAFETY_DB

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
        """How much louder a plan could be and still be safely within what is allowed; negative if it is too loud."""
        pairs = [(change, allowed.mean_loss_db) for change in self.mean_change_db.values()]
        if self.largest_change_db is not None:
            pairs.append((self.largest_change_db, allowed.worst_loss_db))
        losses = (20 * log10(SAFE_SHARE * limit / found) for found, limit in pairs if found > 0)
        return min([self.residual_snr_db - allowed.residual_snr_db - allowed.safety_db, *losses])


def option_of(
    choice: Choice | Stored,
    found: Sequence[tuple[str, Effect]],
    *,
    cost: float,
    integer: tuple[str, ...] = (),
    share: float = 0.0,
) -> Option:
    """A choice with its effects by task: noise counts on the crop where it is loudest, a loss in the mean over the
    crops of a task, without its sign.
    """
    losses: dict[str, list[float]] = defaultdict(list)
    for task, one in found:
        if one.loss_db is not None:
            losses[task].append(abs(one.loss_db))
    return Option(
        choice=choice,
        integer=integer,
        cost=cost,
        noise=max((one.noise for _, one in found), default=0.0),
        losses={task: fmean(lost) for task, lost in losses.items()},
        share=share,
    )


def loudest_safe(attempt: Callable[[float], P], slack_db: Callable[[P], float]) -> P:
    """The plan of the loudest budget that is safe, or the safest one.

    attempt: a plan for a budget that is so many dB below the limits; GateError where there is none, which the loudest
    budget passes on. slack_db: of a plan, negative if it is not safe.
    """
    tried: list[tuple[float, P]] = []
    margin, step, impossible = LOUDEST_DB, STEP_DB, inf
    while margin <= QUIETEST_DB and step >= FINEST_DB:
        if margin >= impossible:
            step /= 2
            margin -= step
            continue
        try:
            plan = attempt(margin)
        except GateError:
            if not tried:
                raise
            impossible = margin
            continue
        tried.append((slack_db(plan), plan))
        if tried[-1][0] >= 0:
            break
        margin += step
    return max(tried, key=lambda pair: pair[0])[1]


def summed_up(crops: Sequence[Crop], effects: Sequence[Effect]) -> Simulated:
    """What fewer bits do to all crops."""
    changes: dict[str, list[float]] = defaultdict(list)
    for crop, one in zip(crops, effects, strict=True):
        if one.loss_db is not None:
            changes[crop.task].append(abs(one.loss_db))
    return Simulated(
        residual_snr_db=min(noise_db(max(one.noise, SMALLEST_NOISE)) for one in effects),
        mean_change_db={task: fmean(found) for task, found in changes.items()},
        largest_change_db=max((max(found) for found in changes.values()), default=None),
    )
