"""Every row sees a picture in the same size, and compares the same part of it."""

from __future__ import annotations

import numpy as np
import pytest

from moceir_edge.parity.fit import fit
from moceir_edge.runner import centre
from tests.parity.fakes import noise, sample


def test_any_size_is_padded_to_a_multiple_of_8() -> None:
    """The network gets more, the comparison sees the picture alone."""
    image, target = noise(0, height=13, width=23), noise(1, height=13, width=23)
    fitted = fit(sample("derain/0", image, target), None)
    assert fitted.image.shape == (3, 16, 24)
    assert np.array_equal(fitted.source, image)
    assert np.array_equal(fitted.target, target)
    assert np.array_equal(fitted.inside(fitted.image), image)


def test_padding_is_a_reflection() -> None:
    """The column after the last is the one before it."""
    image = noise(0, height=16, width=23)
    assert np.array_equal(fit(sample("derain/0", image), None).image[:, :, 23], image[:, :, 21])


def test_a_fixed_size_cuts_the_centre_of_what_is_larger() -> None:
    """Input and target lose the same rows; the other side is padded."""
    image, target = noise(0, height=20, width=20), noise(1, height=20, width=20)
    fitted = fit(sample("derain/0", image, target), (16, 24))
    assert fitted.image.shape == (3, 16, 24)
    assert np.array_equal(fitted.source, image[:, 2:18])
    assert np.array_equal(fitted.target, target[:, 2:18])
    assert fitted.inside(fitted.image).shape == (3, 16, 20)


def test_a_picture_without_target_stays_without() -> None:
    """Parity needs none."""
    assert fit(sample("derain/0", noise(0)), (8, 8)).target is None


@pytest.mark.parametrize(("length", "start"), [(8, 0), (9, 0), (10, 1), (24, 8)])
def test_centre(length: int, start: int) -> None:
    """An odd rest stays at the end."""
    image = np.arange(3 * length * 8, dtype=np.float32).reshape(3, length, 8)
    assert np.array_equal(centre(image, (8, 8)), image[:, start : start + 8])
