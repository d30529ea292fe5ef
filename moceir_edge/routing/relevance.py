"""Whether experts matter: dB lost when an expert is replaced by another one or by none. Use is not need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from statistics import fmean

from moceir_edge.data.dataset import Dataset
from moceir_edge.data.split import subset
from moceir_edge.metrics import finite, psnr_db
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.network.network import KEEP, SHORTCUT
from moceir_edge.records import Record
from moceir_edge.routing.crops import CROP, PER_TASK, Crop, Replay, over_crops
from moceir_edge.sharing import Each, alone
from moceir_edge.terms import Progress, Task, silent

IDLE_DB = 0.01
"""A mean change below this is none: a fifth of what the gate on slim models allows."""

EVERYWHERE = "everywhere"
"""Stands for a layer's name where all layers are replaced at once."""


class Verdict(StrEnum):
    """Whether the choice of expert makes a difference; `unknown` where no picture has a target."""

    IDLE = "idle"
    MATTERS = "matters"
    UNKNOWN = "unknown"


class Change(Record):
    """What happens when pictures take another route than their own; the gate stays the router's own.

    replacement: original index, None for the shortcut alone; n: pictures that took another route before.
    mean_db, worst_db: change of PSNR against the target, negative is a loss, None without targets;
    parity_db: PSNR against the model's own output, worst picture, None if nothing changed.
    """

    replacement: int | None
    n: int
    mean_db: float | None
    worst_db: float | None
    parity_db: float | None


class LayerRelevance(Record):
    """The changes of one task in one layer, or in all layers (`EVERYWHERE`) at once."""

    task: Task
    layer: str
    changes: tuple[Change, ...]

    @property
    def verdict(self) -> Verdict:
        """Idle if no replacement changes the mean by more than `IDLE_DB`."""
        means = [change.mean_db for change in self.changes]
        if not means or None in means:
            return Verdict.UNKNOWN
        return Verdict.IDLE if all(abs(mean) <= IDLE_DB for mean in means if mean is not None) else Verdict.MATTERS

    def change(self, replacement: int | None) -> Change | None:
        """The row of a replacement; None if it replaced nothing."""
        return next((change for change in self.changes if change.replacement == replacement), None)


class Relevance(Record):
    """Every replacement in every layer and task; pictures: names, centre-cropped to at most `crop` a side."""

    crop: int
    per_task: int
    pictures: tuple[str, ...]
    layers: tuple[LayerRelevance, ...]

    def of(self, task: Task, layer: str) -> LayerRelevance | None:
        """The row of a task and layer (or `EVERYWHERE`)."""
        return next((row for row in self.layers if row.task is task and row.layer == layer), None)


@dataclass(frozen=True)
class _Trial:
    layer: str
    replacement: int
    routes: tuple[int, ...]


@dataclass(frozen=True)
class _Outcome:
    change_db: float | None
    parity_db: float


def measure_relevance(
    model: LoadedModel,
    dataset: Dataset,
    *,
    per_task: int = PER_TASK,
    each: Each = alone,
    progress: Progress = silent,
) -> Relevance:
    """Replace every expert of every layer, one layer at a time and all at once, on a few pictures of each task."""
    chosen = subset(dataset, per_task)
    trials = _trials(model)
    outcomes: dict[tuple[Task, str, int], list[_Outcome]] = defaultdict(list)
    look = partial(_tried, model, trials)
    for task, tried in over_crops(look, chosen, "measuring relevance", each=each, progress=progress):
        for trial, outcome in tried:
            outcomes[task, trial.layer, trial.replacement].append(outcome)
    rows = tuple(
        LayerRelevance(task=task, layer=layer, changes=_changes(task, layer, trials, outcomes))
        for task in chosen.tasks
        for layer in (*model.architecture.layers, EVERYWHERE)
    )
    names = tuple(sample.name for sample in chosen.samples)
    return Relevance(crop=CROP, per_task=per_task, pictures=names, layers=rows)


def _trials(model: LoadedModel) -> tuple[_Trial, ...]:
    """Every expert with weights, and none, in each layer where there is one; then the same in all layers."""
    blocks = tuple(model.architecture.routed())
    count = len(blocks)
    single = [
        _Trial(name, index, (*(KEEP,) * layer, index, *(KEEP,) * (count - layer - 1)))
        for layer, (name, block) in enumerate(blocks)
        for index in ((*block.kept, SHORTCUT) if block.kept else ())
    ]
    common = set.intersection(*(set(block.kept) for _, block in blocks))
    return (*single, *(_Trial(EVERYWHERE, index, (index,) * count) for index in (*sorted(common), SHORTCUT)))


def _tried(model: LoadedModel, trials: Iterable[_Trial], crop: Crop) -> list[tuple[_Trial, _Outcome]]:
    """What a crop says of every trial that changes one of its routes."""
    replay = Replay(model.network, crop.image)
    changing = (trial for trial in trials if not _is_own(trial.routes, replay.routes))
    return [(trial, _outcome(crop, replay, trial.routes)) for trial in changing]


def _is_own(routes: Sequence[int], own: Sequence[int]) -> bool:
    return bool(own) and all(route in (KEEP, taken) for route, taken in zip(routes, own, strict=True))


def _outcome(crop: Crop, replay: Replay, routes: tuple[int, ...]) -> _Outcome:
    restored = replay.forced(routes)
    before, after = crop.quality_db(replay.restored), crop.quality_db(restored)
    change = None if before is None or after is None else after - before
    return _Outcome(change, psnr_db(replay.restored, restored))


def _changes(
    task: Task,
    layer: str,
    trials: Iterable[_Trial],
    outcomes: dict[tuple[Task, str, int], list[_Outcome]],
) -> tuple[Change, ...]:
    found = [(trial.replacement, outcomes[task, layer, trial.replacement]) for trial in trials if trial.layer == layer]
    return tuple(_change(replacement, given) for replacement, given in found if given)


def _change(replacement: int, outcomes: Sequence[_Outcome]) -> Change:
    changes = [outcome.change_db for outcome in outcomes if outcome.change_db is not None]
    return Change(
        replacement=None if replacement == SHORTCUT else replacement,
        n=len(outcomes),
        mean_db=fmean(changes) if changes else None,
        worst_db=min(changes) if changes else None,
        parity_db=finite(min(outcome.parity_db for outcome in outcomes)),
    )
