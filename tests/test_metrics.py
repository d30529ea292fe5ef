"""The numbers that compare pictures."""

from __future__ import annotations

import itertools
from math import inf

import numpy as np
import pytest

from moceir_edge.metrics import (
    WORST_DB,
    bootstrap,
    event_bound,
    finite,
    psnr_db,
    quality_db,
    residual_snr_db,
    roc_area,
    roc_curve,
    ssim,
)
from tests.parity.fakes import noise, plain


def test_psnr_of_known_errors() -> None:
    """An error of 0.1 everywhere is 20 dB; a peak of 255 changes the unit alone."""
    assert psnr_db(plain(0.5), plain(0.6)) == pytest.approx(20.0, abs=1e-4)
    assert psnr_db(plain(100.0), plain(110.0), peak=255.0) == pytest.approx(28.131, abs=1e-3)
    assert psnr_db(plain(), plain()) == inf


def test_quality_clips_what_is_restored() -> None:
    """A caller would clip it, too."""
    assert quality_db(plain(1.0), plain(1.5)) == inf
    assert psnr_db(plain(1.0), plain(1.5)) < 10


def test_residual_snr_leaves_the_input_out() -> None:
    """An error of 1 % of the picture is as large as what was added."""
    assert residual_snr_db(plain(0.5), plain(0.51), plain(0.5)) == pytest.approx(0.0, abs=1e-3)
    assert psnr_db(plain(0.51), plain(0.5)) == pytest.approx(40.0, abs=1e-3)
    assert residual_snr_db(plain(), plain(), plain()) == inf
    assert residual_snr_db(plain(), plain(), plain(0.6)) == WORST_DB


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_the_worst_there_is(value: float) -> None:
    """Never an exception, never a number that passes a gate, never NaN in a file."""
    broken = noise(0)
    broken[1, 2, 3] = value
    assert psnr_db(noise(0), broken) == WORST_DB
    assert residual_snr_db(plain(), noise(0), broken) == WORST_DB
    assert 0 <= ssim(noise(0), broken) < 1


def test_ssim_of_equal_pictures_is_1() -> None:
    """And falls with noise."""
    assert ssim(noise(0), noise(0)) == pytest.approx(1.0)
    assert ssim(noise(0), noise(1)) < 0.3


def test_only_the_infinity_of_equal_pictures_becomes_null() -> None:
    """Numbers stay."""
    assert finite(inf) is None
    assert finite(12.5) == 12.5
    assert finite(WORST_DB) == WORST_DB


def test_bootstrap_brackets_the_mean() -> None:
    """The same values give the same interval; one value has no width."""
    values = list(np.random.default_rng(0).normal(30, 2, 40))
    interval = bootstrap(values)
    assert interval == bootstrap(values)
    assert interval.low < interval.mean < interval.high
    assert 0.9 < interval.high - interval.low < 1.7
    assert bootstrap([3.0]).low == bootstrap([3.0]).high == 3.0


@pytest.mark.parametrize(("events", "trials", "bound"), [(0, 31, 0.0921), (0, 299, 0.00997), (3, 3, 1.0), (0, 0, 1.0)])
def test_event_bound(events: int, trials: int, bound: float) -> None:
    """Clopper and Pearson: none of 31 is 9 %, and 1 % needs 299."""
    assert event_bound(events, trials) == pytest.approx(bound, abs=1e-4)


def test_roc_of_a_few_values() -> None:
    """By hand: pairs that stand the right way round, ties by half; the curve encloses the same area."""
    negatives, positives = [0.1, 0.3, 0.3], [0.2, 0.3, 0.9, inf]
    assert roc_area(negatives, positives) == pytest.approx((1 + 2 + 3 + 3) / 12)
    corners = roc_curve(negatives, positives)
    assert corners[0] == (0, 0)
    assert corners[-1] == (1, 1)
    area = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(corners))
    assert area == pytest.approx(roc_area(negatives, positives))
    assert roc_area([0.1], [0.2]) == 1
    assert roc_area([0.2], [0.1]) == 0
