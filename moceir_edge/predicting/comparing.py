"""What a device took, beside what it cannot beat."""

from __future__ import annotations

from moceir_edge.device_result import ProfileResult
from moceir_edge.errors import InputError
from moceir_edge.predicting.result import Prediction, SizeBound
from moceir_edge.records import Record


class OverBound(Record):
    """measured / bound at a size (height, width); None where there is no bound, or nothing was measured.

    latency_ratio: of the median of the steady runs; best_ratio: of the fastest run. doubts: why they say little.
    """

    size: tuple[int, int]
    bound_ms: float | None
    latency_ratio: float | None
    best_ratio: float | None
    bound_mj: float | None
    energy_ratio: float | None
    doubts: tuple[str, ...]


def over_bound(prediction: Prediction, result: ProfileResult) -> OverBound:
    """Hold a result against a prediction of the same artifact; InputError for another one, or a size it lacks.

    A measurement below its bound is told as a doubt: then a figure of the device's profile is too low.
    """
    if prediction.artifact_sha256 != result.artifact_sha256:
        raise InputError("the result is of another artifact than the prediction", "predict for the one that was run")
    height, width = result.latency.size
    bound = prediction.of((height, width))
    if bound is None:
        raise InputError(f"nothing is predicted for {width}x{height}", "predict for the size that was run")
    energy_mj = None if result.energy is None else result.energy.mj_per_picture
    best_ms = min(result.latency.runs_ms)
    best_ratio, energy_ratio = _ratio(best_ms, bound.latency_ms), _ratio(energy_mj, bound.energy_mj)
    return OverBound(
        size=(height, width),
        bound_ms=bound.latency_ms,
        latency_ratio=_ratio(result.latency.percentiles.p50.value, bound.latency_ms),
        best_ratio=best_ratio,
        bound_mj=bound.energy_mj,
        energy_ratio=energy_ratio,
        doubts=(
            *(f"the measurement is invalid: {reason}" for reason in result.invalid),
            *_left_out(bound, prediction),
            *_below("run", best_ratio, prediction),
            *_below("energy", energy_ratio, prediction),
            *_another_device(prediction, result),
        ),
    )


def _ratio(measured: float | None, bound: float | None) -> float | None:
    return None if measured is None or not bound else measured / bound


def _left_out(bound: SizeBound, prediction: Prediction) -> tuple[str, ...]:
    if prediction.complete or bound.latency_ms is None:
        return ()
    return (f"the bound {'is that of memory alone' if bound.of_memory_alone else 'leaves a part of the MACs out'}",)


def _below(what: str, ratio: float | None, prediction: Prediction) -> tuple[str, ...]:
    if ratio is None or ratio >= 1:
        return ()
    return (f"a measured {what} is {ratio:.2f} of its bound: a figure in the profile {prediction.device} is too low",)


def _another_device(prediction: Prediction, result: ProfileResult) -> tuple[str, ...]:
    if result.device.profile == prediction.device:
        return ()
    return (f"predicted for {prediction.device}, measured on {result.device.profile}",)
