"""Equal is called equal and 10 % slower is called slower, on machines that drift; what cannot be told is not."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from moceir_edge.device_result import Confident
from moceir_edge.profiling.deciding import (
    LEAST_RUNS,
    Decision,
    compare_runs,
    compare_turns,
    decide,
    of_processor,
    of_times,
    of_turns,
)

TRACES = json.loads((Path(__file__).parent / "traces.json").read_text())
SLOWER = 1.1

Times = NDArray[np.float64]


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (1.10, 1.05, 1.15, Decision.SLOWER),
        (0.90, 0.86, 0.95, Decision.FASTER),
        (1.02, 1.01, 1.03, Decision.EQUAL),  # real, and too small to matter
        (1.01, 0.95, 1.07, Decision.EQUAL),
        (1.05, 0.99, 1.12, Decision.UNDECIDED),
        (0.97, 0.88, 1.07, Decision.UNDECIDED),
    ],
)
def test_what_an_interval_decides(value: float, low: float, high: float, expected: Decision) -> None:
    """A difference counts if it is real and at least 3 %; equality if 10 % are excluded."""
    assert decide(Confident(value=value, low=low, high=high)) is expected


@pytest.mark.parametrize("load", ["light", "heavy"])
@pytest.mark.parametrize("factor", [1.0, SLOWER])
def test_recorded_runs_one_after_the_other(load: str, factor: float) -> None:
    """Every run against every other one: rarely wrong; mostly right where the load was light, else mostly undecided."""
    runs = [(np.array(run["cpu_ms"]), np.array(run["yardstick_ms"])) for run in TRACES[load]]
    disturbed, found = load == "heavy", Counter[Decision]()
    for (work_a, measure_a), (work_b, measure_b) in itertools.permutations(runs, 2):
        a = of_processor(work_a, measure_a, disturbed=disturbed)
        b = of_processor(work_b * factor, measure_b, disturbed=disturbed)
        comparison = compare_runs("processor time", [a], [b])
        assert comparison is not None
        found[comparison.decision] += 1
    right = Decision.SLOWER if factor > 1 else Decision.EQUAL
    assert found.total() - found[right] - found[Decision.UNDECIDED] <= 0.05 * found.total()
    if load == "light":
        assert found[right] >= 0.9 * found.total()


@pytest.mark.parametrize("factor", [1.0, SLOWER])
def test_recorded_runs_three_on_a_side(factor: float) -> None:
    """Several runs on a side decide what one cannot."""
    runs = [(np.array(run["cpu_ms"]), np.array(run["yardstick_ms"])) for run in TRACES["light"]]
    rng, right = np.random.default_rng(0), 0
    for _ in range(40):
        chosen = [runs[index] for index in rng.permutation(len(runs))[:6]]
        a = [of_processor(work, measure, disturbed=True) for work, measure in chosen[:3]]
        b = [of_processor(work * factor, measure, disturbed=True) for work, measure in chosen[3:]]
        comparison = compare_runs("processor time", a, b)
        assert comparison is not None
        right += comparison.decision is (Decision.SLOWER if factor > 1 else Decision.EQUAL)
    assert right >= 38


def machine(seconds: float, *, seed: int) -> Times:
    """How slow a machine is at each tenth of a second: it drifts over seconds, and others come and go."""
    rng, count = np.random.default_rng(seed), int(10 * seconds)
    drift = np.zeros(count)
    for step in range(1, count):
        drift[step] = 0.98 * drift[step - 1] + rng.normal(0, 0.02)
    busy = np.cumsum(rng.random(count) < 0.05) % 2
    return np.exp(drift + 0.6 * busy)


def turns(factor: float, *, seed: int, rounds: int = 120, sessions: int = 6) -> list[tuple[Times, Times]]:
    """Two processes that run in turns on it; each is up to 2 % faster or slower for all of its life."""
    rng, slow = np.random.default_rng(seed + 1000), machine(rounds, seed=seed)
    made = []
    for part in np.array_split(np.arange(rounds), sessions):
        lives = rng.normal(0, 0.007, 2)
        noise = rng.normal(0, 0.1, (2, len(part)))
        a, b = (10 * slow[10 * part + side] * np.exp(lives[side] + noise[side]) for side in (0, 1))
        made.append((a, factor * b))
    return made


@pytest.mark.parametrize(
    ("factor", "right"), [(1.0, Decision.EQUAL), (SLOWER, Decision.SLOWER), (1 / SLOWER, Decision.FASTER)]
)
def test_runs_in_turns_on_a_machine_that_drifts(factor: float, right: Decision) -> None:
    """The machine is 1 to 3 times as slow as when it is alone, and 93 of 100 comparisons are right, at most 2 wrong."""
    found = Counter[Decision]()
    for seed in range(100):
        comparison = compare_turns("wall-clock time", [of_turns(a, b) for a, b in turns(factor, seed=seed)])
        assert comparison is not None
        found[comparison.decision] += 1
    assert found[right] >= 93, found
    assert found.total() - found[right] - found[Decision.UNDECIDED] <= 2


def test_too_few_times_decide_nothing() -> None:
    """Neither of runs, nor in turns."""
    few, enough = [10.0] * (LEAST_RUNS - 1), [10.0] * LEAST_RUNS
    assert of_times(few) is None
    assert of_turns(enough, few) is None
    assert of_processor(enough, few, disturbed=False) is None
    assert compare_runs("time", [of_times(few)], [of_times(enough)]) is None
    assert compare_turns("time", [of_turns(few, few)]) is None
    assert compare_turns("time", []) is None


def test_a_level_of_zero_is_none() -> None:
    """A few zeros among many times do no harm."""
    times, zeros, few = [10.0] * 40, [0.0] * 40, [*[0.0] * 4, *[10.0] * 36]
    assert of_times(zeros) is None
    assert of_processor(zeros, times, disturbed=False) is None
    assert of_processor(times, zeros, disturbed=False) is None
    assert of_turns(zeros, zeros) is None
    assert of_turns(times, zeros) is None
    assert of_times(few) is not None
    assert of_processor(few, times, disturbed=False) is not None
    assert of_turns(few, times) is not None


def test_the_same_times_are_equal_and_the_interval_is_not_empty() -> None:
    """Not even a run whose times are all alike is believed to be exact."""
    same: Sequence[float] = [10.0] * 100
    for comparison in (
        compare_runs("time", [of_times(same)], [of_times(same)]),
        compare_turns("time", [of_turns(same, same)]),
    ):
        assert comparison is not None
        assert comparison.decision is Decision.EQUAL
        assert comparison.ratio.low < 1 < comparison.ratio.high
        assert math.isclose(comparison.ratio.value, 1)
