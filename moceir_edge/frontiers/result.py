"""Everything a frontier found, as one frozen value."""

from __future__ import annotations

from moceir_edge.frontiers.choosing import Ceiling, Measures
from moceir_edge.frontiers.losses import Loss
from moceir_edge.frontiers.models import Slimming
from moceir_edge.records import Record, Skipped
from moceir_edge.terms import Precision, TargetName, Task


class Point(Record):
    """A model in a precision, written for a target.

    share: of the slim model's MACs that was asked for. size_bytes: of the file that runs. integer_share: of the MACs,
    in integer kernels. ratio: of its latency to the first point's. loss: on choosing pictures, against the model
    given; judged: the same on judging pictures, None where the point is not on the frontier and was not picked.
    beaten_by: a point that is no slower and loses no more, None on the frontier. bound_ms: predicted for the device,
    None where none was named.
    """

    name: str
    share: float
    recipe: str
    target: TargetName
    precision: Precision
    model_sha256: str
    artifact_sha256: str
    size_bytes: int
    parameters: int
    macs: int
    integer_share: float | None
    ratio: float
    measured: Measures
    loss: Loss
    judged: Loss | None
    beaten_by: str | None
    bound_ms: float | None = None

    @property
    def compared(self) -> Measures:
        """What the choice was made on."""
        return self.measured.on_device(self.bound_ms)


class Frontier(Record):
    """Points of one model on one machine, in the order of shares and recipes; names are those of points.

    size: (height, width) of every point. frontier: the points that no other beats, the fastest first. ceiling, picked:
    what was asked for, if anything, and the point that was taken; None where none fits. device: its
    predicted bounds are what was compared, in place of latencies here. machine: see `processor.identity`.
    """

    model: str
    model_sha256: str
    tasks: tuple[Task, ...]
    size: tuple[int, int]
    choosing_sha256: str
    judging_sha256: str
    slimming: Slimming
    threads: int | None
    rounds: int
    points: tuple[Point, ...]
    frontier: tuple[str, ...]
    ceiling: Ceiling | None
    picked: str | None
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]
    device: str | None = None
    machine: dict[str, str | int | bool | None]
    versions: dict[str, str]
    stages_run: tuple[str, ...]
    stages_reused: tuple[str, ...]

    def point(self, name: str) -> Point:
        """By its name."""
        return next(point for point in self.points if point.name == name)
