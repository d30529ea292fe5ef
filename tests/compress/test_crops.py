"""Which crops tell most."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from moceir_edge.compress.crops import Crop, centred, judgeable, telling, tolerated_power
from moceir_edge.metrics import quality_db
from tests.targets.networks import crops


def test_crops_that_are_changed_least_and_most_tell_most() -> None:
    """In turn with the next as they come, each once, as many as there are; a white picture is not sought."""
    assert telling([5.0, 8.0, 7.0, 1.0, 3.0, 9.0], 4) == [3, 5, 0, 4]
    assert telling([5.0, 9.0, 7.0], 9) == [0, 1, 2]
    assert telling([5.0, 9.0, 1e-12, 7.0], 4) == [0, 1, 3, 2]
    assert telling([0.0, 0.0], 1) == [0]


def test_a_task_that_is_not_restored_has_no_targets() -> None:
    """No PSNR is lost where none is gained; what has no target keeps none."""

    def grey(value: float) -> NDArray[np.float32]:
        return np.full((1, 3, 8, 8), value, np.float32)

    given = [Crop(grey(0.2), grey(0.5), "a"), Crop(grey(0.4), grey(0.5), "b"), Crop(grey(0.2), None, "a")]
    left = judgeable(given, [grey(0.4), grey(0.2), grey(0.4)])
    assert [crop.target is None for crop in left] == [False, True, True]
    given.append(Crop(grey(0.5), grey(0.5), "a"))
    assert judgeable([given[0], given[0], given[3]], [grey(0.5), grey(0.5), grey(0.5)])[0].target is not None


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
