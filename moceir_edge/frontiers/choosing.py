"""Which points are worth having, and which one is best within a ceiling: decided on plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import isfinite
from typing import Self

from moceir_edge.errors import InputError, PlanError
from moceir_edge.predicting.result import LABEL
from moceir_edge.records import Record


class Measure(StrEnum):
    """What may be limited."""

    LATENCY_MS = "latency_ms"
    SIZE_MIB = "size_mib"
    MEMORY_MIB = "memory_mib"
    LOSS_DB = "loss_db"


UNITS = {Measure.LATENCY_MS: "ms", Measure.SIZE_MIB: "MiB", Measure.MEMORY_MIB: "MiB of memory", Measure.LOSS_DB: "dB"}


class Measures(Record):
    """What a point takes and what it loses; memory_mib: None where it was not measured."""

    latency_ms: float
    size_mib: float
    memory_mib: float | None
    loss_db: float

    def of(self, measure: Measure) -> float | None:
        """One of them."""
        value: float | None = getattr(self, measure)
        return value

    def on_device(self, bound_ms: float | None) -> Self:
        """With the predicted bound of a device in place of the latency here, where there is one."""
        return self if bound_ms is None else self.model_copy(update={"latency_ms": bound_ms})


Points = Mapping[str, Measures]


class Ceiling(Record):
    """The most that a point may take, or lose.

    device: whose predicted bound a latency is, in place of one measured here.
    """

    measure: Measure
    limit: float
    device: str | None = None

    @classmethod
    def of(
        cls,
        *,
        latency_ms: float | None = None,
        size_mib: float | None = None,
        memory_mib: float | None = None,
        loss_db: float | None = None,
    ) -> Self | None:
        """The one that is given, None where none is; InputError for two, and for one that nothing could meet."""
        limits = zip(Measure, (latency_ms, size_mib, memory_mib, loss_db), strict=True)
        given = {measure: limit for measure, limit in limits if limit is not None}
        if not given:
            return None
        if len(given) > 1:
            options = ", ".join(f"--max-{measure.replace('_', '-')}" for measure in given)
            raise InputError(f"{options} are {len(given)} ceilings", "give one of them")
        ((measure, limit),) = given.items()
        if not isfinite(limit) or limit < 0 or (limit == 0 and measure is not Measure.LOSS_DB):
            raise InputError(f"no point takes at most {limit:g} {UNITS[measure]}", "give a number above 0")
        return cls(measure=measure, limit=limit)

    @property
    def text(self) -> str:
        """For people."""
        text = f"{self.limit:g} {UNITS[self.measure]}"
        if self.measure is Measure.LOSS_DB:
            return f"{text} lost"
        if self.measure is Measure.LATENCY_MS and self.device is not None:
            return f"{text} of {LABEL} on {self.device}"
        return text


def beaten(points: Points) -> dict[str, str]:
    """The points that another one beats, being no slower, losing no more, and better in one of both; and by which.

    Of several that beat it, the one that loses least is named, and of those the fastest.
    """
    found = {}
    for name, point in points.items():
        better = [other for other in points if _beats(points[other], point)]
        if better:
            found[name] = min(better, key=lambda other: (points[other].loss_db, points[other].latency_ms))
    return found


def _beats(one: Measures, other: Measures) -> bool:
    no_worse = one.latency_ms <= other.latency_ms and one.loss_db <= other.loss_db
    return no_worse and (one.latency_ms, one.loss_db) != (other.latency_ms, other.loss_db)


def pick(points: Points, ceiling: Ceiling) -> str | None:
    """The point that loses least within a ceiling; where the loss itself is limited, the fastest. None: none fits."""
    fitting = [name for name, point in points.items() if _fits(point, ceiling)]

    def rank(name: str) -> tuple[float, float]:
        loss_first = points[name].loss_db, points[name].latency_ms
        return loss_first[::-1] if ceiling.measure is Measure.LOSS_DB else loss_first

    return min(fitting, key=rank, default=None)


def _fits(point: Measures, ceiling: Ceiling) -> bool:
    value = point.of(ceiling.measure)
    return value is not None and value <= ceiling.limit


def refusal(points: Points, ceiling: Ceiling) -> PlanError:
    """What to say where no point fits: the nearest one."""
    known = {name: value for name, point in points.items() if (value := point.of(ceiling.measure)) is not None}
    if not known:
        return PlanError(f"no point is known to take at most {ceiling.text}", "limit something that is measured here")
    nearest = min(known, key=lambda name: known[name])
    reached = ceiling.model_copy(update={"limit": round(known[nearest], 3)})
    return PlanError(
        f"no point is within {ceiling.text}: the nearest, {nearest}, has {reached.text}",
        "allow that much, or add a smaller --keep-macs",
    )
