"""What a device cannot beat for each point: its latency in place of this machine's, where it is not at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from moceir_edge.errors import InputError
from moceir_edge.frontiers.building import Built
from moceir_edge.frontiers.request import SIZE
from moceir_edge.predicting.predict import predict
from moceir_edge.records import Skipped


@dataclass(frozen=True)
class Bounds:
    """by_point: milliseconds; None for every point where no device was named. skipped: points without a whole bound.

    assumed: what has to hold for the bounds to be bounds.
    """

    by_point: dict[str, float | None]
    skipped: tuple[Skipped, ...] = ()
    assumed: tuple[str, ...] = ()


def bounds_of(built: Sequence[Built], device: str | None) -> Bounds:
    """The bound of each point on a device.

    One that lacks a part says less than the others, so its point is left out; InputError where no point is left.
    """
    if device is None:
        return Bounds({point.name: None for point in built})
    found: dict[str, float | None] = {}
    skipped: list[Skipped] = []
    assumed: list[str] = []
    for point in built:
        prediction = predict(point.folder, device, sizes=(SIZE,))
        latency_ms = prediction.sizes[0].latency_ms
        if latency_ms is None or not prediction.complete:
            gaps = "; ".join(f"{gap.what}: {gap.reason}" for gap in prediction.unbounded if "latency" in gap.what)
            reason = f"no {prediction.label} on {prediction.device} ({gaps})"
            skipped.append(Skipped(what=point.name, reason=reason))
        else:
            found[point.name] = latency_ms
            assumed += prediction.rates.assumed
    if not found:
        reasons = "; ".join(f"{item.what}: {item.reason}" for item in skipped)
        raise InputError(f"no point can be compared on this device: {reasons}", "leave --device out, or add its peaks")
    return Bounds(found, tuple(skipped), tuple(dict.fromkeys(assumed)))
