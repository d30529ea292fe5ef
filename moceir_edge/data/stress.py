"""Pictures that strain arithmetic: no light, all light, one hard edge, and noise that knows nothing between."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]

BLACK, WHITE, STEP, NOISE = "black", "white", "step edge", "saturated noise"
STRESS = (BLACK, WHITE, STEP, NOISE)


def stress_picture(name: str, height: int, width: int, *, seed: int = 0) -> Pixels:
    """(3, height, width) of 0 and 1; the edge runs down the middle, `seed` draws the noise."""
    if name == NOISE:
        return np.random.default_rng(seed).integers(0, 2, (3, height, width)).astype(np.float32)
    picture = np.full((3, height, width), float(name == WHITE), np.float32)
    if name == STEP:
        picture[:, :, width // 2 :] = 1
    return picture
