"""What Lightning feeds a run with: patches from where it stands, and the pictures of validation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader

from moceir_edge.errors import DataError
from moceir_edge.network.architecture import Architecture
from moceir_edge.terms import Task
from moceir_edge.training.module import Training
from moceir_edge.training.patches import Numbers, Patch, Patches
from moceir_edge.training.processes import processes_and_nodes
from moceir_edge.training.recipe import TrainingRecipe
from moceir_edge.training.sources import samples_of_all
from moceir_edge.training.validation import ValidationPictures, ValidationSample


class Feed(pl.LightningDataModule):
    """The patches from the trainer's step on, and the pictures of validation.

    architecture: of the network that is fed. tasks: those that data is taken of, None for all.
    """

    def __init__(
        self, recipe: TrainingRecipe, root: Path, *, architecture: Architecture, tasks: tuple[Task, ...] | None
    ) -> None:
        super().__init__()
        self.recipe = recipe
        samples = samples_of_all(recipe.data, root, tasks=tasks)
        self.patches = Patches(
            samples,
            patch=recipe.patch,
            routers=(len(architecture.layers), architecture.experts),
            seed=recipe.seed,
            cache_mib=recipe.cache_mib,
        )
        asked = recipe.validation
        self.pictures = None
        if asked is not None:
            learned = {path for sample in samples for path in (sample.input, sample.target)}
            placed = asked.model_copy(update={"folder": root / asked.folder})
            self.pictures = ValidationPictures(placed, learned, tasks=tasks)
            if len(self.pictures) < math.prod(processes_and_nodes()):
                what = f"{len(self.pictures)} pictures to validate on are fewer than the processes"
                raise DataError(what, "raise validation.pictures")

    def train_dataloader(self) -> DataLoader[Patch]:
        """From the sample on that comes after those of the checkpoint."""
        trainer, recipe = self.trainer, self.recipe
        assert trainer is not None
        first = cast(Training, trainer.lightning_module).seen
        numbers = Numbers(first=first, batch=recipe.batch, process=trainer.global_rank, processes=trainer.world_size)
        return DataLoader(
            self.patches,
            batch_size=recipe.batch,
            sampler=numbers,
            num_workers=recipe.workers,
            persistent_workers=recipe.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def val_dataloader(self) -> list[DataLoader[ValidationSample]]:
        """The part of this process."""
        if self.pictures is None:
            return []
        assert self.trainer is not None
        mine = list(range(self.trainer.global_rank, len(self.pictures), self.trainer.world_size))
        return [DataLoader(self.pictures, batch_size=None, sampler=mine)]
