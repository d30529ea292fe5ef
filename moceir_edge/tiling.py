"""Pictures that are larger than what runs serves, in overlapping tiles that fade into each other.

Attention and the router see one tile at a time, so a tiled picture differs a little from a whole one. Finished rows
are handed on band by band: beside the picture itself, a row of tiles is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from moceir_edge.runner import Image, Outputs, Runner
from moceir_edge.terms import SIZE_MULTIPLE, Progress, silent
from moceir_edge.tile_plan import Size, overlap_of, starts

WHOLE_PIXELS = 2**21
"""Up to here a picture is restored whole: about two megapixels."""

AUTO_TILE = 768
"""Side of the tiles of larger ones, where it is not known what memory they take."""

Restore = Callable[[Image], Outputs]
"""Restores (3, H, W) of a size that is served after padding."""


class Source(Protocol):
    """Where tiles are cut from."""

    @property
    def size(self) -> Size:
        """Height and width."""
        ...

    def region(self, top: int, left: int, size: Size) -> Image:
        """(3, H, W) float32 in [0, 1], contiguous; cut off at the picture's end."""
        ...


@dataclass(frozen=True)
class Whole:
    """A picture in memory as a source. pixels: (3, H, W)."""

    pixels: Image

    @property
    def size(self) -> Size:
        """See `Source`."""
        return self.pixels.shape[1], self.pixels.shape[2]

    def region(self, top: int, left: int, size: Size) -> Image:
        """See `Source`."""
        return np.ascontiguousarray(self.pixels[:, top : top + size[0], left : left + size[1]])


def tile_of(runner: Runner, size: Size, *, tile: Size | None = None) -> Size:
    """The tile for a picture of a size where memory does not decide: what is served, given, or by the pixels."""
    if runner.size is not None:
        return runner.size
    whole = (size[0] + -size[0] % SIZE_MULTIPLE, size[1] + -size[1] % SIZE_MULTIPLE)
    return tile or ((AUTO_TILE, AUTO_TILE) if size[0] * size[1] > WHOLE_PIXELS else whole)


def restored_bands(
    restore: Restore, source: Source, tile: Size, *, progress: Progress = silent
) -> Iterator[tuple[int, Image]]:
    """The restored picture from top to bottom, as (first row, (3, rows, W)), not clipped."""
    height, width = source.size
    tops, lefts = starts(height, tile[0]), starts(width, tile[1])
    blend = _Blend(min(tile[0], height), width)
    for row, left in progress([(row, left) for row in range(len(tops)) for left in lefts], "restoring tiles"):
        if left == 0 and row > 0:
            yield tops[row - 1], blend.finished(tops[row] - tops[row - 1])
        blend.add(restore(source.region(tops[row], left, tile)).restored, left)
    yield tops[-1], blend.finished(height - tops[-1])


class _Blend:
    """The weighed sum of a row of tiles, and of what the row above reached into it."""

    def __init__(self, rows: int, width: int) -> None:
        self.total = np.zeros((3, rows, width), np.float32)
        self.weights = np.zeros((rows, width), np.float32)

    def add(self, restored: Image, left: int) -> None:
        shade = fade((restored.shape[1], restored.shape[2]))
        columns = slice(left, left + shade.shape[1])
        self.total[:, :, columns] += restored * shade
        self.weights[:, columns] += shade

    def finished(self, rows: int) -> Image:
        """The first rows, to which nothing will be added; the others move up."""
        done: Image = self.total[:, :rows] / self.weights[:rows]
        kept = self.total.shape[1] - rows
        for sums in (self.total, self.weights[None]):
            sums[:, :kept] = sums[:, rows:].copy()
            sums[:, kept:] = 0
        return done


def fade(size: Size) -> Image:
    """(H, W): 1 inside, falling linearly over what neighbours share towards every edge, never 0."""
    ramps = []
    for length in size:
        distance = np.minimum(np.arange(length), np.arange(length)[::-1]) + 1
        shared = max(1, 2 * overlap_of(length))
        ramps.append(np.minimum(distance / shared, 1.0).astype(np.float32))
    shade: Image = np.outer(*ramps).astype(np.float32)
    return shade
