"""The guard: whether a picture is one of those that a model was made for, by the scores of its routers alone.

The rule, which the runners on devices compute too (`tests/guard_vectors.json` holds cases for all of them):

    x(picture) = ln(max(scores, floor)), all layers one after the other           L * E numbers
    d_i        = sqrt(mean((x - pictures_i) ** 2))                                 for every picture of the rule
    distance   = mean of the `neighbours` smallest d_i
    foreign    = not (distance <= threshold)                                       so no number (NaN) is foreign

A picture in tiles has the mean of its tiles' x: logits are linear in what a router sees of the picture, its mean.

`pictures` are the x of choosing pictures. The threshold is the upper prediction limit of their own distances, each
measured to the pictures of other photographs: mean + t * s * sqrt(1 + 1/n), with Student's t for n - 1 degrees of
freedom at 1 - `false_alarms`, n photographs and s the standard deviation. It assumes that distances are normal, which
lets few pictures say something; `left_out_false_alarms` tells how well that went.

Why this one: rain of several kinds, or several tasks, are groups of pictures, and the nearest few know groups where one
mean and its variances do not. `agreement` takes no part: it is what the best score of every layer says, and less.
Measured on the trained tiny model for rain (60 splits of 31 real pictures, about 10 choose): area under the ROC curve
for haze and low light 0.99 and 1.00 by this rule, 0.82 and 1.00 by mean and variances, 0.59 and 1.00 by agreement.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator
from scipy.stats import t as student

from moceir_edge.records import Record

Numbers = NDArray[np.float64]

FALSE_ALARMS = 0.05
"""Share of pictures of the model's tasks that may be called foreign."""

FLOOR = 1e-3
"""Scores below are not told apart: float16 and int8 do not know them to a digit, and their logarithms would decide."""

NEIGHBOURS = 3
FEWEST_PHOTOGRAPHS = 3
"""Two have one distance, which has no variance."""

DECIMALS = 4
"""Of stored logarithms: far below what 8 bits do to them."""


class GuardRule(Record):
    """What artifact.json says of it; see the module. false_alarms: what the threshold aims at.

    left_out_false_alarms: share of its pictures that a rule from those of all other photographs calls foreign; None
    where there are fewer than four photographs.
    """

    pictures: Annotated[tuple[tuple[float, ...], ...], Field(min_length=1)]
    neighbours: Annotated[int, Field(ge=1)]
    floor: Annotated[float, Field(gt=0)]
    threshold: Annotated[float, Field(ge=0)]
    false_alarms: Annotated[float, Field(gt=0, lt=1)]
    left_out_false_alarms: float | None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if len({len(picture) for picture in self.pictures}) > 1 or not self.pictures[0]:
            raise ValueError("its pictures are not of one length")
        if self.neighbours > len(self.pictures):
            raise ValueError(f"{self.neighbours} neighbours are more than its pictures")
        return self


class Verdict(Record):
    """distance: None where the scores are no numbers."""

    distance: float | None
    threshold: float
    foreign: bool

    @property
    def text(self) -> str:
        """The figure and its limit, for people."""
        shown = "no number" if self.distance is None else f"{self.distance:.2f}"
        return f"routing distance {shown}, limit {self.threshold:.2f}"


def verdict(rule: GuardRule, tiles: Sequence[NDArray[np.float32]]) -> Verdict:
    """Whether a picture is foreign to the model. tiles: the scores (L, E) of each of its tiles, one for a whole one."""
    point = np.mean([logarithms(scores, floor=rule.floor) for scores in tiles], axis=0)
    distances = np.sort(np.sqrt(np.mean((np.asarray(rule.pictures) - point) ** 2, axis=1)))
    distance = float(distances[: rule.neighbours].mean())
    known = math.isfinite(distance)
    foreign = not distance <= rule.threshold
    return Verdict(distance=distance if known else None, threshold=rule.threshold, foreign=foreign)


def logarithms(scores: NDArray[np.float32], *, floor: float = FLOOR) -> Numbers:
    """(L, E) scores to (L * E,)."""
    logs: Numbers = np.log(np.maximum(scores.astype(np.float64), floor)).ravel()
    return logs


def rule_from_scores(
    scores: Sequence[NDArray[np.float32]], photographs: Sequence[str], *, false_alarms: float = FALSE_ALARMS
) -> GuardRule | str:
    """The rule of choosing pictures, or why there can be none.

    scores: (L, E) of each; photographs: what each was made from, for two rains on one photograph are no two witnesses.
    """
    names = np.asarray(photographs)
    different = len(set(photographs))
    if different < FEWEST_PHOTOGRAPHS:
        return f"{different} choosing photographs are too few for a threshold, it takes {FEWEST_PHOTOGRAPHS}"
    points = np.round([logarithms(each) for each in scores], DECIMALS)
    distances = np.sqrt(np.mean((points[:, None] - points[None]) ** 2, axis=2))
    others = names[:, None] != names[None]
    neighbours = min(NEIGHBOURS, int(others.sum(1).min()))
    threshold = _threshold(distances, others, names, neighbours=neighbours, false_alarms=false_alarms)
    return GuardRule(
        pictures=tuple(tuple(map(float, point)) for point in points),
        neighbours=neighbours,
        floor=FLOOR,
        threshold=round(threshold, DECIMALS),
        false_alarms=false_alarms,
        left_out_false_alarms=_left_out(distances, names, false_alarms=false_alarms),
    )


def _threshold(
    distances: Numbers, others: NDArray[np.bool_], names: NDArray[np.str_], *, neighbours: int, false_alarms: float
) -> float:
    """The upper prediction limit of the distances to other photographs."""
    own = _nearest(np.where(others, distances, np.inf), neighbours)
    n = len(set(names))
    reach = float(student.ppf(1 - false_alarms, n - 1)) * math.sqrt(1 + 1 / n)
    return float(own.mean() + reach * own.std(ddof=1))


def _nearest(distances: Numbers, neighbours: int) -> Numbers:
    """(n, m) distances to the mean of the smallest in each row: (n,)."""
    nearest: Numbers = np.sort(distances, axis=1)[:, :neighbours].mean(1)
    return nearest


def _left_out(distances: Numbers, names: NDArray[np.str_], *, false_alarms: float) -> float | None:
    """The share of pictures that the others call foreign, each photograph left out in turn."""
    alarms = 0
    for name in sorted(set(names)):
        out, kept = names == name, names != name
        if len(set(names[kept])) < FEWEST_PHOTOGRAPHS:
            return None
        others = names[kept][:, None] != names[kept][None]
        neighbours = min(NEIGHBOURS, int(others.sum(1).min()))
        limit = _threshold(
            distances[np.ix_(kept, kept)], others, names[kept], neighbours=neighbours, false_alarms=false_alarms
        )
        alarms += int((_nearest(distances[np.ix_(out, kept)], neighbours) > limit).sum())
    return alarms / len(names)
