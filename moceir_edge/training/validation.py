"""Pictures that are restored while training goes on: which, and what is kept of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor
from torch.utils.data import Dataset

from moceir_edge.data.dataset import require_targets
from moceir_edge.data.samples import read_data
from moceir_edge.data.split import names_in_turn
from moceir_edge.metrics import quality_db
from moceir_edge.network.network import Restored
from moceir_edge.runner import centre, pad
from moceir_edge.training.recipe import Validation


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
            quality_db(sample.target.numpy(), restored.image[0].float().cpu().numpy()),
            restored.routes[0].cpu(),
            restored.scores.shape[-1],
        )


class ValidationPictures(Dataset[ValidationSample]):
    """Centres of a few pictures of each task, balanced over its sets, the same ones in every run."""

    def __init__(self, asked: Validation) -> None:
        dataset = read_data(asked.folder, tasks=asked.tasks or None)
        require_targets(dataset)
        by_name = {sample.name: sample for sample in dataset.samples}
        names = [name for task in dataset.tasks for name in names_in_turn(dataset, task)[: asked.pictures]]
        self.samples, self.crop = [by_name[name] for name in names], asked.crop

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> ValidationSample:
        sample, size = self.samples[number], (self.crop, self.crop)
        pair = sample.load()
        assert pair.target is not None
        source, target = (torch.from_numpy(pad(centre(pixels, size), size)) for pixels in (pair.input, pair.target))
        return ValidationSample(sample.task, source, target)
