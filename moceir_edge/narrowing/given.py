"""What a model is to be narrowed for: its tasks, and pictures of all of them on both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from moceir_edge.data.dataset import require_readable, require_targets
from moceir_edge.data.sides import require_choosing, sides_from_data
from moceir_edge.data.split import Split
from moceir_edge.errors import DataError, InputError
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.terms import Progress, Task, tasks_from_names


def tasks_for(model: LoadedModel, asked: tuple[Task, ...]) -> tuple[Task, ...]:
    """Those asked for, or those the model was made for; InputError for none, and for others than it was made for."""
    made_for = tasks_from_names(model.provenance.get("tasks", ()))
    tasks = asked or made_for
    if not tasks:
        raise InputError("no task to narrow for", "name one or more with --task")
    foreign = [task for task in tasks if made_for and task not in made_for]
    if foreign:
        was = f"{model.origin} was made for {', '.join(made_for)}, not {', '.join(foreign)}"
        raise InputError(was, "give a model for that task")
    return tasks


def sides_for(
    data: Path,
    calibration: Path | None,
    tasks: Sequence[Task],
    *,
    progress: Progress,
    say: Callable[[str], None],
) -> Split:
    """Pictures that choose and pictures that judge: some of every task, with targets, and readable; else DataError."""
    sides = sides_from_data(data, calibration, tasks, say=say)
    require_choosing(sides.choosing, tasks)
    missing = [task for task in tasks if task not in sides.judging.tasks]
    if missing:
        raise DataError(f"{data}: no judging picture is left for {', '.join(missing)}", "give more pictures")
    for side in (sides.choosing, sides.judging):
        require_targets(side)
        require_readable(side, progress=progress)
    return sides
