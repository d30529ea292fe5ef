"""Pictures that strain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest

from moceir_edge.data.stress import BLACK, NOISE, STEP, STRESS, WHITE, stress_picture


@pytest.mark.parametrize("name", STRESS)
@pytest.mark.parametrize("size", [(8, 8), (24, 40)])
def test_only_the_ends_of_the_range(name: str, size: tuple[int, int]) -> None:
    """Every value is 0 or 1, at any size, and drawn the same again."""
    picture = stress_picture(name, *size)
    assert picture.shape == (3, *size)
    assert picture.dtype == np.float32
    assert set(np.unique(picture)) <= {0.0, 1.0}
    assert np.array_equal(picture, stress_picture(name, *size))


def test_each_is_what_it_is_called() -> None:
    """No light, all light, half of each along one edge, and half of each in no order."""
    found = {name: stress_picture(name, 32, 48) for name in STRESS}
    assert (found[BLACK].max(), found[WHITE].min()) == (0, 1)
    assert (np.abs(np.diff(found[STEP], axis=2)).sum(2) == 1).all()
    assert 0.45 < found[NOISE].mean() < 0.55
    assert not np.array_equal(found[NOISE], stress_picture(NOISE, 32, 48, seed=1))
