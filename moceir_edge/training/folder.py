"""The folder of a training run: what it was begun with, and what has been measured on the way."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from moceir_edge.errors import InputError, OutputError
from moceir_edge.processes import is_first_process
from moceir_edge.records import Record, canonical_json, replacing_file, sha256_of_value, writing
from moceir_edge.terms import Task
from moceir_edge.training.recipe import TrainingRecipe
from moceir_edge.training.sources import TrainSample

BEGUN, CHECKPOINT, HISTORY = "training.json", "last.ckpt", "history.jsonl"
MODEL, PUBLISHED = "model.safetensors", "model.ckpt"

FREE = frozenset({"validation", "workers", "cache_mib", "checkpoint_every", "unreadable"})
"""What may change between the parts of a run, beside how many steps it takes."""

_OTHERWISE = {
    "start_sha256": ("from other weights", "start from those of before"),
    "teacher_sha256": ("with another teacher, or with none", "give the one of before"),
    "tasks": ("for other tasks", "name those of before"),
    "data_sha256": ("with other training pictures", "give the folder --data of before"),
}
"""What else must stay: how a run is said to differ in it, and the remedy."""

PATIENCE_S = 60.0
"""How long other processes wait for the first one to have looked at the folder."""


class Begun(Record):
    """data_sha256: over the samples' files and sizes, in order. tasks: those that data is taken of, None for all.

    start_sha256: of the model whose weights are trained on; teacher_sha256: of the one that is learned from.
    """

    recipe: TrainingRecipe
    data_sha256: str
    tasks: tuple[Task, ...] | None = None
    start_sha256: str | None = None
    teacher_sha256: str | None = None


def hash_of_samples(samples: Sequence[TrainSample], root: Path) -> str:
    """Equal for equal names, sizes and uses of the training pictures, wherever their folder lies."""
    names = {path: Path(os.path.relpath(path, root)).as_posix() for s in samples for path in (s.input, s.target)}
    sizes = {path: path.stat().st_size for path in names}
    files = [[names[path], sizes[path]] for path in names]
    uses = [[list(s.tasks), names[s.input], names[s.target], list(s.strengths)] for s in samples]
    return sha256_of_value([files, uses])


def take_up(begun: Begun, out: Path) -> bool:
    """Make the folder one of this run, or find it is; whether there is a checkpoint to go on from.

    InputError where another run is, naming what differs; OutputError where something else is.
    """
    path = out / BEGUN
    if not is_first_process():
        _wait_for(path)
    elif not path.exists():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise OutputError(f"{out} is no training run", "choose another folder")
        begun.write(path)
    _require_same(Begun.read(path), begun, out)
    if is_first_process():
        begun.write(path)
    return (out / CHECKPOINT).exists()


def _wait_for(path: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while not path.exists():
        if time.monotonic() > end:
            raise OutputError(f"{path} did not appear", "give all processes one folder that they share")
        time.sleep(0.1)


def _require_same(there: Begun, now: Begun, out: Path) -> None:
    before, wanted = (_fixed(each.recipe) for each in (there, now))
    changed = sorted(name for name in wanted if before.get(name) != wanted[name])
    if changed:
        one, other = (canonical_json(each.get(changed[0])) for each in (before, wanted))
        what = f"{out} has a run with another {changed[0]}: {one}, not {other}"
        raise InputError(what, "go on with the file it was begun with, or choose another folder")
    for name, (other, remedy) in _OTHERWISE.items():
        if getattr(there, name) != getattr(now, name):
            raise InputError(f"{out} was begun {other}", f"{remedy}, or choose another folder for the run")


def _fixed(recipe: TrainingRecipe) -> dict[str, Any]:
    said = recipe.model_dump(mode="json", exclude=set(FREE))
    del said["schedule"]["steps"]
    return said


def history(out: Path) -> list[dict[str, float]]:
    """What validation found, in order."""
    path = out / HISTORY
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def forget_after(step: int, out: Path) -> None:
    """Drop what was validated beyond the checkpoint: it will be again."""
    kept = [line for line in history(out) if line["step"] <= step]
    with replacing_file(out / HISTORY) as temporary:
        temporary.write_text("".join(canonical_json(line) + "\n" for line in kept), encoding="utf-8")


def remember(line: dict[str, float], out: Path) -> None:
    """Append what one validation found."""
    with writing(out / HISTORY), (out / HISTORY).open("a", encoding="utf-8") as stream:
        stream.write(canonical_json(line) + "\n")
