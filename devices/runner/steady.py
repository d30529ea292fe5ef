"""When the warm-up is over, and when the second half of a run is slower than the first."""

import math

import numpy as np

WINDOW = 5
"""Runs whose median is compared with that of the five before them."""

TOLERANCE = 0.03
"""Medians that differ by less are the same."""

NOISIEST = 0.15
"""Noise excuses no greater difference: what differs more than this has not settled."""

LEAST, MOST, MOST_S = 2 * WINDOW, 300, 60.0
"""Runs that are always made; runs, and seconds, after which a device that is not steady never will be."""

CRITERION = (
    "the medians of the last {0} runs and of the {0} before them differ by at most {1:.0%}, or by what their scatter "
    "explains, which may be no more than {2:.0%}; judged for at most {3} runs or {4:.0f} s"
).format(WINDOW, TOLERANCE, NOISIEST, MOST, MOST_S)

SLOWDOWN = 0.05
"""The later half is slower if the fast end of its median's interval is so much above the earlier half's slow end."""

ROUNDING = 1e-24
"""Mean square of logarithms that differ by rounding alone: equal runs leave it behind, and it is no correlation."""


def is_steady(runs_ms):
    """Whether the last runs are as fast as those before them."""
    if len(runs_ms) < LEAST:
        return False
    before, after = (np.asarray(part) for part in (runs_ms[-LEAST:-WINDOW], runs_ms[-WINDOW:]))
    centre = float(np.median(before))
    scatter = np.median(np.abs(np.concatenate([before - centre, after - np.median(after)])))
    explained = 1.96 * 1.4826 * scatter * 1.2533 * math.sqrt(2 / WINDOW) / centre
    return abs(float(np.median(after)) / centre - 1) <= max(TOLERANCE, min(NOISIEST, explained))


def autocorrelation_time(values):
    """How many runs in a row count as one: 1 where they are independent (Sokal's sum, cut at its first window)."""
    series = np.log(np.asarray(values, dtype=np.float64))
    series = series - series.mean()
    power = float(series @ series)
    if len(series) < 4 or power <= len(series) * ROUNDING:
        return 1.0
    total = 1.0
    for lag in range(1, len(series) // 4 + 1):
        total += 2 * float(series[:-lag] @ series[lag:]) / power
        if lag >= 5 * total:
            break
    return max(1.0, total)


def interval(values, share):
    """A quantile with its 95 % interval, and whether there are enough runs for both ends.

    From the order statistics: ranks n p -+ 1.96 sqrt(n p (1 - p) t), t being the autocorrelation time.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n = len(ordered)
    apart = 1.96 * math.sqrt(n * share * (1 - share) * autocorrelation_time(values))
    low, high = math.floor(n * share - apart), math.ceil(n * share + apart)
    enough = low >= 0 and high < n
    ends = ordered[min(max(low, 0), n - 1)], ordered[min(max(high, 0), n - 1)]
    value = float(np.quantile(ordered, share))
    return {"value": value, "low": min(value, float(ends[0])), "high": max(value, float(ends[1]))}, enough


def slower_later(runs_ms):
    """How much slower the later half is, as a share; None where it is not, beyond what scatter explains."""
    half = len(runs_ms) // 2
    if half < WINDOW:
        return None
    earlier, later = interval(runs_ms[:half], 0.5)[0], interval(runs_ms[half:], 0.5)[0]
    if later["low"] <= earlier["high"] * (1 + SLOWDOWN):
        return None
    return later["value"] / earlier["value"] - 1
