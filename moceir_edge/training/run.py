"""One training run in a folder: started, or taken up where its last checkpoint was written, on any number of processes.

What Lightning offers is left to it: processes, mixed precision, accumulation, averages of the weights, the logs.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader

from moceir_edge.errors import InputError, OutputError
from moceir_edge.network.architecture import SIZES
from moceir_edge.network.checkpoint import LoadedModel, convert, save
from moceir_edge.network.network import MoceIR
from moceir_edge.records import canonical_json, output_error, writing
from moceir_edge.terms import Progress, silent
from moceir_edge.training.balance import balance_over_processes
from moceir_edge.training.module import Training
from moceir_edge.training.patches import Numbers, Patch, Patches
from moceir_edge.training.recipe import TrainingRecipe
from moceir_edge.training.result import Trained
from moceir_edge.training.sources import samples_of
from moceir_edge.training.starting import fresh_network, raise_experts
from moceir_edge.training.validation import ValidationPictures, ValidationSample

RECIPE, CHECKPOINT, HISTORY = "training.json", "last.ckpt", "history.jsonl"
MODEL, PUBLISHED = "model.safetensors", "model.ckpt"

FREE = frozenset({"validation", "workers", "cache_mib", "checkpoint_every", "unreadable"})
"""What may change between the parts of a run, beside how many steps it takes."""

FIRST_LOOK = 8
"""Samples that experts are scaled on."""


def run_training(
    recipe: TrainingRecipe,
    root: Path,
    out: Path,
    *,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> Trained:
    """Train in the folder `out`; where it holds this run already, go on from its last checkpoint.

    root: what the folders of the recipe are relative to. Under torchrun or on a cluster every process calls this.
    Errors: DataError, InputError (another run lies there; the loss is no number), OutputError (a full disk).
    """
    resumed = _take_up(recipe, out)
    say(f"{'going on' if resumed else 'starting'}: {recipe.size}, {recipe.schedule.steps} steps")
    data = _Data(recipe, root)
    say(f"{len(data.patches)} samples in a pass")
    network = fresh_network(recipe.size, seed=recipe.seed, complexity=recipe.loss.complexity)
    if recipe.expert_share is not None and not resumed:
        images = torch.stack([data.patches[number]["input"] for number in range(FIRST_LOOK)])
        before = raise_experts(network, images, share=recipe.expert_share)
        least, most = min(before.values()), max(before.values())
        say(f"experts added {least:.2g} to {most:.2g} of their shortcut, now {recipe.expert_share:g}")
    if recipe.loss.scope == "global":
        balance_over_processes(network)
    module = Training(network, recipe, out)
    trainer = _trainer(recipe, out, say=say, progress=progress)
    with _quiet(), _full_disk(out):
        trainer.fit(module, datamodule=data, ckpt_path=str(out / CHECKPOINT) if resumed else None, weights_only=False)
    return _finished(trainer, module, out)


def _take_up(recipe: TrainingRecipe, out: Path) -> bool:
    """Whether a checkpoint of this run is there; InputError where another run is."""
    path = out / RECIPE
    if not path.exists():
        if out.exists() and any(out.iterdir()):
            raise OutputError(f"{out} is no training run", "choose another folder")
        recipe.write(path)
        return False
    before, now = (_fixed(each) for each in (TrainingRecipe.read(path), recipe))
    changed = sorted(name for name in now if before.get(name) != now[name])
    if changed:
        name = changed[0]
        raise InputError(
            f"{out} has a run with another {name}: {canonical_json(before.get(name))}, not {canonical_json(now[name])}",
            "go on with the file it was begun with, or choose another folder",
        )
    return (out / CHECKPOINT).exists()


def _fixed(recipe: TrainingRecipe) -> dict[str, Any]:
    said = recipe.model_dump(mode="json", exclude=set(FREE))
    del said["schedule"]["steps"]
    return said


class _Data(pl.LightningDataModule):
    """The patches from the trainer's step on, and the pictures of validation."""

    def __init__(self, recipe: TrainingRecipe, root: Path) -> None:
        super().__init__()
        self.recipe = recipe
        samples = [sample for source in recipe.data for sample in samples_of(source, root)]
        architecture = SIZES[recipe.size]
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
            self.pictures = ValidationPictures(asked.model_copy(update={"folder": root / asked.folder}))

    def train_dataloader(self) -> DataLoader[Patch]:
        trainer, recipe = self.trainer, self.recipe
        assert trainer is not None
        done = trainer.global_step * recipe.accumulate * trainer.world_size * recipe.batch
        numbers = Numbers(first=done, batch=recipe.batch, process=trainer.global_rank, processes=trainer.world_size)
        return DataLoader(
            self.patches,
            batch_size=recipe.batch,
            sampler=numbers,
            num_workers=recipe.workers,
            persistent_workers=recipe.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def val_dataloader(self) -> list[DataLoader[ValidationSample]]:
        if self.pictures is None:
            return []
        assert self.trainer is not None
        mine = list(range(self.trainer.global_rank, len(self.pictures), self.trainer.world_size))
        return [DataLoader(self.pictures, batch_size=None, sampler=mine)]


def _trainer(recipe: TrainingRecipe, out: Path, *, say: Callable[[str], None], progress: Progress) -> pl.Trainer:
    processes, nodes = _processes()
    callbacks: list[Callback] = [_Checkpoints(out, recipe.checkpoint_every), _Telling(out, recipe, say, progress)]
    if recipe.ema is not None:
        callbacks.append(EMAWeightAveraging(decay=recipe.ema))
    asked = recipe.validation
    return pl.Trainer(
        max_steps=recipe.schedule.steps,
        max_epochs=-1,
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
        devices=processes,
        num_nodes=nodes,
        strategy="ddp_find_unused_parameters_true" if processes * nodes > 1 else "auto",
        precision=recipe.precision,
        accumulate_grad_batches=recipe.accumulate,
        gradient_clip_val=recipe.schedule.clip_norm,
        val_check_interval=None if asked is None else asked.every * recipe.accumulate,
        check_val_every_n_epoch=None if asked is not None else 1,
        limit_val_batches=0 if asked is None else 1.0,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=10,
        logger=TensorBoardLogger(out, name="", version="log"),
        callbacks=callbacks,
    )


def _processes() -> tuple[int, int]:
    """Processes on a node, and nodes: what torchrun or Slurm started, else one for each GPU, or one."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "0"))
    if local:
        return local, int(os.environ["WORLD_SIZE"]) // local
    if "SLURM_NTASKS" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        nodes = int(os.environ.get("SLURM_NNODES", "1"))
        return int(os.environ["SLURM_NTASKS"]) // nodes, nodes
    return max(1, torch.cuda.device_count()), 1


class _Checkpoints(Callback):
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

    def write(self, trainer: pl.Trainer) -> None:
        """All processes take part, the first one writes."""
        temporary = self.out / f".{CHECKPOINT}"
        try:
            trainer.save_checkpoint(temporary)
            if trainer.is_global_zero:
                temporary.replace(self.out / CHECKPOINT)
        finally:
            if trainer.is_global_zero:
                temporary.unlink(missing_ok=True)
        self.written = trainer.global_step


class _Telling(Callback):
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
        with writing(self.out / HISTORY), (self.out / HISTORY).open("a", encoding="utf-8") as stream:
            stream.write(canonical_json({"step": trainer.global_step, **found}) + "\n")
        psnr = {name.removeprefix("psnr/"): value for name, value in found.items() if name.startswith("psnr/")}
        tasks = ", ".join(f"{name} {value:.2f}" for name, value in psnr.items())
        self.say(f"step {trainer.global_step}: loss {found.get('train/loss', 0):.4f}; dB: {tasks}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning tells of hardware it did not find, and warns of what was meant."""
    names = ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda", "lightning.fabric")
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _full_disk(out: Path) -> Iterator[None]:
    """The system's refusal to write, in our words; torch's own writer hides it in a RuntimeError."""
    try:
        yield
    except OSError as error:
        refused = output_error(out, error)
        if refused is None:
            raise
        raise refused from error
    except RuntimeError as error:
        if "PytorchStreamWriter" not in str(error) and "iostream" not in str(error):
            raise
        raise OutputError(f"{out}: the disk is full", "free some space; the last whole checkpoint is kept") from error


def _finished(trainer: pl.Trainer, module: Training, out: Path) -> Trained:
    network: MoceIR = module.net.eval()
    provenance = {"training": {"steps": trainer.global_step, "seed": module.recipe.seed}}
    model = LoadedModel(network, str(out / MODEL), provenance)
    if trainer.is_global_zero:
        save(model, out / MODEL)
        convert(model, out / PUBLISHED)
    psnr = {n.removeprefix("psnr/"): float(v) for n, v in trainer.callback_metrics.items() if n.startswith("psnr/")}
    return Trained(
        steps=trainer.global_step,
        model=str(out / MODEL),
        sha256=model.sha256,
        psnr=psnr,
        unreadable=tuple(sorted(module.unreadable)),
    )
