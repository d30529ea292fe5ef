"""Which expert every picture takes in every routed layer, and by how much: one forward for each picture."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Self

import numpy as np

from moceir_edge.data.dataset import Dataset, Sample
from moceir_edge.errors import CheckpointError
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.records import Record
from moceir_edge.runner import NetworkRunner, Outputs, run_padded
from moceir_edge.sharing import Each, alone
from moceir_edge.terms import Progress, Task, silent


class Observed(Record):
    """One picture; L routed layers, E experts.

    digest: see `Sample`. routes: (L) original indices chosen among those served. gates: (L) their scores.
    margins: (L) first minus second score of all experts. scores: (L, E), softmax.
    """

    name: str
    task: Task
    set_name: str
    digest: str
    routes: tuple[int, ...]
    gates: tuple[float, ...]
    margins: tuple[float, ...]
    scores: tuple[tuple[float, ...], ...]

    @property
    def first_choices(self) -> tuple[int, ...]:
        """(L) the best expert of all, whether it is served or not; the first of equal ones."""
        return tuple(row.index(max(row)) for row in self.scores)


class Observation(Record):
    """The routing of pictures; layers are in the order in which they run."""

    layers: tuple[str, ...]
    experts: int
    pictures: tuple[Observed, ...]

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks that have pictures, in the order of Task."""
        present = {picture.task for picture in self.pictures}
        return tuple(task for task in Task if task in present)

    def of(self, tasks: Collection[Task]) -> Self:
        """Only the pictures of these tasks."""
        pictures = tuple(picture for picture in self.pictures if picture.task in tasks)
        return self.model_copy(update={"pictures": pictures})


def observe(model: LoadedModel, dataset: Dataset, *, each: Each = alone, progress: Progress = silent) -> Observation:
    """Run every sample once, padded where needed, without routing noise.

    CheckpointError if the model has no routers.
    """
    require_routers(model)
    runner = NetworkRunner(model.network)
    architecture = model.architecture

    def observed(sample: Sample) -> Observed:
        return _observed(sample, run_padded(runner, sample.load().input))

    pictures = each(observed, dataset.samples, "observing", progress=progress)
    return Observation(layers=architecture.layers, experts=architecture.experts, pictures=tuple(pictures))


def require_routers(model: LoadedModel) -> None:
    """CheckpointError if there is no routing to be seen."""
    if not model.architecture.guarded:
        raise CheckpointError(
            f"{model.origin}: it has no routers, so its routing cannot be observed", "give the full model"
        )


def _observed(sample: Sample, outputs: Outputs) -> Observed:
    assert outputs.scores is not None
    assert outputs.routes is not None
    ordered = np.sort(outputs.scores, axis=1)
    gates = np.take_along_axis(outputs.scores, outputs.routes[:, None], axis=1)[:, 0]
    return Observed(
        name=sample.name,
        task=sample.task,
        set_name=sample.set_name,
        digest=sample.digest,
        routes=tuple(int(route) for route in outputs.routes),
        gates=_floats(gates),
        margins=_floats(ordered[:, -1] - ordered[:, -2]) if outputs.scores.shape[1] > 1 else (1.0,) * len(gates),
        scores=tuple(_floats(row) for row in outputs.scores),
    )


def _floats(values: Sequence[float] | np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
