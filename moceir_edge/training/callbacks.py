"""What happens between the steps of a run: checkpoints, progress, the history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from moceir_edge.errors import InputError
from moceir_edge.terms import Progress
from moceir_edge.training.folder import CHECKPOINT, forget_after, remember
from moceir_edge.training.module import LOWER, Training, finite
from moceir_edge.training.recipe import TrainingRecipe


class Checkpoints(Callback):
    """Every so many steps `last.ckpt`, whole or not at all: a disk that fills keeps the one before."""

    def __init__(self, out: Path, every: int) -> None:
        self.out, self.every, self.written = out, every, 0

    def on_train_batch_start(self, trainer: pl.Trainer, module: pl.LightningModule, batch: Any, index: int) -> None:
        """Between two steps: the state of the loops is that of whole steps."""
        del module, batch, index
        if trainer.global_step % self.every == 0 and trainer.global_step > self.written:
            self.write(trainer)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """The last one, from which more steps can be taken."""
        del module
        if trainer.global_step > self.written:
            self.write(trainer)

    def on_save_checkpoint(self, trainer: pl.Trainer, module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        """The batch that is about to be learned from has not been: it is not counted as one that was made ready."""
        del trainer, module
        batches = checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        for counts in (batches["total"], batches["current"]):
            counts["ready"] = counts["completed"]

    def write(self, trainer: pl.Trainer) -> None:
        """All processes take part, the first one writes; weights that are no numbers are not kept."""
        network = cast(Training, trainer.lightning_module).net
        if not finite(network):
            raise InputError(f"weights are no numbers after step {trainer.global_step}", LOWER)
        temporary = self.out / f".{CHECKPOINT}"
        try:
            trainer.save_checkpoint(temporary)
            if trainer.is_global_zero:
                temporary.replace(self.out / CHECKPOINT)
        finally:
            if trainer.is_global_zero:
                temporary.unlink(missing_ok=True)
        self.written = trainer.global_step


class Telling(Callback):
    """Progress while it trains, and a line of `history.jsonl` for each validation."""

    def __init__(self, out: Path, recipe: TrainingRecipe, say: Callable[[str], None], progress: Progress) -> None:
        self.out, self.recipe, self.say, self.progress = out, recipe, say, progress
        self.steps: Iterator[int] = iter(())
        self.shown = 0

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """From where the run stands."""
        del module
        self.shown = trainer.global_step
        if trainer.is_global_zero:
            forget_after(self.shown, self.out)
            self.steps = self.progress(range(self.shown, self.recipe.schedule.steps), "training")
            next(self.steps, None)

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """One step further, where it was one."""
        del module, outputs, batch, index
        while self.shown < trainer.global_step:
            self.shown += 1
            next(self.steps, None)

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """What was logged, with the step."""
        del module
        if not trainer.is_global_zero:
            return
        found = {name: round(float(value), 4) for name, value in trainer.callback_metrics.items()}
        remember({"step": trainer.global_step, **found}, self.out)
        psnr = {name.removeprefix("psnr/"): value for name, value in found.items() if name.startswith("psnr/")}
        tasks = ", ".join(f"{name} {value:.2f}" for name, value in psnr.items())
        self.say(f"step {trainer.global_step}: loss {found.get('train/loss', 0):.4f}; dB: {tasks}")
