"""One training run in a folder: started, or taken up where its last checkpoint was written, on any number of processes.

What Lightning offers is left to it: processes, mixed precision, accumulation, averages of the weights, the logs.
"""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger

from moceir_edge.errors import InputError, OutputError
from moceir_edge.network.architecture import size_name
from moceir_edge.network.checkpoint import LoadedModel, convert, load, save
from moceir_edge.network.network import MoceIR
from moceir_edge.processes import is_first_process
from moceir_edge.records import output_error, sha256_of_value
from moceir_edge.terms import Progress, Task, silent, tasks_from_names
from moceir_edge.training.allocation import keep_freed_memory
from moceir_edge.training.balance import balance_over_processes
from moceir_edge.training.callbacks import Checkpoints, Telling
from moceir_edge.training.distil import Channels, Teacher, require_comparable
from moceir_edge.training.feed import Feed
from moceir_edge.training.folder import CHECKPOINT, MODEL, PUBLISHED, Begun, hash_of_samples, history, take_up
from moceir_edge.training.initial import fresh_network, network_of, raise_experts
from moceir_edge.training.module import Training
from moceir_edge.training.processes import processes_and_nodes
from moceir_edge.training.recipe import TrainingRecipe
from moceir_edge.training.result import Trained

FIRST_LOOK = 8
"""Samples that experts are scaled on."""


def run_training(
    recipe: TrainingRecipe,
    root: Path,
    out: Path,
    *,
    student: LoadedModel | None = None,
    teacher: LoadedModel | None = None,
    channels: Channels | None = None,
    tasks: Sequence[Task] | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> Trained:
    """Train in the folder `out`; where it holds this run already, go on from its last checkpoint.

    root: what the folders of the recipe are relative to. student: what is trained, in place of the recipe's size or
    start; it is left as it is. teacher: what is learned from, too, of the same levels; channels: those of its features
    that the student has, where it is narrower. tasks: those that data is taken of, None for all. Under torchrun or on a
    cluster every process calls this.
    Errors: DataError, InputError (nothing to train, another run lies there, the loss is no number), CheckpointError,
    OutputError (a full disk).
    """
    _require_possible(recipe, student=student, teacher=teacher)
    keep_freed_memory()
    root = root.resolve()
    start = load(root / recipe.start) if student is None and recipe.start is not None else student
    network = _network(recipe, start)
    if teacher is not None:
        require_comparable(network.architecture, teacher.architecture, channels)
    chosen = None if tasks is None else tasks_from_names(tasks)
    feed = Feed(recipe, root, architecture=network.architecture, tasks=chosen)
    begun = Begun(
        recipe=recipe,
        data_sha256=hash_of_samples(feed.patches.samples, root),
        tasks=chosen,
        start_sha256=None if start is None else start.sha256,
        teacher_sha256=None if teacher is None else teacher.sha256,
    )
    resumed = take_up(begun, out)
    module = Training(network, recipe, out, teacher=None if teacher is None else Teacher(teacher, channels))
    done = _steps_done(out) if resumed else 0
    if done < recipe.schedule.steps:
        name = size_name(network.architecture)
        say(f"{'going on' if resumed else 'starting'}: {name}, step {done} of {recipe.schedule.steps}")
        say(f"{len(feed.patches)} samples in a pass")
        if recipe.expert_share is not None and not resumed:
            _raise_experts(module, feed, recipe.expert_share, say)
        if recipe.loss.scope == "global":
            balance_over_processes(module.net)
        with _quiet(), _full_disk(out), _interruptible():
            trainer = _trainer(recipe, out, say=say, progress=progress)
            checkpoint = str(out / CHECKPOINT) if resumed else None
            trainer.fit(module, datamodule=feed, ckpt_path=checkpoint, weights_only=True)
    return _finished(begun, module, out, before={} if start is None else start.provenance)


def _require_possible(recipe: TrainingRecipe, *, student: LoadedModel | None, teacher: LoadedModel | None) -> None:
    if recipe.precision == "16-mixed" and not torch.cuda.is_available():
        raise InputError("16-mixed needs a GPU", "say precision: 32-true, or bf16-mixed")
    if student is None and recipe.size is None and recipe.start is None:
        what = "the training file names no network: neither size nor start"
        raise InputError(what, "add one of them, or give it to a command that brings a network along")
    if teacher is None and recipe.distil is not None:
        raise InputError("the training file says distil, and there is no teacher", "remove it, or give a teacher")


def _network(recipe: TrainingRecipe, start: LoadedModel | None) -> MoceIR:
    if start is not None:
        return network_of(start, complexity=recipe.loss.complexity)
    assert recipe.size is not None
    return fresh_network(recipe.size, seed=recipe.seed, complexity=recipe.loss.complexity)


def _steps_done(out: Path) -> int:
    return int(torch.load(out / CHECKPOINT, map_location="cpu", weights_only=True)["global_step"])


def _raise_experts(module: Training, feed: Feed, share: float, say: Callable[[str], None]) -> None:
    images = torch.stack([feed.patches[number]["input"] for number in range(FIRST_LOOK)])
    before = raise_experts(module.net, images, share=share)
    if not before:
        say("there are no experts to scale")
        return
    least, most = min(before.values()), max(before.values())
    say(f"experts added {least:.2g} to {most:.2g} of their shortcut, now {share:g}")


def _trainer(recipe: TrainingRecipe, out: Path, *, say: Callable[[str], None], progress: Progress) -> pl.Trainer:
    processes, nodes = processes_and_nodes()
    callbacks: list[Callback] = [Checkpoints(out, recipe.checkpoint_every), Telling(out, recipe, say, progress)]
    if recipe.ema is not None:
        callbacks.append(EMAWeightAveraging(decay=recipe.ema, use_buffers=False))
    asked = recipe.validation
    return pl.Trainer(
        default_root_dir=out,
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


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lightning ends the process on Ctrl-C, and takes no second one; it is ours to say how to go on."""
    try:
        yield
    except SystemExit as ended:
        if not isinstance(ended.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise KeyboardInterrupt from None


def _finished(begun: Begun, module: Training, out: Path, *, before: Mapping[str, Any]) -> Trained:
    """The model of the last checkpoint: the averaged weights, where they are averaged.

    before: the provenance of the weights that training started from; their own training stays in it, too.
    """
    architecture, steps = module.net.architecture, _steps_done(out)
    network = load(out / CHECKPOINT, architecture=architecture).network
    origin = {
        "steps": steps,
        "recipe_sha256": sha256_of_value(begun.recipe.model_dump(mode="json")),
        **begun.model_dump(mode="json", exclude={"recipe"}, exclude_none=True),
    }
    earlier = {"before": before["training"]} if "training" in before else {}
    model = LoadedModel(network, str(out / MODEL), {**before, "training": {**origin, **earlier}})
    if is_first_process():
        save(model, out / MODEL)
        if architecture.published:
            convert(model, out / PUBLISHED)
    found = history(out)
    last = found[-1] if found else {}
    return Trained(
        steps=steps,
        model=str(out / MODEL),
        sha256=model.sha256,
        psnr={name.removeprefix("psnr/"): value for name, value in last.items() if name.startswith("psnr/")},
        unreadable=tuple(sorted(module.unreadable)),
    )
