"""Losses and latencies, on numbers that can be checked by hand."""

from __future__ import annotations

import pytest

from moceir_edge.benchmarking.comparing import JudgedPicture, Quality
from moceir_edge.errors import DataError
from moceir_edge.frontiers.losses import loss_between
from moceir_edge.frontiers.measuring import Timed, latencies_ms
from moceir_edge.terms import Task


def quality(rain: list[float | None], haze: list[float | None] | None = None) -> Quality:
    """Pictures of two tasks with 10 dB before."""
    rows = [(Task.DERAIN, value) for value in rain] + [(Task.DEHAZE, value) for value in haze or ()]
    pictures = [
        JudgedPicture(name=str(number), task=task, input_db=10.0, quality_db=value)
        for number, (task, value) in enumerate(rows)
    ]
    return Quality(mean_db=None, pictures=tuple(pictures))


def test_a_loss_is_the_mean_of_the_tasks_means() -> None:
    """However many pictures a task has; the worst is of one picture."""
    loss = loss_between(quality([20, 22, 24], [30]), quality([19, 21, 22], [30.5]))
    rain, haze = loss.tasks
    assert (rain.n, rain.loss_db, rain.worst_db) == (3, pytest.approx(4 / 3), 2)
    assert (haze.n, haze.loss_db) == (1, -0.5)
    assert loss.loss_db == pytest.approx((4 / 3 - 0.5) / 2)
    assert loss.worst_db == 2


def test_pictures_equal_to_their_target_are_left_out_of_both() -> None:
    """They have no PSNR; a task needs one picture that has."""
    loss = loss_between(quality([20, None, 24]), quality([19, 21, None]))
    assert (loss.tasks[0].n, loss.loss_db) == (1, 1)
    with pytest.raises(DataError, match="every picture of dehaze equals its target"):
        loss_between(quality([20], [None]), quality([20], [30]))


def test_points_timed_at_different_moments_compare() -> None:
    """A machine that was half as fast for one of them does not make it slower than it is."""
    first = Timed(first_ms=(10, 10, 10), point_ms=(10, 10, 10), busy="")
    calm = Timed(first_ms=(10, 10, 10), point_ms=(5, 5, 6), busy="")
    busy = Timed(first_ms=(20, 20, 20), point_ms=(10, 10, 10), busy="others")
    assert latencies_ms([first, calm, busy]) == [10, 5, 5]
