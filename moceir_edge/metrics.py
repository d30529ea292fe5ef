"""The numbers that compare pictures: one meaning, one function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf, isfinite, isinf, log10
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from moceir_edge.records import Record

Pixels = NDArray[np.float32]

SSIM_WINDOW = 11
"""Pixels a side below which a picture has no SSIM."""

WORST_DB = -1000.0
"""Stands for an output that holds NaN or infinity, and for noise where nothing was to be added."""


def psnr_db(reference: Pixels, candidate: Pixels, *, peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio in dB over all values; infinity for equal pictures. Nothing is clipped here."""
    error = float(np.mean((reference.astype(np.float64) - candidate.astype(np.float64)) ** 2))
    if not isfinite(error):
        return WORST_DB
    return inf if error == 0 else 10 * log10(peak**2 / error)


def quality_db(target: Pixels, restored: Pixels) -> float:
    """PSNR of a restored picture against its target, after clipping to [0, 1], RGB."""
    return psnr_db(target, np.clip(restored, 0, 1))


def ssim(target: Pixels, restored: Pixels) -> float:
    """Structural similarity (Wang et al., 2004: Gaussian weights) of (3, H, W) pictures after clipping to [0, 1].

    0 where `restored` holds NaN.
    """
    from skimage.metrics import structural_similarity

    if np.isnan(restored).any():
        return 0.0
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            target,
            np.clip(restored, 0, 1),
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def residual_snr_db(image: Pixels, reference: Pixels, candidate: Pixels) -> float:
    """10 log10(sum r^2 / sum (r - r')^2) with r = reference - image, r' = candidate - image.

    What the network adds, without the input that passes through. Infinity where both add the same, `WORST_DB` where
    `candidate` holds NaN or infinity, or differs though nothing was to be added.
    """
    added = reference.astype(np.float64) - image
    error = float(np.sum((reference.astype(np.float64) - candidate) ** 2))
    signal = float(np.sum(added**2))
    if error == 0:
        return inf
    return WORST_DB if signal == 0 or not isfinite(error) else 10 * log10(signal / error)


def finite(value: float) -> float | None:
    """A number as JSON can hold it: None for the infinity of equal pictures."""
    return None if isinf(value) and value > 0 else value


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """The mean of the values that are not None; None where all are."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


class Interval(Record):
    """Mean of paired values with a 95 % bootstrap interval; n values."""

    mean: float
    low: float
    high: float
    n: int


def bootstrap(values: Sequence[float], *, draws: int = 2000) -> Interval:
    """Percentile bootstrap (Efron, 1979) of the mean, with a fixed seed; one value gives an interval of no width."""
    array = np.asarray(values, np.float64)
    samples = np.random.default_rng(0).choice(array, (draws, len(array))).mean(1)
    low, high = np.quantile(samples, [0.025, 0.975])
    return Interval(mean=float(array.mean()), low=float(low), high=float(high), n=len(array))


def event_bound(events: int, trials: int, *, confidence: float = 0.95) -> float:
    """Upper bound of an event's probability (Clopper and Pearson, 1934, one-sided): 0 of 31 gives 0.092."""
    from scipy.stats import beta

    return 1.0 if events >= trials else float(beta.ppf(confidence, events + 1, trials - events))


def roc_area(negatives: Sequence[float], positives: Sequence[float]) -> float:
    """The area under the ROC curve: the chance that a positive lies above a negative; ties count half."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(positives, negatives).statistic) / (len(negatives) * len(positives))


def roc_curve(negatives: Sequence[float], positives: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Corners (share of negatives, share of positives above a limit), from the highest limit to the lowest."""
    limits = sorted({*negatives, *positives}, reverse=True)
    corners = [
        (fmean(value >= limit for value in negatives), fmean(value >= limit for value in positives)) for limit in limits
    ]
    return ((0.0, 0.0), *corners)
