"""Flicker: how much of what restoring adds changes from frame to frame where the film itself does not."""

from __future__ import annotations

import math

import numpy as np

from moceir_edge.records import Record
from moceir_edge.runner import Image

STATIC = 2 / 255
"""A pixel is static if no channel changes by more than this between two frames: two 8-bit steps, as noise does."""

LEAST_SHARE = 0.01
"""Of the pixels that must be static for a pair of frames to count: else the camera moves."""


class Flicker(Record):
    """Mean |r' - r| in 8-bit steps over static pixels, r = restored - input; over so many pairs of frames.

    None where no pair has enough static pixels.
    """

    steps: float | None
    pairs: int

    @property
    def text(self) -> str:
        """A few words for people."""
        return "flicker unknown" if self.steps is None else f"flicker {self.steps:.3f} steps"


class FlickerMeter:
    """Takes frames in order."""

    def __init__(self) -> None:
        self._last: tuple[Image, Image] | None = None
        self._found: list[float] = []

    def add(self, given: Image, restored: Image) -> None:
        """given, restored: (3, H, W) float32."""
        residual = restored - given
        if self._last is not None:
            static = (np.abs(given - self._last[0]) <= STATIC).all(0)
            if static.mean() >= LEAST_SHARE:
                self._found.append(255 * float(np.abs(residual - self._last[1])[:, static].mean()))
        self._last = given, residual

    @property
    def flicker(self) -> Flicker:
        """Over the pairs so far."""
        steps = math.fsum(self._found) / len(self._found) if self._found else None
        return Flicker(steps=steps, pairs=len(self._found))
