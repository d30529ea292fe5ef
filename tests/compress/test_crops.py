"""Which crops tell most."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from moceir_edge.compress.crops import Crop, centred, changed, judgeable, restored_crops, telling_crops, tolerated_power
from moceir_edge.metrics import quality_db
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Program
from tests.targets.networks import crops, small_network


@pytest.fixture(scope="module")
def program() -> Program:
    """A small network."""
    return lower(small_network())


def test_crops_that_are_changed_least_calibrate_too(program: Program) -> None:
    """In turn with the others, each once; every task has as many as it can."""
    [first, second, third] = crops(3)
    given = [Crop(first, task="a"), Crop(second, task="a"), Crop(third, task="b")]
    found = telling_crops(program, given, 2)
    changes = [changed(crop, reference) for crop, reference in zip(given, restored_crops(program, given), strict=True)]
    assert found[0] is given[int(np.argmin(changes[:2]))]
    assert {id(crop) for crop in found} == {id(crop) for crop in given}
    assert [crop.task for crop in telling_crops(program, given, 1)] == ["a", "b"]


def test_a_task_that_is_not_restored_has_no_targets() -> None:
    """No PSNR is lost where none is gained; what has no target keeps none."""

    def grey(value: float) -> NDArray[np.float32]:
        return np.full((1, 3, 8, 8), value, np.float32)

    given = [Crop(grey(0.2), grey(0.5), "a"), Crop(grey(0.4), grey(0.5), "b"), Crop(grey(0.2), None, "a")]
    left = judgeable(given, [grey(0.4), grey(0.2), grey(0.4)])
    assert [crop.target is None for crop in left] == [False, True, True]


def test_a_crop_tolerates_what_its_loss_allows() -> None:
    """Noise of the power that is tolerated costs the PSNR that was given, where it has nothing to do with what is wrong
    there; far from its target, or without one, the residual SNR counts.
    """
    image, restored = np.zeros((1, 3, 64, 64), np.float32), np.full((1, 3, 64, 64), 0.5, np.float32)
    draw = np.random.default_rng(0)
    left, noise = (draw.standard_normal(image.shape).astype(np.float32) * 1e-2 for _ in range(2))
    tolerated = tolerated_power(Crop(image, restored + left), restored, residual_snr_db=10.0, loss_db=0.5)
    noise *= np.float32(np.sqrt(tolerated / np.square(noise).sum()))
    lost = quality_db(restored + left, restored) - quality_db(restored + left, restored + noise)
    assert lost == pytest.approx(0.5, abs=0.05)
    for far in (Crop(image), Crop(image, image)):
        allowed = tolerated_power(far, restored, residual_snr_db=10.0, loss_db=0.5)
        assert 10 * np.log10(np.square(restored).sum() / allowed) == pytest.approx(10.0)


def test_the_centre_of_both_sides() -> None:
    """Of the crop and of what it should become, at most as large as it is."""
    [pixels] = crops(1)
    cut = centred(Crop(pixels, pixels, "a"), 16)
    assert cut.target is not None
    assert cut.image.shape == cut.target.shape == (1, 3, 16, 16)
    assert centred(Crop(pixels), 64).image.shape == pixels.shape
