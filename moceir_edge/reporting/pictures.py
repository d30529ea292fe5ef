"""The pictures of a report: input, reference, artifact, and what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from moceir_edge.data.images import Picture, write_picture
from moceir_edge.parity.compare import REFERENCE
from moceir_edge.parity.fit import Fitted
from moceir_edge.runner import Image, Outputs

PER_TASK = 3
GAIN = 16.0
"""Differences are shown this many times larger, around mid grey."""


class PictureWriter:
    """Writes the first pictures of every task as PNG, four of each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: Counter[str] = Counter()

    def add(self, fitted: Fitted, outputs: Mapping[str, Outputs]) -> None:
        """See `OnPicture`; the last step is the artifact, or what comes nearest to it."""
        task = fitted.sample.task
        if self.written[task] >= PER_TASK:
            return
        self.written[task] += 1
        reference = fitted.inside(outputs[REFERENCE].restored)
        candidate = fitted.inside(list(outputs.values())[-1].restored)
        shown = {
            "input": fitted.source,
            "reference": reference,
            "artifact": candidate,
            "difference": 0.5 + GAIN * (candidate - reference),
        }
        if fitted.target is not None:
            shown["target"] = fitted.target
        stem = fitted.sample.name.replace("/", "__")
        for kind, pixels in shown.items():
            write_picture(Picture(_clipped(pixels)), self.folder / f"{stem}.{kind}.png")


def _clipped(pixels: Image) -> Image:
    clipped: Image = np.ascontiguousarray(np.clip(pixels, 0, 1))
    return clipped
