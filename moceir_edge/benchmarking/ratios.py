"""Pair-wise ratios: how many times as fast, round by round, so that a slow moment of the machine hits both sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from moceir_edge.benchmarking.timing import Timing
from moceir_edge.benchmarking.variants import BASELINES, Variant
from moceir_edge.records import Record

DRAWS = 2000


class Ratio(Record):
    """Time of `against` over time of `variant`, above 1 where the variant is faster.

    median, lower, upper: of the ratios of single rounds, with quartiles; low, high: 95 % bootstrap interval of the
    median (percentile bootstrap; Efron, 1979; fixed seed).
    """

    variant: Variant
    against: Variant
    median: float
    lower: float
    upper: float
    low: float
    high: float


def ratios(timings: Mapping[Variant, Timing]) -> tuple[Ratio, ...]:
    """Every variant against every baseline that was timed."""
    known = [baseline for baseline in BASELINES if baseline in timings]
    return tuple(
        ratio_of(variant, baseline, timing.rounds_ms, timings[baseline].rounds_ms)
        for baseline in known
        for variant, timing in timings.items()
        if variant is not baseline
    )


def ratio_of(variant: Variant, against: Variant, own_ms: Sequence[float], other_ms: Sequence[float]) -> Ratio:
    """The ratio of two series of rounds; entry i of both is round i."""
    found = np.asarray(other_ms, np.float64) / np.asarray(own_ms, np.float64)
    drawn = np.median(np.random.default_rng(0).choice(found, (DRAWS, len(found))), axis=1)
    low, high = (float(value) for value in np.quantile(drawn, [0.025, 0.975]))
    lower, median, upper = (float(value) for value in np.quantile(found, [0.25, 0.5, 0.75]))
    return Ratio(variant=variant, against=against, median=median, lower=lower, upper=upper, low=low, high=high)
