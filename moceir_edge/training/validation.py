"""Pictures that are restored while training goes on: which, and what is kept of each."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.utils.data import Dataset

from moceir_edge.data.dataset import require_readable, require_targets
from moceir_edge.data.samples import read_data
from moceir_edge.data.split import names_in_turn
from moceir_edge.errors import DataError
from moceir_edge.metrics import quality_db
from moceir_edge.network.network import Restored
from moceir_edge.runner import centre, pad
from moceir_edge.terms import Task
from moceir_edge.training.recipe import Validation

HIGHEST_DB = 100.0
"""Stands for the infinite PSNR of equal pictures."""


class ValidationSample(NamedTuple):
    """source, target: (3, H, W) float32 in [0, 1]."""

    task: str
    source: Tensor
    target: Tensor


@dataclass(frozen=True)
class Judged:
    """routes: (L,) int64, empty without routers."""

    task: str
    psnr_db: float
    routes: Tensor
    experts: int

    @classmethod
    def of(cls, sample: ValidationSample, restored: Restored) -> Self:
        """The clipped picture against its target."""
        return cls(
            sample.task,
            min(HIGHEST_DB, quality_db(sample.target.cpu().numpy(), restored.image[0].float().cpu().numpy())),
            restored.routes[0].cpu(),
            restored.scores.shape[-1],
        )


class ValidationPictures(Dataset[ValidationSample]):
    """Centres of a few pictures of each task, balanced over its sets, the same ones in every run.

    learned: files that are trained on; none of them may judge. tasks: those that are left, None for all.
    Errors: DataError, PictureError.
    """

    def __init__(self, asked: Validation, learned: Collection[Path], *, tasks: Collection[Task] | None = None) -> None:
        dataset = read_data(asked.folder, tasks=asked.tasks or None)
        if tasks is not None:
            dataset = dataset.of(task for task in dataset.tasks if task in tasks)
        if not dataset.samples:
            raise DataError(f"{asked.folder}: no picture to validate {', '.join(tasks or ())} on", "add some")
        require_targets(dataset)
        by_name = {sample.name: sample for sample in dataset.samples}
        names = [name for task in dataset.tasks for name in names_in_turn(dataset, task)[: asked.pictures]]
        self.samples, self.crop = [by_name[name] for name in names], asked.crop
        require_readable(dataset.only(self.samples))
        both = [sample for sample in self.samples if {sample.input_path, sample.target_path} & set(learned)]
        if both:
            raise DataError(f"{both[0].name} is trained on and would judge, too", "validate on other pictures")

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> ValidationSample:
        sample, size = self.samples[number], (self.crop, self.crop)
        pair = sample.load()
        assert pair.target is not None
        source, target = (torch.from_numpy(pad(centre(pixels, size), size)) for pixels in (pair.input, pair.target))
        return ValidationSample(sample.task, source, target)
