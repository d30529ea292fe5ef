"""Predictions as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from moceir_edge.predicting.comparing import OverBound
from moceir_edge.predicting.here import Here
from moceir_edge.predicting.result import GroupBound, Prediction, SizeBound


def prediction_text(prediction: Prediction) -> str:
    """Sizes, then the groups of the first one, then figures and gaps."""
    return "\n".join([*_head(prediction), *_sizes(prediction), "", *_groups(prediction), "", *_notes(prediction)])


def here_text(here: Here) -> str:
    """The same, with what was measured."""
    rows = [
        f"{_size(held.size):>12} {held.bound_ms:>11.3f} {held.best_ms:>10.2f} {held.median_ms:>10.2f} "
        f"{held.best_ratio:>10.2f} {held.median_ratio:>12.2f}"
        for held in here.held
    ]
    head = f"{'picture':>12} {'bound ms':>11} {'best ms':>10} {'median ms':>10} {'best/bound':>10} {'median/bound':>12}"
    busy = [f"warning: {here.busy}"] if here.busy else []
    return "\n".join([prediction_text(here.prediction), "", f"measured here, {here.rounds} rounds", head, *rows, *busy])


def over_bound_text(found: OverBound) -> str:
    """One line, and a line for each doubt."""
    latency = "no predicted bound of the latency"
    if found.bound_ms is not None and found.latency_ratio is not None and found.best_ratio is not None:
        latency = (
            f"measured / predicted bound ({found.bound_ms:.3f} ms): {found.latency_ratio:.2f}, "
            f"the fastest run {found.best_ratio:.2f}"
        )
    energy = "" if found.energy_ratio is None else f"; energy: {found.energy_ratio:.2f} of {found.bound_mj:.2f} mJ"
    return "\n".join([f"{_size(found.size)}: {latency}{energy}", *(f"warning: {doubt}" for doubt in found.doubts)])


def _head(prediction: Prediction) -> Iterator[str]:
    what = f"{prediction.target}, {prediction.precision}"
    yield f"{prediction.label} for {prediction.title} ({prediction.device}): {what}"
    yield "no run can be faster, or take less energy; how much slower it is only the device tells"


def _sizes(prediction: Prediction) -> Iterator[str]:
    yield f"{'picture':>12} {'bound ms':>11} {'bound mJ':>10} {'G MACs':>10} {'MB moved':>9}"
    for bound in prediction.sizes:
        alone = "  memory alone" if bound.of_memory_alone else ""
        yield (
            f"{_size(bound.size):>12} {_number(bound.latency_ms, 11)} {_number(bound.energy_mj, 10)} "
            f"{bound.macs / 1e9:>10.3f} {bound.moved_bytes / 1e6:>9.1f}{alone}"
        )


def _groups(prediction: Prediction) -> Iterator[str]:
    first = prediction.sizes[0]
    yield f"of {_size(first.size)}, by group of operators ({_bound_by(first)}):"
    figures = f"{'bound ms':>9} {'bound mJ':>9} {'G MACs':>9} {'at least':>9}"
    yield f"{'operators':<24} {'precision':<9} {'count':>5} {figures}"
    yield from (_group(group) for group in first.groups)


def _group(group: GroupBound) -> str:
    return (
        f"{group.kind:<24} {group.precision:<9} {group.operators:>5} {_number(group.latency_ms, 9)} "
        f"{_number(group.energy_mj, 9)} {group.macs / 1e9:>9.3f} {group.least_macs / 1e9:>9.3f}"
    )


def _bound_by(bound: SizeBound) -> str:
    if bound.latency_ms is None:
        return "no latency is bounded"
    return "memory binds" if bound.latency_ms == bound.memory_ms else "multiplications bind"


def _notes(prediction: Prediction) -> Iterator[str]:
    for rate in prediction.rates.rates:
        yield f"{rate.precision}: {rate.gmacs_per_s:,.1f} G MACs/s, {rate.what} ({rate.source})"
    if prediction.rates.bandwidth_gb_per_s is not None:
        yield f"memory: {prediction.rates.bandwidth_gb_per_s:,.1f} GB/s ({prediction.rates.bandwidth_source})"
    yield from (f"not bounded: {gap.what}: {gap.reason}" for gap in prediction.unbounded)
    yield from (f"assumed: {text}" for text in prediction.rates.assumed)


def _size(size: tuple[int, int]) -> str:
    height, width = size
    return f"{width}x{height}"


def _number(value: float | None, width: int) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.3f}"
