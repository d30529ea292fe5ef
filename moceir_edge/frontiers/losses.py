"""What a point loses against the model it was made of, picture by picture."""

from __future__ import annotations

from statistics import fmean

from moceir_edge.benchmarking.comparing import JudgedPicture, Quality
from moceir_edge.errors import DataError
from moceir_edge.records import Record
from moceir_edge.terms import Task


class TaskLoss(Record):
    """PSNR of a task: means over its n pictures as given, of the model given, and of the point.

    loss_db: mean of the pictures' differences, worst_db: the largest; positive is a loss.
    """

    task: Task
    n: int
    input_db: float
    given_db: float
    point_db: float
    loss_db: float
    worst_db: float


class Loss(Record):
    """loss_db: mean of the tasks' means."""

    loss_db: float
    tasks: tuple[TaskLoss, ...]

    @property
    def worst_db(self) -> float:
        """The largest loss of a picture."""
        return max(task.worst_db for task in self.tasks)


def loss_between(given: Quality, point: Quality) -> Loss:
    """Both on the same pictures; a picture that equals its target in any of them is left out.

    DataError where no picture of a task is left.
    """
    rows: dict[Task, list[tuple[float, float, float]]] = {picture.task: [] for picture in given.pictures}
    for before, after in zip(given.pictures, point.pictures, strict=True):
        row = _known(before, after)
        if row is not None:
            rows[before.task].append(row)
    empty = [task for task, found in rows.items() if not found]
    if empty:
        raise DataError(f"every picture of {', '.join(empty)} equals its target", "give degraded pictures")
    tasks = tuple(_task(task, rows[task]) for task in Task if task in rows)
    return Loss(loss_db=fmean(task.loss_db for task in tasks), tasks=tasks)


def _known(before: JudgedPicture, after: JudgedPicture) -> tuple[float, float, float] | None:
    if before.input_db is None or before.quality_db is None or after.quality_db is None:
        return None
    return before.input_db, before.quality_db, after.quality_db


def _task(task: Task, rows: list[tuple[float, float, float]]) -> TaskLoss:
    source, given, point = (fmean(column) for column in zip(*rows, strict=True))
    losses = [before - after for _, before, after in rows]
    return TaskLoss(
        task=task,
        n=len(rows),
        input_db=source,
        given_db=given,
        point_db=point,
        loss_db=fmean(losses),
        worst_db=max(losses),
    )
