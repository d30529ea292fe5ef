"""What the routing noise of the published code would do at inference. A measurement: nothing here ever adds noise."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from statistics import fmean, pstdev

import numpy as np
from numpy.typing import NDArray

from moceir_edge.data.dataset import Dataset, Sample
from moceir_edge.data.split import subset
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.records import Record
from moceir_edge.routing.crops import CROP, PER_TASK, Crop, Replay, over_crops
from moceir_edge.routing.observe import require_routers
from moceir_edge.sharing import Each, alone
from moceir_edge.terms import Progress, Task, silent


class TaskNoise(Record):
    """A task under routing noise: how much it changes from run to run.

    routes_changed: share of all routes of all draws. clean_db: mean PSNR without noise; a draw's value is the mean
    over its pictures, and mean, std, min and max are over the draws. None without targets. n: pictures with a target.
    """

    task: Task
    routes_changed: float
    n: int
    clean_db: float | None
    mean_db: float | None
    std_db: float | None
    min_db: float | None
    max_db: float | None


class Noise(Record):
    """Logits + z / E with z standard normal, as in training; pictures: names, centre-cropped to at most `crop`."""

    draws: int
    seed: int
    crop: int
    per_task: int
    pictures: tuple[str, ...]
    tasks: tuple[TaskNoise, ...]


def measure_noise(
    model: LoadedModel,
    dataset: Dataset,
    *,
    draws: int = 4,
    seed: int = 0,
    per_task: int = PER_TASK,
    each: Each = alone,
    progress: Progress = silent,
) -> Noise:
    """Restore a few pictures of each task several times with routing noise; the noise follows from seed and picture.

    CheckpointError if the model has no routers.
    """
    require_routers(model)
    chosen = subset(dataset, per_task)
    measured: dict[Task, list[_Picture]] = defaultdict(list)
    look = partial(_measured, model, draws=draws, seed=seed)
    for task, picture in over_crops(look, chosen, "measuring routing noise", each=each, progress=progress):
        measured[task].append(picture)
    return Noise(
        draws=draws,
        seed=seed,
        crop=CROP,
        per_task=per_task,
        pictures=tuple(sample.name for sample in chosen.samples),
        tasks=tuple(_task_noise(task, measured[task]) for task in chosen.tasks),
    )


@dataclass(frozen=True)
class _Picture:
    """clean_db: PSNR without noise; noisy_db: with each draw; changed: share of routes changed over all draws."""

    clean_db: float | None
    noisy_db: tuple[float | None, ...]
    changed: float


def _measured(model: LoadedModel, crop: Crop, *, draws: int, seed: int) -> _Picture:
    replay = Replay(model.network, crop.image)
    shape = (draws, len(model.architecture.layers), model.architecture.experts)
    runs = [replay.noisy(noise) for noise in _drawn(crop.sample, shape, seed=seed)]
    return _Picture(
        clean_db=crop.quality_db(replay.restored),
        noisy_db=tuple(crop.quality_db(restored) for restored, _ in runs),
        changed=float(np.mean([np.not_equal(routes, replay.routes) for _, routes in runs])),
    )


def _drawn(sample: Sample, shape: tuple[int, ...], *, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng([seed, int(sample.digest[:16], 16)]).standard_normal(shape).astype(np.float32)


def _task_noise(task: Task, pictures: list[_Picture]) -> TaskNoise:
    clean = [picture.clean_db for picture in pictures if picture.clean_db is not None]
    noisy = [[value for value in picture.noisy_db if value is not None] for picture in pictures]
    means = [fmean(values) for values in zip(*(row for row in noisy if row), strict=True)]
    return TaskNoise(
        task=task,
        routes_changed=fmean(picture.changed for picture in pictures),
        n=len(clean),
        clean_db=fmean(clean) if clean else None,
        mean_db=fmean(means) if means else None,
        std_db=pstdev(means) if means else None,
        min_db=min(means, default=None),
        max_db=max(means, default=None),
    )
