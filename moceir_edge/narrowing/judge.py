"""What a narrow model lost, on pictures that chose nothing."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean

from moceir_edge.data.dataset import Dataset
from moceir_edge.metrics import finite, quality_db
from moceir_edge.network.network import MoceIR
from moceir_edge.parity.fit import fit
from moceir_edge.records import Record
from moceir_edge.runner import NetworkRunner
from moceir_edge.terms import Progress, Task, silent


class TaskLoss(Record):
    """PSNR of a task: means over its n pictures of the pictures as given, of the model, and of the narrow one.

    loss_db: mean of the pictures' differences, worst_db: the largest; positive is a loss.
    """

    task: Task
    n: int
    input_db: float
    whole_db: float
    narrow_db: float
    loss_db: float
    worst_db: float


class Judgement(Record):
    """Every task; pictures equal to their target are left out."""

    data_sha256: str
    tasks: tuple[TaskLoss, ...]


def judge(whole: MoceIR, narrow: MoceIR, judging: Dataset, *, progress: Progress = silent) -> Judgement:
    """Restore every picture with both."""
    runners = NetworkRunner(whole), NetworkRunner(narrow)
    found: dict[Task, list[tuple[float, float, float]]] = defaultdict(list)
    for sample in progress(judging.samples, "judging"):
        fitted = fit(sample, None)
        assert fitted.target is not None
        restored = (fitted.inside(runner.run(fitted.image).restored) for runner in runners)
        known = [finite(quality_db(fitted.target, picture)) for picture in (fitted.source, *restored)]
        if None not in known:
            given, before, after = (value for value in known if value is not None)
            found[sample.task].append((given, before, after))
    return Judgement(
        data_sha256=judging.sha256, tasks=tuple(_task(task, found[task]) for task in judging.tasks if task in found)
    )


def _task(task: Task, rows: list[tuple[float, float, float]]) -> TaskLoss:
    given, before, after = (fmean(column) for column in zip(*rows, strict=True))
    losses = [whole - narrow for _, whole, narrow in rows]
    return TaskLoss(
        task=task,
        n=len(rows),
        input_db=given,
        whole_db=before,
        narrow_db=after,
        loss_db=fmean(losses),
        worst_db=max(losses),
    )
