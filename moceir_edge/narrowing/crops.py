"""Crops of choosing pictures: those that layers are refitted on, and others that tell what it cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from moceir_edge.compress.crops import capped_quality_db
from moceir_edge.data.dataset import Dataset, Sample
from moceir_edge.data.split import names_in_turn
from moceir_edge.network.network import MoceIR
from moceir_edge.runner import Image, pad
from moceir_edge.terms import Progress, silent

SIDE = 128
"""Of a crop, in pixels."""

PER_SIDE = 16
"""Crops that refit, and crops that tell; of several tasks together, and more where these are more."""


@dataclass(frozen=True)
class Crops:
    """fit: (N, 3, side, side) in [0, 1]; check, targets: the same, of other pictures wherever a task has two.

    tasks: of each crop, of those that fit and of those that check; all of a task are together.
    """

    fit: Tensor
    check: Tensor
    targets: Tensor
    tasks: tuple[str, ...]

    def few(self, count: int) -> list[Tensor]:
        """So many of those that fit, each (1, 3, side, side): equally many of every task, and one at least."""
        tasks = list(dict.fromkeys(self.tasks))
        each = max(1, count // len(tasks))
        return [self.fit[self.tasks.index(task) + number][None] for task in tasks for number in range(each)]

    def restored(self, network: MoceIR) -> Tensor:
        """(N, 3, side, side): what a network makes of the crops that check."""
        with torch.inference_mode():
            return torch.cat([network(image[None]).image for image in self.check])

    def quality_db(self, restored: Tensor, wanted: Tensor) -> float:
        """PSNR of the crops that check, against their targets or another network: mean of the tasks' means."""
        found: dict[str, list[float]] = {}
        for one, other, task in zip(restored, wanted, self.tasks, strict=True):
            found.setdefault(task, []).append(capped_quality_db(other.numpy(), one.numpy()))
        return fmean(fmean(values) for values in found.values())


def take_crops(dataset: Dataset, *, progress: Progress = silent) -> Crops:
    """Of pictures with targets, taken in turn from every set, at places that follow from the file's hash."""
    fit: list[Image] = []
    check: list[tuple[Image, Image, str]] = []
    by_name = {sample.name: sample for sample in dataset.samples}
    count = -(-PER_SIDE // len(dataset.tasks))
    for task in progress(dataset.tasks, "reading crops"):
        fitting, checking = _parted([by_name[name] for name in names_in_turn(dataset, task)])
        fit += [_crop(fitting[i % len(fitting)], i)[0] for i in range(count)]
        # Numbered on, so that a picture that must do both gives other places.
        check += [(*_crop(checking[i % len(checking)], count + i), task) for i in range(count)]
    return Crops(
        fit=torch.from_numpy(np.stack(fit)),
        check=torch.from_numpy(np.stack([image for image, _, _ in check])),
        targets=torch.from_numpy(np.stack([target for _, target, _ in check])),
        tasks=tuple(task for _, _, task in check),
    )


def _parted(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    """Every other picture of each set; a single one does both, at other places."""
    ranks: Counter[str] = Counter()
    parts: tuple[list[Sample], list[Sample]] = ([], [])
    for sample in samples:
        parts[ranks[sample.set_name] % 2].append(sample)
        ranks[sample.set_name] += 1
    if not all(parts):
        parts = (list(samples[::2]), list(samples[1::2] or samples))
    return parts


def _crop(sample: Sample, number: int) -> tuple[Image, Image]:
    pair = sample.load()
    assert pair.target is not None
    random = np.random.default_rng([int(sample.digest[:8], 16), number])
    room = [max(0, side - SIDE) for side in pair.input.shape[1:]]
    top, left = (int(random.integers(most + 1)) for most in room)

    def cut(pixels: Image) -> Image:
        return pad(np.ascontiguousarray(pixels[:, top : top + SIDE, left : left + SIDE]), (SIDE, SIDE))

    return cut(pair.input), cut(pair.target)
