"""Pictures that are larger than a runner serves, in overlapping tiles that fade into each other.

Attention and the router see one tile at a time, so a tiled picture differs a little from a whole one.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from moceir_edge.runner import Image, Runner, run_padded
from moceir_edge.terms import SIZE_MULTIPLE
from moceir_edge.tile_plan import OVERLAP, SEAMLESS

WHOLE_PIXELS = 2**21
"""Up to here a picture is restored whole: about two megapixels."""

AUTO_TILE = 768
"""Side of the tiles of larger ones, where it is not known what memory they take."""


def restore_pixels(runner: Runner, image: Image, *, tile: int | None = None) -> Image:
    """Restore (3, H, W) of any size; returns (3, H, W), not clipped.

    tile: side of the tiles (a multiple of 8, above twice the overlap); None decides by the size.
    """
    size = _tile_size(runner, image, tile)
    if size is None or (image.shape[1] <= size[0] and image.shape[2] <= size[1]):
        return run_padded(runner, image).restored
    total = np.zeros_like(image)
    weights = np.zeros(image.shape[1:], np.float32)
    for top, left in _corners(image.shape[1:], size):
        part = image[:, top : top + size[0], left : left + size[1]]
        fade = _fade(part.shape[1:])
        restored = run_padded(runner, np.ascontiguousarray(part)).restored
        total[:, top : top + size[0], left : left + size[1]] += restored * fade
        weights[top : top + size[0], left : left + size[1]] += fade
    return total / weights


def seams_expected(runner: Runner, image: Image, *, tile: int | None = None) -> bool:
    """Whether a picture is cut into tiles so small that the network sees too little of it at a time."""
    size = _tile_size(runner, image, tile)
    if size is None or (image.shape[1] <= size[0] and image.shape[2] <= size[1]):
        return False
    return min(size) < SEAMLESS


def _tile_size(runner: Runner, image: Image, tile: int | None) -> tuple[int, int] | None:
    if runner.size is not None:
        return runner.size
    if tile is not None:
        return tile, tile
    return (AUTO_TILE, AUTO_TILE) if image.shape[1] * image.shape[2] > WHOLE_PIXELS else None


def _corners(shape: tuple[int, ...], size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    for top in _starts(shape[0], size[0]):
        for left in _starts(shape[1], size[1]):
            yield top, left


def _starts(length: int, side: int) -> list[int]:
    """Starts that cover a length, the last one flush with its end."""
    if length <= side:
        return [0]
    step = max(SIZE_MULTIPLE, side - OVERLAP)
    return [*range(0, length - side, step), length - side]


def _fade(shape: tuple[int, ...]) -> Image:
    """(H, W): 1 inside, falling linearly over the overlap towards every edge, never 0."""
    ramps = []
    for length in shape:
        distance = np.minimum(np.arange(length), np.arange(length)[::-1]) + 1
        ramps.append(np.minimum(distance / OVERLAP, 1.0).astype(np.float32))
    fade: Image = np.outer(*ramps).astype(np.float32)
    return fade
