"""What a point takes and what it loses: timed beside the first point, and run on pictures, in stages of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from statistics import median

from moceir_edge import processor
from moceir_edge.benchmarking.comparing import Quality, measure_quality
from moceir_edge.contention import busy_text, moment, others_share
from moceir_edge.data.dataset import Dataset
from moceir_edge.frontiers.building import Built
from moceir_edge.frontiers.request import SIZE
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.parity.fit import fit
from moceir_edge.records import Record
from moceir_edge.run_folder import RunFolder
from moceir_edge.runner import NetworkRunner, Runner
from moceir_edge.terms import Progress
from moceir_edge.timing import interleaved_ms
from moceir_edge.versions import versions

ROUNDS = 15


class Timed(Record):
    """A point beside the first one: milliseconds of every round, in order; entry i of both is round i.

    busy: what others used of the machine meanwhile, empty where that was little.
    """

    first_ms: tuple[float, ...]
    point_ms: tuple[float, ...]
    busy: str

    @property
    def ratio(self) -> float:
        """How long the point takes, of what the first one takes: the median of the rounds' ratios."""
        return median(point / first for point, first in zip(self.point_ms, self.first_ms, strict=True))


def latencies_ms(timed: Sequence[Timed]) -> list[float]:
    """The median of every round of the first point, times each ratio: points timed at other moments compare."""
    first = median(value for each in timed for value in each.first_ms)
    return [first * each.ratio for each in timed]


@dataclass(frozen=True)
class Measuring:
    """Points of one run; at most two of them are loaded at a time."""

    first: Built
    choosing: Dataset
    run: RunFolder
    threads: int | None
    progress: Progress

    @cached_property
    def _first(self) -> Runner:
        return self.first.runner(threads=self.threads)

    def timed(self, point: Built) -> Timed:
        """Time a point on a choosing picture."""
        key = {"first": self.first.sha256, "point": point.sha256, "rounds": ROUNDS, **self._key}
        return self.run.stage(f"latency-{point.name}", key, Timed, partial(self._time, point))

    def _time(self, point: Built) -> Timed:
        image = fit(self.choosing.samples[0], SIZE).image
        calls = {"first": partial(self._first.run, image)}
        if point.name != self.first.name:
            calls["point"] = partial(point.runner(threads=self.threads).run, image)
        start = moment()
        found = interleaved_ms(calls, rounds=ROUNDS, progress=self.progress)
        busy = busy_text(others_share(start, moment()))
        return Timed(first_ms=found["first"], point_ms=found.get("point", found["first"]), busy=busy)

    def quality(self, point: Built, pictures: Dataset, side: str) -> Quality:
        """PSNR of a point; side: "choosing" or "judging", for people and the names of stages."""
        key = {"point": point.sha256, "pictures": pictures.sha256, **self._key}

        def action() -> Quality:
            return self._quality(point.runner(threads=self.threads), pictures, f"{side} pictures of {point.name}")

        return self.run.stage(f"{side}-{point.name}", key, Quality, action)

    def given_quality(self, given: LoadedModel, pictures: Dataset, side: str) -> Quality:
        """PSNR of the model given, on the same part of every picture."""
        key = {"model": given.sha256, "pictures": pictures.sha256, **self._key}

        def action() -> Quality:
            return self._quality(NetworkRunner(given.network), pictures, f"{side} pictures of the model given")

        return self.run.stage(f"{side}-given", key, Quality, action)

    def _quality(self, runner: Runner, pictures: Dataset, label: str) -> Quality:
        return measure_quality({"one": runner}, pictures, SIZE, label=label, progress=self.progress)["one"]

    @property
    def _key(self) -> dict[str, object]:
        return {
            "size": SIZE,
            "threads": self.threads,
            "machine": processor.identity(),
            "versions": versions(),
        }
