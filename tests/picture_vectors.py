"""Pictures, sizes and a model on which every runner has to compute what Python computes: in JavaScript, in Java."""

from __future__ import annotations

from typing import Any

import numpy as np

from moceir_edge.runner import Image, Outputs, Runner, run_padded
from moceir_edge.tiling import Whole, restored_bands, tile_of

PADDINGS = [
    ((5, 7), (8, 8)),
    ((9, 17), (16, 24)),
    ((3, 40), (8, 40)),
    ((8, 8), (8, 8)),
    ((1, 1), (16, 8)),
    ((20, 3), (64, 64)),
]
"""Shapes of a picture, and what they are padded to: by reflection, by edge, one side by each."""

LENGTHS = [(8, 64), (64, 64), (65, 64), (100, 64), (1000, 256), (257, 256)]
"""Sides of pictures and of the tiles that cover them."""

FADES = [(40, 72), (8, 100), (256, 256)]
"""Shapes of tiles."""

RESTORED = [((50, 70), (72, 72)), ((100, 130), (72, 80)), ((64, 300), (80, 96)), ((33, 41), None)]
"""Shapes of pictures and what is served: smaller, larger in one side or in both, and any size."""

SERVED = [(33, 41), (1024, 2048), (1025, 2048), (3000, 4000)]
"""Shapes of pictures around two megapixels, where any size is served."""


def picture(height: int, width: int, seed: int = 0) -> Image:
    """(3, H, W) on 8-bit steps."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (3, height, width)).astype(np.float32) / np.float32(255)


def planes(image: Image) -> dict[str, Any]:
    """As the runners have it."""
    return {"height": image.shape[1], "width": image.shape[2], "data": image.ravel().tolist()}


def image_of(planes: dict[str, Any]) -> Image:
    """(3, H, W)."""
    return np.asarray(planes["data"], np.float32).reshape(3, planes["height"], planes["width"])


class AddsMean:
    """A model that sees all it is given, as attention does; agrees as far as the first value says."""

    def __init__(self, size: tuple[int, int] | None) -> None:
        self.size = size

    def run(self, image: Image) -> Outputs:
        """Every pixel plus the mean."""
        return Outputs(image + image.mean(dtype=np.float64).astype(np.float32), float(image.flat[0]))


def restore_pixels(runner: Runner, image: Image, *, tile: int | None = None) -> Image:
    """(3, H, W) of any size restored, not clipped. tile: side of the tiles; None decides by the size."""
    size = tile_of(runner, (image.shape[1], image.shape[2]), tile=None if tile is None else (tile, tile))
    bands = restored_bands(lambda part: run_padded(runner, part), Whole(image), size)
    return np.concatenate([band for _, band in bands], axis=1)


def mixed_pixels(image: Image, restored: Image, strength: float) -> Image:
    """(3, H, W) uint8: picture + strength (restored - picture) in 8-bit steps, clipped, rounded to even."""
    given = np.rint(image * 255).astype(np.float64)
    mixed = given + strength * (255 * restored.astype(np.float64) - given)
    return np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)
