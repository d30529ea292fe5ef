"""Where fewer bits go: the cheapest choice for every group within budgets of noise and of lost PSNR.

Numbers in, a plan out. Errors of different groups are nearly uncorrelated, so their powers add up; what they have in
common with the error there is makes losses, which add up as long as they are small; costs add up because groups run one
after the other. That is a knapsack with one choice a group, solved exactly as an integer program.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import inf, log10

import numpy as np
from numpy.typing import NDArray

from moceir_edge.compress.groups import Choice
from moceir_edge.compress.stored_weights import Stored
from moceir_edge.errors import GateError
from moceir_edge.records import Record

GAP = 1e-3
"""Relative distance from the cheapest plan at which the search may stop."""

SMALL_LOSS_DB = 0.0005
"""Of PSNR, below which a loss is not worth a word."""


class Option(Record):
    """One choice for a group of convolutions, or for how the weights of one are stored.

    cost: in the unit of all costs of a plan. noise: error power at the output over the power of what the network adds.
    losses: of PSNR in dB by task, without sign. share: of all MACs, in integers. integer: its convolutions in
    integers.
    """

    choice: Choice | Stored
    integer: tuple[str, ...]
    cost: float
    noise: float
    share: float
    losses: dict[str, float]

    @property
    def harm(self) -> str:
        """What it costs in quality, in words."""
        said = f"noise {noise_db(self.noise):.1f} dB below what the network adds"
        task = max(self.losses, key=lambda name: self.losses[name], default=None)
        if task is None or self.losses[task] < SMALL_LOSS_DB:
            return said
        return f"{said}, {self.losses[task]:.3f} dB of {task} lost"


class Options(Record):
    """What a group can be: float, then what else it can be."""

    name: str
    options: tuple[Option, ...]

    @property
    def largest_share(self) -> float:
        """As much of it as can be in integers."""
        return max(option.share for option in self.options)

    @property
    def cheapest(self) -> Option:
        """In integers."""
        return min(self.options[1:], key=lambda option: option.cost)

    @property
    def quietest(self) -> Option:
        """In integers."""
        return min(self.options[1:], key=lambda option: option.noise)


class Placed(Record):
    """The choice for a group, its numbers beside those of float, and why."""

    name: str
    chosen: Option
    float_cost: float
    reason: str


class Budget(Record):
    """residual_snr_db: how far noise stays below what the network adds; loss_db: of PSNR, summed up for each task."""

    residual_snr_db: float
    loss_db: float

    def spent(self, option: Option) -> float:
        """The largest share of the budget that a choice takes."""
        noise = option.noise * 10 ** (self.residual_snr_db / 10)
        return max([noise, *(loss / self.loss_db for loss in option.losses.values())])


def place(groups: Sequence[Options], budget: Budget, *, least_share: float, fewer: str = "int8") -> tuple[Placed, ...]:
    """The cheapest choices within a budget.

    least_share: of all MACs that have to be in fewer bits, or as many as can be. fewer: what people call those.
    GateError where that is too loud.
    """
    possible = sum(group.largest_share for group in groups)
    least_share = min(least_share, possible * (1 - GAP))
    chosen = _solve(groups, budget, least_share=least_share)
    if chosen is None:
        raise _impossible(groups, budget, least_share=least_share, fewer=fewer)
    return tuple(_placed(group, option, fewer) for group, option in zip(groups, chosen, strict=True))


def noise_db(noise: float) -> float:
    """How far a noise power lies below what the network adds."""
    return -10 * log10(noise) if noise > 0 else inf


def _solve(groups: Sequence[Options], budget: Budget, *, least_share: float) -> list[Option] | None:
    from scipy.optimize import Bounds, LinearConstraint, milp

    flat = [(position, option) for position, group in enumerate(groups) for option in group.options]
    if not flat:
        return [] if least_share <= 0 else None
    one_each = np.zeros((len(groups), len(flat)))
    for column, (position, _) in enumerate(flat):
        one_each[position, column] = 1

    def row(number: Callable[[Option], float]) -> NDArray[np.float64]:
        return np.array([number(option) for _, option in flat])

    cost = row(lambda option: option.cost)
    noise = row(lambda option: option.noise) * 10 ** (budget.residual_snr_db / 10)
    tasks = sorted({task for _, option in flat for task in option.losses})
    losses = [row(partial(_loss_of, task)) / budget.loss_db for task in tasks]
    found = milp(
        cost / max(cost.max(), 1e-30),
        integrality=np.ones(len(flat)),
        bounds=Bounds(0, 1),
        constraints=[
            LinearConstraint(one_each, 1, 1),
            *(LinearConstraint(spent, -inf, 1) for spent in (noise, *losses)),
            LinearConstraint(row(lambda option: option.share), least_share, inf),
        ],
        options={"mip_rel_gap": GAP, "time_limit": 60},
    )
    if found.x is None:
        return None
    return [option for (_, option), taken in zip(flat, found.x, strict=True) if taken > 0.5]


def _loss_of(task: str, option: Option) -> float:
    return option.losses.get(task, 0.0)


def _placed(group: Options, option: Option, fewer: str) -> Placed:
    reason = _reason(group, option, fewer)
    return Placed(name=group.name, chosen=option, float_cost=group.options[0].cost, reason=reason)


def _reason(group: Options, chosen: Option, fewer: str) -> str:
    base = group.options[0]
    if chosen.choice is not Choice.FLOAT:
        worth = "" if chosen.cost < base.cost else f"; dearer than float, taken for the share of MACs in {fewer}"
        return f"costs {chosen.cost / base.cost:.2f} of float; {chosen.harm}{worth}"
    best = group.cheapest
    named = best.choice.replace("int8", fewer) if isinstance(best.choice, Choice) else best.choice
    if best.cost >= base.cost:
        return f"{named} costs {best.cost / base.cost:.2f} times as much as float"
    return f"{named} would cost {best.cost / base.cost:.2f} of float, but what it harms is worth more: {best.harm}"


def _impossible(groups: Sequence[Options], budget: Budget, *, least_share: float, fewer: str) -> GateError:
    loud = sorted(groups, key=lambda group: -budget.spent(group.quietest))[:3]
    named = "; ".join(f"{group.name}: {group.quietest.harm}" for group in loud)
    return GateError(
        f"no placement of {fewer} with {least_share:.0%} of the MACs in it keeps its noise "
        f"{budget.residual_snr_db:.1f} dB below what the network adds and the sum of its losses under "
        f"{budget.loss_db:.2f} dB of PSNR (the limits, and a margin for other pictures); loudest alone: "
        f"{named or 'no group can be quantized'}",
        "loosen limits.residual_snr_db or limits.quality_loss_db with a reason, or choose float16",
    )
