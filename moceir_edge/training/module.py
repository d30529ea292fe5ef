"""The network as Lightning trains it: losses, optimizer, schedule, and what validation says of every task."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.nn import functional
from torch.optim.lr_scheduler import LambdaLR

from moceir_edge.errors import DataError, InputError
from moceir_edge.network.network import MoceIR
from moceir_edge.records import replacing_file
from moceir_edge.training.distil import Teacher, feature_loss, features_of
from moceir_edge.training.losses import Part, frequency_loss, pixel_loss
from moceir_edge.training.patches import TRIES, Patch
from moceir_edge.training.recipe import Distil, Schedule, TrainingRecipe
from moceir_edge.training.validation import Judged, ValidationSample

LOWER = "lower schedule.rate, set schedule.clip_norm, or look for odd pictures; the last checkpoint is kept"

BAD_BATCH = "bad-batch-{}.pt"
"""Of each process."""


class Training(pl.LightningModule):
    """`net` holds the network, so that the published code loads the checkpoints of Lightning.

    folder: where the batch goes whose loss is no number. teacher: what is learned from beside the targets.
    """

    def __init__(
        self, network: MoceIR, recipe: TrainingRecipe, folder: Path, *, teacher: Teacher | None = None
    ) -> None:
        super().__init__()
        self.net, self.recipe, self.folder, self.teacher = network, recipe, folder, teacher
        self.unreadable: set[str] = set()
        self.seen_before, self.steps_before = 0, 0
        self.judged: list[Judged] = []

    @property
    def seen(self) -> int:
        """How many samples all processes have learned from, also before this one was started."""
        recipe, steps = self.recipe, self.trainer.global_step - self.steps_before
        return self.seen_before + steps * recipe.accumulate * recipe.batch * self.trainer.world_size

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """With the samples seen: a run may go on with more processes or fewer."""
        checkpoint["samples_seen"] = self.seen

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Where the samples go on."""
        self.seen_before, self.steps_before = checkpoint["samples_seen"], checkpoint["global_step"]

    def training_step(self, batch: Patch, index: int) -> Tensor:
        """The whole loss of a batch; InputError where it is no number, or where too many pictures are damaged."""
        del index
        self._count_unreadable(batch)
        parts = self._parts(batch)
        total = sum((part.weight * part.value for part in parts), torch.zeros((), device=self.device))
        if not bool(torch.isfinite(total)):
            self._stop_at(batch)
        self.log_dict({"train/loss": total.detach(), **{f"train/{part.name}": part.value.detach() for part in parts}})
        return total

    def _parts(self, batch: Patch) -> list[Part]:
        loss, distil = self.recipe.loss, self.recipe.distil or Distil()
        with features_of(self.net) as features:
            restored = self.net(as_learned(batch["input"]), noise=batch["noise"])
        target = 1.0 if self.teacher is None else distil.target
        parts = [
            Part("pixel", target, pixel_loss(restored.image, batch["target"])),
            Part("balance", loss.balance, restored.balance_loss),
        ]
        if loss.frequency:
            parts.append(Part("frequency", target * loss.frequency, frequency_loss(restored.image, batch["target"])))
        if self.teacher is not None:
            taught = self.teacher(batch["input"])
            parts.append(Part("distil_output", distil.output, pixel_loss(restored.image, taught.image)))
            parts.append(Part("distil_features", distil.features, feature_loss(features, taught.features)))
        return parts

    def _stop_at(self, batch: Patch) -> None:
        path = self.folder / BAD_BATCH.format(self.global_rank)
        with replacing_file(path) as temporary:
            torch.save({name: value for name, value in batch.items() if isinstance(value, Tensor)}, temporary)
        raise InputError(
            f"the loss is not a number in step {self.global_step}; the batch is in {path}",
            LOWER,
        )

    def _count_unreadable(self, batch: Patch) -> None:
        self.unreadable.update(line for text in batch["unreadable"] for line in text.splitlines())
        if not bool(torch.as_tensor(batch["usable"]).all()):
            raise DataError(
                f"{TRIES} pictures in a row cannot be used: {min(self.unreadable)}", "check the training data"
            )
        if len(self.unreadable) > self.recipe.unreadable:
            shown = "; ".join(sorted(self.unreadable)[:3])
            raise InputError(
                f"{len(self.unreadable)} training pictures cannot be used, {self.recipe.unreadable} may be: {shown}",
                "repair or remove them, or raise `unreadable`",
            )

    def validation_step(self, sample: ValidationSample, index: int) -> None:
        """Restores one picture."""
        del index
        restored = self.net(sample.source[None])
        self.judged.append(Judged.of(sample, restored))

    def on_validation_epoch_end(self) -> None:
        """PSNR for each task, how often each expert is chosen, and the most used one's share in its layer."""
        found, self.judged = self.all_gather_object(self.judged), []
        for name, value in summary(found).items():
            self.log(name, value, rank_zero_only=True)

    def all_gather_object(self, mine: list[Judged]) -> list[Judged]:
        """Those of all processes."""
        if not torch.distributed.is_initialized():
            return mine
        everyone: list[list[Judged]] = [[] for _ in range(self.trainer.world_size)]
        torch.distributed.all_gather_object(everyone, mine)
        return [judged for part in everyone for judged in part]

    def configure_optimizers(self) -> Any:
        """AdamW, experts at a rate of their own; the rate changes with every step."""
        schedule = self.recipe.schedule
        experts = [p for name, p in self.net.named_parameters() if ".experts." in name]
        others = [p for name, p in self.net.named_parameters() if ".experts." not in name]
        groups = [
            {"params": others, "lr": schedule.rate},
            {"params": experts, "lr": schedule.rate * schedule.expert_rate},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=schedule.weight_decay, fused=True)
        scheduler = LambdaLR(optimizer, lambda step: rate_share(step, schedule))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


def as_learned(images: Tensor) -> Tensor:
    """(N, 3, H, W) with channels last in memory, as all that follows has them: what learning is fastest with."""
    return images.contiguous(memory_format=torch.channels_last)


def finite(network: MoceIR) -> bool:
    """Whether every weight is a number."""
    return bool(torch.isfinite(torch.stack([p.detach().sum() for p in network.parameters()])).all())


def rate_share(step: int, schedule: Schedule) -> float:
    """Of the highest rate: linear from 0 over `warmup` steps, then a cosine that ends at 0 in step `cosine`."""
    if step < schedule.warmup:
        return step / schedule.warmup
    done = (step - schedule.warmup) / max(1, schedule.cosine - schedule.warmup)
    return (1 + math.cos(math.pi * min(1.0, done))) / 2


def summary(judged: list[Judged]) -> dict[str, float]:
    """What is logged of a validation, by name; without routers, nothing of routing."""
    by_task: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        by_task[one.task].append(one)
    found: dict[str, float] = {}
    for task, ones in sorted(by_task.items()):
        found[f"psnr/{task}"] = sum(one.psnr_db for one in ones) / len(ones)
        for layer, row in enumerate(_shares(ones)):
            for expert, share in enumerate(row):
                found[f"routing/{task}/layer{layer}/expert{expert}"] = float(share)
    found["psnr/mean"] = sum(value for name, value in found.items() if name.startswith("psnr/")) / len(by_task)
    every = _shares(judged)
    if len(every):
        found["routing/most_used"] = float(every.max(1).values.max())
    return found


def _shares(judged: list[Judged]) -> Tensor:
    """(L, E): how often each expert was chosen; (0, 1) without routers."""
    experts = max(1, judged[0].experts)
    return functional.one_hot(torch.stack([one.routes for one in judged]), experts).float().mean(0)
