"""The route of a picture in tiles: decided once, on the whole picture made small, and handed to every tile.

A router sees the mean of a picture's features. Tiles of one picture have different means, so that each would weigh its
experts, or choose them, a little differently, and seams would show where they disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moceir_edge.opening import Opened
from moceir_edge.records import Record
from moceir_edge.runner import Image, Steered, run_padded
from moceir_edge.tile_plan import Size
from moceir_edge.tiling import Source
from moceir_edge.watching import Watched

BAND = 16
"""Rows of the small picture that are made at a time."""


class Cut(Record):
    """How a picture was cut into tiles, and who decided their routes.

    tile: height and width; tiles: how many; decided_at: height and width of the picture that decided for all tiles,
    None where each decided for itself; same_choice: share of routed layers of all tiles whose own first choice was that
    of the most tiles, or, where one pass decided, of that pass; None where nothing is told; agreement: least of the
    tiles, see `agreement` of an artifact.
    """

    tile: Size
    tiles: int
    decided_at: Size | None
    same_choice: float | None
    agreement: float | None

    @property
    def text(self) -> str:
        """One line for people."""
        each = "each decides its own route"
        who = each if self.decided_at is None else "one route, decided at {1}x{0}".format(*self.decided_at)
        same = "" if self.same_choice is None else f"; {self.same_choice:.0%} of their own first choices are the same"
        return f"{self.tiles} tiles of {self.tile[1]}x{self.tile[0]}, {who}{same}"


@dataclass(frozen=True)
class Route:
    """What runs the tiles of a picture, and who decided for them.

    at: size of the picture that decided their routes, None if each tile does; wanted: (L,) its first choices, if known.
    """

    runner: Watched
    at: Size | None = None
    wanted: NDArray[np.int64] | None = None

    @property
    def same_choice(self) -> float | None:
        """See `Cut`; of the tiles so far."""
        if not self.runner.scores:
            return None
        first = np.stack(self.runner.scores).argmax(2)
        usual = self.wanted if self.wanted is not None else _most_frequent(first)
        return float((first == usual).mean())


def _most_frequent(choices: NDArray[np.int64]) -> NDArray[np.int64]:
    """(L,) of (tiles, L)."""
    return np.array([np.bincount(column).argmax() for column in choices.T])


def decided(opened: Opened, source: Source, tile: Size) -> Route:
    """The route of a picture's tiles; where nothing takes gates, each tile's routers decide."""
    if opened.steered is None:
        return Route(Watched(opened.runner))
    small = shrunk(source, tile)
    outputs = run_padded(opened.runner, small)
    if outputs.chosen is None or not outputs.chosen.any():  # folded gates: there is nothing to decide
        return Route(Watched(opened.runner))
    steered = Steered(opened.steered, outputs.chosen, opened.runner.size)
    wanted = None if outputs.scores is None else outputs.scores.argmax(1)
    return Route(Watched(steered), at=(small.shape[1], small.shape[2]), wanted=wanted)


def shrunk(source: Source, tile: Size) -> Image:
    """(3, H, W): the picture, by a whole number smaller in both directions, so that it is no larger than a tile.

    Each pixel is the mean of a square; what is left over right and below is left out.
    """
    height, width = source.size
    step = max(1, math.ceil(height / tile[0]), math.ceil(width / tile[1]))
    rows, columns = max(1, height // step), max(1, width // step)
    small = np.empty((3, rows, columns), np.float32)
    for top in range(0, rows, BAND):
        count = min(BAND, rows - top)
        part = source.region(top * step, 0, (count * step, columns * step))
        squares = part.reshape(3, count, part.shape[1] // count, columns, part.shape[2] // columns)
        small[:, top : top + count] = squares.mean((2, 4), dtype=np.float32)
    return small
