"""Crops of calibration pictures: what quantization is tried on, and which of them tell most."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from statistics import fmean, median

import numpy as np
import torch

from moceir_edge.metrics import Pixels, quality_db
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.program import Program
from moceir_edge.runner import centre

SMALLEST_POWER = 1e-12

HIGHEST_DB = 100.0
"""PSNR above which nothing is lost any more."""

HARDLY = 1e-3
"""Beside the median power of what is added to the crops."""


@dataclass(frozen=True)
class Crop:
    """Of a calibration picture: (1, 3, H, W) in [0, 1], what it should become where that is known, and its task."""

    image: Pixels
    target: Pixels | None = None
    task: str = ""


def restored_crops(program: Program, crops: Iterable[Crop]) -> list[Pixels]:
    """What the program makes of the crops in float32, each (1, 3, H, W)."""
    network = StaticNetwork(program)
    with torch.inference_mode():
        return [network(torch.from_numpy(crop.image))["restored"].numpy() for crop in crops]


def judgeable(crops: Sequence[Crop], references: Sequence[Pixels]) -> list[Crop]:
    """The crops, without targets where the restored crops (`references`) of a task are no better than its crops."""
    gains: dict[str, list[float]] = {}
    for crop, reference in zip(crops, references, strict=True):
        if crop.target is not None:
            gain = capped_quality_db(crop.target, reference) - capped_quality_db(crop.target, crop.image)
            gains.setdefault(crop.task, []).append(gain)
    restored = {task for task, found in gains.items() if fmean(found) > 0}
    return [crop if crop.task in restored else replace(crop, target=None) for crop in crops]


def capped_quality_db(target: Pixels, restored: Pixels) -> float:
    """PSNR against a target, at most `HIGHEST_DB`: exact pictures have a number too."""
    return min(quality_db(target, restored), HIGHEST_DB)


def centred(crop: Crop, side: int) -> Crop:
    """Its centre, of at most `side` pixels a side."""

    def cut(pixels: Pixels) -> Pixels:
        return centre(pixels[0], (side, side))[None]

    return replace(crop, image=cut(crop.image), target=None if crop.target is None else cut(crop.target))


def telling(changes: Sequence[float], count: int) -> list[int]:
    """So many indices of crops, of the powers of what the program adds to them: in turn one of the least, where noise
    shows most, one of the most, whose values are large, and the next as they come.

    What is hardly changed at all, such as a white picture, is not sought.
    """
    least = sorted(range(len(changes)), key=lambda number: changes[number])
    sought = [number for number in least if changes[number] >= HARDLY * median(changes)]
    in_turn = chain.from_iterable(zip_longest(sought, reversed(sought), range(len(changes))))
    return [number for number in dict.fromkeys(in_turn) if number is not None][:count]


def change_power(crop: Crop, reference: Pixels) -> float:
    """The power of what the network adds to a crop, never 0."""
    return max(power(reference - crop.image), SMALLEST_POWER)


def tolerated_power(crop: Crop, reference: Pixels, *, residual_snr_db: float, loss_db: float) -> float:
    """The error power that leaves a residual SNR and costs a PSNR at most; reference: the restored crop.

    Noise that has nothing to do with the error there is adds its power to it: a crop that is restored to an error of
    power M loses `loss_db` of PSNR to noise of M (10^(loss_db / 10) - 1).
    """
    tolerated = change_power(crop, reference) * 10 ** (-residual_snr_db / 10)
    if crop.target is None:
        return tolerated
    left = max(power(reference - crop.target), SMALLEST_POWER)
    return min(tolerated, left * (10 ** (loss_db / 10) - 1))


def power(array: Pixels) -> float:
    """The sum of squares."""
    return float(np.square(array, dtype=np.float64).sum())
