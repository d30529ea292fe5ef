"""Crops of calibration pictures: what quantization is tried on, and which of them tell most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from statistics import fmean

import numpy as np
import torch

from moceir_edge.metrics import Pixels, quality_db
from moceir_edge.program.execute import StaticNetwork
from moceir_edge.program.program import Program
from moceir_edge.runner import centre

SMALLEST_POWER = 1e-12
SMALLEST_LOSS_DB = 1e-6


@dataclass(frozen=True)
class Crop:
    """Of a calibration picture: (1, 3, H, W) in [0, 1], what it should become where that is known, and its task."""

    image: Pixels
    target: Pixels | None = None
    task: str = ""


def restored_crops(program: Program, crops: Sequence[Crop]) -> list[Pixels]:
    """What the program makes of the crops in float32, each (1, 3, H, W)."""
    network = StaticNetwork(program)
    with torch.inference_mode():
        return [network(torch.from_numpy(crop.image))["restored"].numpy() for crop in crops]


def judgeable(crops: Sequence[Crop], references: Sequence[Pixels]) -> list[Crop]:
    """The crops, without targets where the restored crops (`references`) of a task are no better than its crops."""
    gains: dict[str, list[float]] = {}
    for crop, reference in zip(crops, references, strict=True):
        if crop.target is not None:
            gain = quality_db(crop.target, reference) - quality_db(crop.target, crop.image)
            gains.setdefault(crop.task, []).append(gain)
    restored = {task for task, found in gains.items() if fmean(found) > 0}
    return [crop if crop.task in restored else replace(crop, target=None) for crop in crops]


def centred(crop: Crop, side: int) -> Crop:
    """Its centre, of at most `side` pixels a side."""
    image, target = (
        pixels if pixels is None else centre(pixels[0], (side, side))[None] for pixels in (crop.image, crop.target)
    )
    assert image is not None
    return replace(crop, image=image, target=target)


def telling_crops(program: Program, crops: Sequence[Crop], of_a_task: int) -> tuple[Crop, ...]:
    """So many crops of each task: in turn one that the program changes least, where noise shows most, and the next."""
    references = restored_crops(program, crops)
    changes = [changed(crop, reference) for crop, reference in zip(crops, references, strict=True)]
    chosen: list[Crop] = []
    for task in dict.fromkeys(crop.task for crop in crops):
        as_they_come = [number for number, crop in enumerate(crops) if crop.task == task]
        least = sorted(as_they_come, key=lambda number: changes[number])
        in_turn = dict.fromkeys(chain.from_iterable(zip(least, as_they_come, strict=True)))
        chosen += [crops[number] for number in islice(in_turn, of_a_task)]
    return tuple(chosen)


def changed(crop: Crop, reference: Pixels) -> float:
    """The power of what the network adds to a crop, never 0."""
    return max(power(reference - crop.image), SMALLEST_POWER)


def tolerated_power(crop: Crop, reference: Pixels, *, residual_snr_db: float, loss_db: float) -> float:
    """The error power that leaves a residual SNR and costs a PSNR at most; reference: the restored crop.

    Noise that has nothing to do with the error there is adds its power to it: a crop that is restored to an error of
    power M loses `loss_db` of PSNR to noise of M (10^(loss_db / 10) - 1).
    """
    tolerated = changed(crop, reference) * 10 ** (-residual_snr_db / 10)
    if crop.target is None:
        return tolerated
    left = max(power(reference - crop.target), SMALLEST_POWER)
    return min(tolerated, left * (10 ** (max(loss_db, SMALLEST_LOSS_DB) / 10) - 1))


def power(array: Pixels) -> float:
    """The sum of squares."""
    return float(np.square(array, dtype=np.float64).sum())
