"""A prediction as a frozen value: always labelled as the lower bound that it is."""

from __future__ import annotations

from typing import Literal

from moceir_edge.predicting.rates import Rates
from moceir_edge.records import Record, Skipped
from moceir_edge.terms import Precision, TargetName

LABEL: Literal["predicted bound"] = "predicted bound"


class GroupBound(Record):
    """A group of operators: its least time and energy for a picture, None where no figure is known.

    least_macs: what is left of its MACs with the best algorithm for convolutions (see `cost`).
    """

    kind: str
    precision: Precision
    operators: int
    macs: int
    least_macs: int
    latency_ms: float | None
    energy_mj: float | None


class SizeBound(Record):
    """A picture of `size` (height, width) as the artifact takes it; None where nothing is known.

    moved_bytes: weights, picture in and out. memory_ms: the least time of what does not fit on a chip; latency_ms: the
    greater of it and the sum of the groups. energy_mj: the sum of both. Groups with the longest time first.
    """

    size: tuple[int, int]
    macs: int
    moved_bytes: int
    memory_ms: float | None
    latency_ms: float | None
    energy_mj: float | None
    groups: tuple[GroupBound, ...]

    @property
    def of_memory_alone(self) -> bool:
        """Whether there is a bound of the latency, and no MAC is in it."""
        return self.latency_ms is not None and not any(group.latency_ms for group in self.groups)


class Prediction(Record):
    """What no run of an artifact on a device can beat.

    device: name of its profile, or "this machine". rates: the figures that were used, with their sources. unbounded:
    parts that a bound does not hold, with the reason; complete: whether no part of the latency is among them.
    """

    label: Literal["predicted bound"] = LABEL
    device: str
    title: str
    artifact_sha256: str
    target: TargetName
    precision: Precision
    rates: Rates
    sizes: tuple[SizeBound, ...]
    unbounded: tuple[Skipped, ...]
    complete: bool

    def of(self, size: tuple[int, int]) -> SizeBound | None:
        """The bounds at a size (height, width); None where it was not asked for."""
        return next((bound for bound in self.sizes if bound.size == size), None)
