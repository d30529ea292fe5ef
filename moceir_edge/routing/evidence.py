"""What observed routes say: use of experts, agreement between tasks, coverage of a choice and the bound of its risk.

Everything counts first choices, the best score of all experts: that is what a slim model has to keep.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import combinations
from statistics import fmean

from moceir_edge.metrics import event_bound
from moceir_edge.records import Record
from moceir_edge.routing.observe import Observation, Observed
from moceir_edge.terms import Task

CONFIDENCE = 0.95


class Use(Record):
    """How a task uses the experts of a layer; tuples have one entry for each expert.

    counts: pictures whose first choice it is; mean_gates: its mean score on those, None without any;
    mean_margin, min_margin: first minus second score over the task's pictures.
    """

    task: Task
    layer: str
    counts: tuple[int, ...]
    mean_gates: tuple[float | None, ...]
    mean_margin: float
    min_margin: float

    @property
    def n(self) -> int:
        """Number of pictures."""
        return sum(self.counts)

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of the pictures whose first choice each expert is."""
        return tuple(count / self.n for count in self.counts)

    @property
    def most_used(self) -> int:
        """The expert most pictures choose; the first of equal ones."""
        return self.counts.index(max(self.counts))


class Agreement(Record):
    """How alike two tasks choose in a layer; overlap: 1 - total variation distance of their choices."""

    layer: str
    first: Task
    second: Task
    overlap: float
    same_most_used: bool


class EvidenceBound(Record):
    """How often a picture may want a dropped expert in some layer.

    share_below: upper bound of that probability, one-sided, Clopper and Pearson (1934), at `confidence`; from n
    pictures that chose nothing. 0 events of 31 give 0.092, and 0.01 needs 299. layers: how many serve less than all
    routes; where the shortcut stands for every expert there is no such event, and measured dB has decided instead.
    """

    events: int
    n: int
    layers: int
    share_below: float
    confidence: float = CONFIDENCE

    @property
    def text(self) -> str:
        """One line for people."""
        if not self.layers:
            return "no layer refuses a route: the shortcut serves them all, which measured dB has decided, not use"
        return (
            f"{self.events} of {self.n} pictures wanted a dropped expert: "
            f"at most {self.share_below:.1%} do, with {self.confidence:.0%} confidence"
        )


class Evidence(Record):
    """Everything that counting says about an observation."""

    uses: tuple[Use, ...]
    agreements: tuple[Agreement, ...]


def gather_evidence(observation: Observation) -> Evidence:
    """Use by task and layer, and the agreement of each two tasks in each layer."""
    uses = tuple(
        use_of_layer(observation, task, layer) for task in observation.tasks for layer in range(len(observation.layers))
    )
    agreements = tuple(
        _agreement(first, second)
        for first, second in combinations(uses, 2)
        if first.layer == second.layer and first.task is not second.task
    )
    return Evidence(uses=uses, agreements=agreements)


def use_of_layer(observation: Observation, task: Task, layer: int) -> Use:
    """How a task uses the experts of a layer (by position); the task must have pictures."""
    pictures = observation.of([task]).pictures
    gates: list[list[float]] = [[] for _ in range(observation.experts)]
    for picture in pictures:
        chosen = picture.first_choices[layer]
        gates[chosen].append(picture.scores[layer][chosen])
    margins = [picture.margins[layer] for picture in pictures]
    return Use(
        task=task,
        layer=observation.layers[layer],
        counts=tuple(len(values) for values in gates),
        mean_gates=tuple(fmean(values) if values else None for values in gates),
        mean_margin=fmean(margins),
        min_margin=min(margins),
    )


def coverage(observation: Observation, tasks: Sequence[Task], served: Sequence[Collection[int]]) -> tuple[float, ...]:
    """For each layer the share of pictures whose first choice is served, the lowest over the tasks.

    served: original indices for each layer; every task must have pictures.
    """
    parts = [observation.of([task]).pictures for task in tasks]
    return tuple(min(_share_served(part, layer, indices) for part in parts) for layer, indices in enumerate(served))


def evidence_bound(observation: Observation, tasks: Sequence[Task], served: Sequence[Collection[int]]) -> EvidenceBound:
    """The risk of a choice; `observation` holds pictures that were not used for choosing. Without any, it is 1."""
    pictures = observation.of(tasks).pictures
    events = sum(not _all_served(picture, served) for picture in pictures)
    return EvidenceBound(
        events=events,
        n=len(pictures),
        layers=sum(len(indices) < observation.experts for indices in served),
        share_below=event_bound(events, len(pictures), confidence=CONFIDENCE),
    )


def _agreement(first: Use, second: Use) -> Agreement:
    distance = sum(abs(a - b) for a, b in zip(first.shares, second.shares, strict=True)) / 2
    return Agreement(
        layer=first.layer,
        first=first.task,
        second=second.task,
        overlap=1 - distance,
        same_most_used=first.most_used == second.most_used,
    )


def _share_served(pictures: Sequence[Observed], layer: int, indices: Collection[int]) -> float:
    return fmean(picture.first_choices[layer] in indices for picture in pictures)


def _all_served(picture: Observed, served: Sequence[Collection[int]]) -> bool:
    return all(choice in indices for choice, indices in zip(picture.first_choices, served, strict=True))
