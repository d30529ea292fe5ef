"""How long each variant takes, side by side in rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from moceir_edge.benchmarking.variants import Variant
from moceir_edge.records import Record
from moceir_edge.runner import Image, Runner
from moceir_edge.terms import Progress, silent
from moceir_edge.timing import interleaved_ms


class Timing(Record):
    """Latency of a variant: median and quartiles over the rounds, and every round in order."""

    median_ms: float
    lower_ms: float
    upper_ms: float
    rounds_ms: tuple[float, ...]


def measure_rounds(
    runners: Mapping[Variant, Runner], image: Image, *, rounds: int, progress: Progress = silent
) -> dict[Variant, Timing]:
    """Time every runner `rounds` times on one picture."""
    calls = {variant: partial(runner.run, image) for variant, runner in runners.items()}
    measured = interleaved_ms(calls, rounds=rounds, progress=progress)
    return {variant: timing_of(rounds_ms) for variant, rounds_ms in measured.items()}


def timing_of(rounds_ms: Sequence[float]) -> Timing:
    """The statistics of some runs."""
    lower, median, upper = (float(value) for value in np.quantile(rounds_ms, [0.25, 0.5, 0.75]))
    return Timing(median_ms=median, lower_ms=lower, upper_ms=upper, rounds_ms=tuple(rounds_ms))
