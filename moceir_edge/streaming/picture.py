"""One picture, restored in bands: beside its samples and the restored ones, only a row of tiles is held."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from moceir_edge.data.images import PictureSamples, samples_from_picture
from moceir_edge.opening import Opened
from moceir_edge.runner import Runner, run_padded
from moceir_edge.streaming.budget import Budget
from moceir_edge.streaming.decision import Cut, Route, decided
from moceir_edge.streaming.shortage import within_memory
from moceir_edge.terms import Progress, silent
from moceir_edge.tile_plan import Size, starts
from moceir_edge.tiling import restored_bands
from moceir_edge.watching import forgotten_if_failed

ROWS = 64
"""Rows that are mixed, converted and rounded at a time: that takes up to 60 bytes a pixel."""


@dataclass
class Restorer:
    """Restores one picture after the other; a tile for which memory was short is not tried again.

    strength: 0 gives the picture back, 1 the restored one.
    """

    budget: Budget
    strength: float = 1.0
    say: Callable[[str], None] = lambda _: None
    progress: Progress = silent
    _most: Size | None = None

    @property
    def opened(self) -> Opened:
        """What restores."""
        return self.budget.opened

    def restore(
        self, picture: PictureSamples, *, bits: Literal[8, 16], say_tile: Callable[[Size], None] = lambda _: None
    ) -> tuple[NDArray[Any], Cut | None]:
        """Samples (H, W, 3), or 4 with alpha, of so many bits, and how it was cut; None where it was restored whole."""
        tile = self.budget.tile_for(picture.size, bits=picture.bits)
        if self._most is not None:
            tile = (min(tile[0], self._most[0]), min(tile[1], self._most[1]))
        say_tile(tile)
        fixed = self.opened.runner.size is not None
        found, used = within_memory(
            lambda tile: self._restored(picture, tile, bits=bits), tile, fixed=fixed, say=self.say
        )
        if used != tile:
            self._most = used
        return found

    def _restored(
        self, picture: PictureSamples, tile: Size, *, bits: Literal[8, 16]
    ) -> tuple[NDArray[Any], Cut | None]:
        with forgotten_if_failed(self.opened.runner):
            return self._in_tiles(picture, tile, bits=bits)

    def _in_tiles(
        self, picture: PictureSamples, tile: Size, *, bits: Literal[8, 16]
    ) -> tuple[NDArray[Any], Cut | None]:
        tiles = len(starts(picture.size[0], tile[0])) * len(starts(picture.size[1], tile[1]))
        if tiles == 1:
            return self._samples(picture, self.opened.runner, tile, bits=bits), None
        route = decided(self.opened, picture, tile)
        samples = self._samples(picture, route.runner, tile, bits=bits)
        return samples, _cut(route, tile, tiles)

    def _samples(self, picture: PictureSamples, runner: Runner, tile: Size, *, bits: Literal[8, 16]) -> NDArray[Any]:
        height, width = picture.size
        channels = 3 if picture.alpha is None else 4
        samples = np.empty((height, width, channels), np.uint16 if bits == 16 else np.uint8)
        for top, band in restored_bands(partial(run_padded, runner), picture, tile, progress=self.progress):
            for row in range(top, top + band.shape[1], ROWS):
                restored = band[:, row - top : row - top + ROWS]
                given = picture.region(row, 0, (restored.shape[1], width))
                mixed = given + np.float32(self.strength) * (restored - given)
                rows = samples_from_picture(picture.picture(mixed, row), bits=bits)
                samples[row : row + len(rows)] = rows
        return samples


def _cut(route: Route, tile: Size, tiles: int) -> Cut:
    return Cut(
        tile=tile,
        tiles=tiles,
        decided_at=route.at,
        same_choice=route.same_choice,
        agreement=min(route.runner.agreements, default=None),
    )
