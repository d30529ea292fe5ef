"""Reading DATA as two sides: pictures that choose and pictures that judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from moceir_edge.data.dataset import Dataset
from moceir_edge.data.samples import read_data
from moceir_edge.data.split import Split, refuse_overlap, split
from moceir_edge.errors import DataError
from moceir_edge.terms import Task


def sides_from_data(
    data: Path, calibration: Path | None, tasks: Sequence[Task], *, say: Callable[[str], None] = lambda _: None
) -> Split:
    """Choosing and judging pictures, of some tasks or all; calibration pictures of others are named to `say`.

    Without `calibration`, `data` is split by hash. Errors: DataError where a picture is on both sides.
    """

    def of_tasks(dataset: Dataset) -> Dataset:
        return dataset.of(tasks) if tasks else dataset

    if calibration is None:
        return split(of_tasks(read_data(data)))
    given = read_data(calibration)
    sides = Split(choosing=of_tasks(given), judging=of_tasks(read_data(data)))
    unused = [task for task in given.tasks if tasks and task not in tasks]
    if unused:
        say(
            f"warning: {calibration}: its pictures for {', '.join(unused)} are not used; the model is not made for them"
        )
    refuse_overlap(sides.choosing, sides.judging)
    return sides


def require_choosing(choosing: Dataset, tasks: Sequence[Task]) -> None:
    """DataError naming the tasks without a choosing picture: two different pictures at least make two sides."""
    missing = [task for task in tasks if task not in choosing.tasks]
    if missing:
        raise DataError(
            f"no choosing picture is left for {', '.join(missing)}", "give more pictures, or others by --calibration"
        )
