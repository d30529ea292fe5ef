"""Which pictures choose and which judge; never the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from moceir_edge.data.dataset import Dataset, Sample
from moceir_edge.errors import DataError
from moceir_edge.terms import Task

CHOOSING_SHARE = 1 / 3


@dataclass(frozen=True)
class Split:
    """Two parts without a common picture: one observes, calibrates and chooses, the other judges."""

    choosing: Dataset
    judging: Dataset


def split(dataset: Dataset) -> Split:
    """One third chooses and two thirds judge, decided by file hash, for every task.

    Tasks are served in the order of Task. Samples that share a file are one group; a group that an earlier task has
    placed stays where it is. Two groups or more give at least one to each side, where earlier tasks leave a choice.
    """
    groups = group_of_digest(dataset.samples)
    chosen: set[str] = set()
    placed: set[str] = set()
    for task in Task:
        of_task = {groups[sample.digest] for sample in dataset.samples if sample.task is task}
        chosen.update(_newly_chosen(of_task, placed=placed, chosen=chosen))
        placed |= of_task
    return Split(
        choosing=dataset.only(sample for sample in dataset.samples if groups[sample.digest] in chosen),
        judging=dataset.only(sample for sample in dataset.samples if groups[sample.digest] not in chosen),
    )


def _newly_chosen(of_task: set[str], *, placed: set[str], chosen: set[str]) -> list[str]:
    """The first of a task's open groups, by hash, until a third of all its groups choose."""
    wanted = max(1, round(len(of_task) * CHOOSING_SHARE)) if len(of_task) > 1 else 0
    return sorted(of_task - placed)[: max(0, wanted - len(of_task & chosen))]


def group_of_digest(samples: Iterable[Sample]) -> dict[str, str]:
    """The group of every file hash: files of one sample, and of samples that share a file, are together.

    A group is called by its smallest hash.
    """
    parent: dict[str, str] = {}

    def root(digest: str) -> str:
        while parent.setdefault(digest, digest) != digest:
            digest = parent[digest]
        return digest

    for sample in samples:
        first, *others = sorted(root(digest) for digest in sample.digests)
        parent.update(dict.fromkeys(others, first))
    return {digest: root(digest) for digest in tuple(parent)}


def refuse_overlap(choosing: Dataset, judging: Dataset) -> None:
    """DataError naming a sample of each side that share an input or a target file."""
    owners = {digest: sample for sample in choosing.samples for digest in sample.digests}
    for sample in judging.samples:
        for digest in sample.digests & owners.keys():
            raise DataError(
                f"{owners[digest].name} chooses and {sample.name} judges, and they share a file (sha256 {digest[:12]})",
                "take the picture out of one side",
            )


def subset(dataset: Dataset, per_task: int) -> Dataset:
    """At most `per_task` samples of every task, taken in turn from its sets, in the order of their hashes."""
    if per_task < 1:
        raise DataError(f"{per_task} pictures per task are too few", "ask for 1 or more")
    kept = {name for task in dataset.tasks for name in names_in_turn(dataset, task)[:per_task]}
    return dataset.only(sample for sample in dataset.samples if sample.name in kept)


def names_in_turn(dataset: Dataset, task: Task) -> list[str]:
    """Names of the task's samples: the first of each set, the second of each set, and so on."""
    sets: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(dataset.samples, key=lambda sample: (sample.digest, sample.name)):
        if sample.task is task:
            sets[sample.set_name].append(sample)
    ranked = [(rank, name, sample.name) for name, members in sets.items() for rank, sample in enumerate(members)]
    return [sample_name for _, _, sample_name in sorted(ranked)]
