"""Data for short runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A few pairs of rain, and clean pictures."""
    random = np.random.default_rng(0)
    for name in ("derain/input", "derain/target", "clean", "judge/derain/input", "judge/derain/target"):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for number in range(3):
            smooth = np.kron(random.integers(0, 256, (6, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
            Image.fromarray(smooth).save(folder / f"{number}.png")
    return tmp_path / "data"
