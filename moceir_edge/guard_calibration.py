"""The guard's rule from choosing pictures, and how well it tells the tasks apart on judging ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from moceir_edge.data.dataset import Dataset, Sample
from moceir_edge.data.split import group_of_digest, subset
from moceir_edge.guarding import GuardRule, rule_from_scores, verdict
from moceir_edge.metrics import roc_area, roc_curve
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.parity.fit import fit
from moceir_edge.records import Record
from moceir_edge.runner import NetworkRunner, Runner, centre
from moceir_edge.terms import Progress, Task, silent

PICTURES = 32
"""Choosing pictures that a rule keeps at most, shared by the tasks; each is 20 numbers of the tiny model, 40 of S."""

SIDE = 512
"""Pixels a side of which the centre of larger pictures is taken. Size moves scores little: the rule of whole pictures
and that of their centres of 256 call the same haze and low light foreign, and two and one of 21 rainy pictures."""

FOREIGN_PICTURES = 8
"""Judging pictures of each other task that the rule is tried on."""

HOW = "the model in PyTorch, float32"
"""What calibrates: one rule for every target. That an artifact's verdicts are the same is a gate of `verify`."""


class Judged(Record):
    """A judging picture and how far it is from the rule's."""

    name: str
    task: Task
    distance: float | None
    foreign: bool


class TaskGuard(Record):
    """The rule on a task's n judging pictures; alarms: share that it calls foreign.

    area: under the ROC curve against the pictures of the model's own tasks, curve: its corners (false alarms, alarms);
    None for the own tasks, and where there are no pictures of those.
    """

    task: Task
    own: bool
    n: int
    alarms: float
    area: float | None
    curve: tuple[tuple[float, float], ...] | None


class GuardFacts(Record):
    """guard.json: the rule in use and what it is worth; reason: why there is none."""

    tasks: tuple[Task, ...]
    how: str = HOW
    rule: GuardRule | None
    reason: str = ""
    judged: tuple[Judged, ...] = ()
    by_task: tuple[TaskGuard, ...] = ()


def calibrate_guard(model: LoadedModel, choosing: Dataset, *, progress: Progress = silent) -> GuardRule | str:
    """The rule of a model from choosing pictures of its tasks, or why there is none."""
    if not model.architecture.guarded:
        return "the model carries no routers"
    if not choosing.samples:
        return "no choosing pictures"
    pictures = subset(choosing, max(1, PICTURES // len(choosing.tasks))).samples
    groups, runner = group_of_digest(choosing.samples), NetworkRunner(model.network)
    scores = [scores_of(runner, sample) for sample in progress(pictures, "calibrating the guard")]
    return rule_from_scores(scores, [groups[sample.digest] for sample in pictures])


def scores_of(runner: Runner, sample: Sample) -> NDArray[np.float32]:
    """(L, E) of a sample, of its centre where it is large."""
    outputs = runner.run(centre(fit(sample, None).image, (SIDE, SIDE)))
    assert outputs.scores is not None
    return outputs.scores


def judge_guard(
    model: LoadedModel,
    rule: GuardRule | str,
    judging: Dataset,
    tasks: Sequence[Task],
    *,
    progress: Progress = silent,
) -> GuardFacts:
    """The rule on judging pictures. rule: or why there is none. judging: see `tried`."""
    if isinstance(rule, str):
        return GuardFacts(tasks=tuple(tasks), rule=None, reason=rule)
    runner, judged = NetworkRunner(model.network), []
    for sample in progress(judging.samples, "judging the guard"):
        found = verdict(rule, [scores_of(runner, sample)])
        judged.append(Judged(name=sample.name, task=sample.task, distance=found.distance, foreign=found.foreign))
    return GuardFacts(tasks=tuple(tasks), rule=rule, judged=tuple(judged), by_task=by_task(judged, tasks))


def tried(judging: Dataset, tasks: Sequence[Task]) -> Dataset:
    """All pictures of the model's own tasks and some of every other one."""
    others = judging.only(sample for sample in judging.samples if sample.task not in tasks)
    few = subset(others, FOREIGN_PICTURES) if others.samples else others
    names = {sample.name for sample in few.samples}
    return judging.only(sample for sample in judging.samples if sample.task in tasks or sample.name in names)


def by_task(judged: Sequence[Judged], tasks: Sequence[Task]) -> tuple[TaskGuard, ...]:
    """What the rule does to each task, the model's own ones first."""
    own = [_distance(picture) for picture in judged if picture.task in tasks]
    present = {picture.task for picture in judged}
    ordered = [task for task in Task if task in present]
    return tuple(_of_task(task, judged, own, tasks) for task in sorted(ordered, key=lambda task: task not in tasks))


def _of_task(task: Task, judged: Sequence[Judged], own: Sequence[float], tasks: Sequence[Task]) -> TaskGuard:
    here = [picture for picture in judged if picture.task is task]
    distances = [_distance(picture) for picture in here]
    compared = task not in tasks and bool(own)
    return TaskGuard(
        task=task,
        own=task in tasks,
        n=len(here),
        alarms=sum(picture.foreign for picture in here) / len(here),
        area=roc_area(own, distances) if compared else None,
        curve=roc_curve(own, distances) if compared else None,
    )


def _distance(picture: Judged) -> float:
    return float("inf") if picture.distance is None else picture.distance
