"""Whether one model is slower than another, at 95 % confidence. Plain numbers in, a verdict out.

Times of one run of a runner are alike over seconds: whoever else is at work stays there. So its level (a quantile of
its times) is as unsure as it changes when an eighth of the run, one block after the other, is left out: the jackknife,
with blocks that are deleted because single times are not independent. Two runs also find other machines, other places
in memory; several of them on a side show that, and one alone is never believed to be surer than `QUIET_ERROR`.

Processor time hardly grows where others take their turns, and grows where they share a core's caches and units. That
part also lengthens the yardstick, by which it is divided. Its lower quartile is what was measured to repeat best. Runs
in turns are worth more than all of that: what two neighbours have in common falls out of their ratio.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from moceir_edge.device_result import Confident
from moceir_edge.records import Record

LEAST_EFFECT = 0.03
"""A smaller difference is called equal even if it is real: what is not worth a person's time."""

RESOLUTION = 0.10
"""An interval that leaves room for such a difference, and excludes neither it nor equality, decides nothing."""

BLOCKS = 8
LEAST_RUNS = 2 * BLOCKS
"""With fewer times, leaving out a block says nothing."""

QUIET_ERROR, DISTURBED_ERROR = 0.015, 0.025
"""Least standard error of one run's level, whatever it says of itself: so much it changed from one process to the next,
on two cores without others (12 runs of 4 s) and with others who wanted 2 to 12 cores (23 runs of 5 and 8 s)."""

TURNS_ERROR = 0.01
"""The same of the ratio of two processes that take turns: where each lies in memory."""


Times = NDArray[np.float64]


class Decision(StrEnum):
    """What is said of B against A."""

    EQUAL = "equal"
    SLOWER = "slower"
    FASTER = "faster"
    UNDECIDED = "undecided"


class Comparison(Record):
    """B against A by one kind of time: ratio B / A with its 95 % interval."""

    by: str
    decision: Decision
    ratio: Confident


@dataclass(frozen=True)
class Sample:
    """The logarithm of what one run says, and the variance of that."""

    level: float
    variance: float


def decide(ratio: Confident) -> Decision:
    """A real difference (1 is outside of the interval) of at least 3 % counts; see `RESOLUTION` for undecided."""
    real = ratio.low > 1 or ratio.high < 1
    if real and abs(math.log(ratio.value)) >= math.log1p(LEAST_EFFECT):
        return Decision.SLOWER if ratio.value > 1 else Decision.FASTER
    if max(ratio.high, 1 / ratio.low) >= 1 + RESOLUTION:
        return Decision.UNDECIDED
    return Decision.EQUAL


def of_times(times: Sequence[float]) -> Sample | None:
    """A run without others at work by the median of its times; None for too few, or for a median of 0."""
    logarithms = _logarithms(times)
    return _sample(len(times), lambda kept: float(np.median(logarithms[kept])), QUIET_ERROR)


def of_processor(times: Sequence[float], yardstick: Sequence[float], *, disturbed: bool) -> Sample | None:
    """A run by the lower quartiles of its processor times and of the yardstick; None for too few, or a quartile of 0.

    disturbed: others were at work.
    """
    work, measure = np.asarray(times), np.asarray(yardstick)

    def level(kept: NDArray[np.intp]) -> float:
        upper, lower = _logarithms([float(np.quantile(each[kept], 0.25)) for each in (work, measure)])
        return float(upper) - float(lower)

    return _sample(min(len(work), len(measure)), level, DISTURBED_ERROR if disturbed else QUIET_ERROR)


def of_turns(a: Sequence[float], b: Sequence[float]) -> Sample | None:
    """Two runs in turns by the median ratio B / A of neighbours; None for too few, or where 0 leaves no median."""
    count = min(len(a), len(b))
    with np.errstate(invalid="ignore"):  # of two times of 0 there is no ratio
        ratios = _logarithms(b[:count]) - _logarithms(a[:count])
    return _sample(count, lambda kept: float(np.median(ratios[kept])), TURNS_ERROR)


def compare_runs(by: str, a: Sequence[Sample | None], b: Sequence[Sample | None]) -> Comparison | None:
    """Of runs one after the other, some on each side; None where one of them has too few times."""
    sides = [[sample for sample in side if sample is not None] for side in (a, b)]
    if [len(side) for side in sides] != [len(a), len(b)] or not all(sides):
        return None
    variance, freedom = _variance(sides)
    first, second = (float(np.mean([sample.level for sample in side])) for side in sides)
    return _comparison(by, second - first, variance * (1 / len(a) + 1 / len(b)), freedom)


def compare_turns(by: str, sessions: Sequence[Sample | None]) -> Comparison | None:
    """Of sessions in turns, each with processes of its own; None where one has too few times."""
    known = [sample for sample in sessions if sample is not None]
    if not known or len(known) < len(sessions):
        return None
    variance, freedom = _variance([known])
    return _comparison(by, float(np.mean([sample.level for sample in known])), variance / len(known), freedom)


def _sample(count: int, level: Callable[[NDArray[np.intp]], float], least_error: float) -> Sample | None:
    """The level of all times, and its variance by the jackknife with a block left out."""
    if count < LEAST_RUNS:
        return None
    whole = np.arange(count)
    with np.errstate(invalid="ignore"):  # the middle of two infinite logarithms
        left_out = np.array([level(np.delete(whole, block)) for block in np.array_split(whole, BLOCKS)])
        all_of_it = level(whole)
    if not np.isfinite([all_of_it, *left_out]).all():
        return None
    variance = (BLOCKS - 1) / BLOCKS * float(np.sum((left_out - left_out.mean()) ** 2))
    return Sample(all_of_it, max(variance, least_error**2))


def _logarithms(times: Sequence[float]) -> Times:
    """Of 0, which a clock that ticks slowly tells, it is infinite."""
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(times, np.float64))


def _variance(sides: Sequence[Sequence[Sample]]) -> tuple[float, float]:
    """Of one run's level, the same on every side, with its degrees of freedom.

    It is that between the runs of a side, or what they say of themselves, whichever is greater.
    """
    samples = [sample for side in sides for sample in side]
    within = float(np.mean([sample.variance for sample in samples]))
    apart = len(samples) - len(sides)
    squares = sum(float(np.var([sample.level for sample in side])) * len(side) for side in sides)
    between = squares / apart if apart else 0.0
    return max(within, between), apart + len(samples) * (BLOCKS - 1) if within >= between else apart


def _comparison(by: str, difference: float, variance: float, freedom: float) -> Comparison:
    half = float(stats.t.ppf(0.975, freedom)) * math.sqrt(variance)
    ratio = Confident(value=math.exp(difference), low=math.exp(difference - half), high=math.exp(difference + half))
    return Comparison(by=by, decision=decide(ratio), ratio=ratio)
