"""When a device is steady, what its times say, and how sure that is."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from tests.devices.scripts import runner_script

measuring, steady = runner_script("measuring"), runner_script("steady")


def drawn(count: int, *, scatter: float, seed: int = 0, kept: float = 0.0) -> Any:
    """Times around 10 ms; kept: what each has of the one before."""
    rng, values = np.random.default_rng(seed), [0.0]
    for draw in rng.normal(0, scatter, count + 50):
        values.append(kept * values[-1] + draw)
    return 10 * np.exp(np.array(values[-count:]))


def test_warm_up_ends_where_times_stay() -> None:
    """Not while they fall, and not before ten runs."""
    falling = [10 + 30 * 0.8**step for step in range(40)]
    ended = next(count for count in range(1, 41) if steady.is_steady(falling[:count]))
    assert 10 < ended < 40
    assert falling[ended - 1] < 1.1 * 10
    assert not steady.is_steady([10.0] * 9)
    assert steady.is_steady([10.0] * 10)


def test_noise_is_not_a_trend() -> None:
    """A device that scatters by 10 % becomes steady; one whose times still fall by 6 % from run to run does not."""
    noisy = [drawn(10, scatter=0.1, seed=seed) for seed in range(50)]
    assert sum(map(steady.is_steady, noisy)) > 35
    assert not steady.is_steady(list(drawn(10, scatter=0.01) * 0.94 ** np.arange(10)))


def test_intervals_hold_the_true_median() -> None:
    """In 95 of 100 runs, also where each time is like the one before it: then they are wider, not wrong."""
    for kept in (0.0, 0.7):
        found = [steady.interval(drawn(200, scatter=0.1, seed=seed, kept=kept), 0.5)[0] for seed in range(200)]
        assert sum(one["low"] <= 10 <= one["high"] for one in found) >= 0.9 * 200
    narrow, wide = (steady.interval(drawn(200, scatter=0.1, kept=kept), 0.5)[0] for kept in (0.0, 0.7))
    assert wide["high"] - wide["low"] > 1.5 * (narrow["high"] - narrow["low"])


def test_too_few_runs_for_a_percentile_are_told() -> None:
    """The 99th of 40 runs ends at the slowest; 1,000 are enough for all."""
    few, notes = measuring.latency(measured(drawn(40, scatter=0.1)), (64, 64), 1.0, None)
    assert notes == [
        "p90, p95, p99: too few runs (40) for a whole 95 % interval: it ends at the fastest or slowest run"
    ]
    assert few["percentiles"]["p99"]["high"] == max(few["runs_ms"])
    assert measuring.latency(measured(drawn(1000, scatter=0.1)), (64, 64), 1.0, None)[1] == []


def test_equal_runs_are_enough_for_every_percentile() -> None:
    """What rounding leaves of them is no correlation, which would widen the interval beyond the runs."""
    for value in (5.0, 5.1, 0.1, 1234.5678):
        found, notes = measuring.latency(measured([value] * 1000), (64, 64), 1.0, None)
        assert notes == []
        assert found["percentiles"]["p99"] == {"value": value, "low": value, "high": value}


def measured(runs: Any) -> Any:
    """As the loop leaves it."""
    made = measuring.Measured(20.0, [10.0] * 10, is_steady=True)
    made.runs_ms = [float(run) for run in runs]
    return made


def test_a_slower_later_half_is_told() -> None:
    """A step of 20 % is; noise, and a drift of 2 %, are not."""
    step = np.concatenate([drawn(50, scatter=0.03), 1.2 * drawn(50, scatter=0.03, seed=1)])
    assert measuring.reasons(measured(step)) == [
        "the later half of the runs is 20% slower than the earlier: throttled, or others at work"
    ]
    assert measuring.reasons(measured(drawn(100, scatter=0.1))) == []
    assert measuring.reasons(measured(drawn(100, scatter=0.03) * np.linspace(1, 1.02, 100))) == []


def test_a_device_that_never_settles_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the most runs, the profile goes on and is marked."""
    monkeypatch.setattr(steady, "is_steady", lambda runs: False)
    monkeypatch.setattr(steady, "MOST", 12)
    made = measuring.warm_up(lambda: None)
    assert (made.steady, len(made.warm_up_ms)) == (False, 12)
    made.runs_ms = [10.0] * 20
    assert measuring.reasons(made) == ["never steady in 12 runs of warm-up"]


def test_so_many_runs_or_so_long() -> None:
    """A number of runs is kept exactly; a time makes at least twenty."""
    for runs, seconds, expected in ((7, None, 7), (None, 1e-6, 20)):
        made = measuring.Measured(1.0, [], is_steady=True)
        measuring.measure(lambda: None, made, measuring.own_turns(runs, seconds), on_processor=True)
        assert len(made.runs_ms) == len(made.cpu_ms) == len(made.yardstick_ms) == len(made.began_s) == expected
        assert made.began_s[0] == 0
        assert min(made.yardstick_ms) > 0


def test_paced_runs_answer_each_line() -> None:
    """Ready, then a time for each line, until there are no more."""
    answers, made = io.StringIO(), measuring.Measured(1.0, [], is_steady=True)
    turns = measuring.paced_turns(io.StringIO("run\nrun\n"), answers)
    measuring.measure(lambda: None, made, turns, on_processor=False)
    said = [json.loads(line) for line in answers.getvalue().splitlines()]
    assert said == ["ready", *made.runs_ms]
    assert len(made.runs_ms) == 2
    assert made.cpu_ms == []
