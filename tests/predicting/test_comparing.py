"""A result held against a prediction."""

from __future__ import annotations

from pathlib import Path

import pytest

from moceir_edge.device_result import (
    Confident,
    DeviceFacts,
    Energy,
    Latency,
    Percentiles,
    ProfileResult,
    RunnerName,
    RuntimeFacts,
)
from moceir_edge.errors import InputError
from moceir_edge.predicting.comparing import over_bound
from moceir_edge.predicting.predict import predict
from moceir_edge.predicting.result import Prediction
from moceir_edge.predicting.table import over_bound_text, prediction_text
from tests.predicting.conftest import SIZE, Board, peak

FIGURE = {"value": 2.0, "source": "https://example.org/ours"}


@pytest.fixture
def prediction(artifact: Path, board: Board) -> Prediction:
    """With time and energy."""
    return predict(artifact, board(pj_per_mac={"float32": FIGURE}))


def result_of(prediction: Prediction, times_ms: tuple[float, ...], *, energy_mj: float | None = None) -> ProfileResult:
    """A run on the board."""
    middle = sorted(times_ms)[len(times_ms) // 2]
    value = Confident(value=middle, low=middle, high=middle)
    latency = Latency(
        size=SIZE,
        load_ms=1,
        first_ms=1,
        warm_up_ms=(),
        steady=True,
        runs_ms=times_ms,
        percentiles=Percentiles(p50=value, p90=value, p95=value, p99=value),
        per_second=1,
    )
    return ProfileResult(
        runner=RunnerName.PYTHON,
        runner_version="0",
        started_utc="2025-01-01T00:00:00Z",
        bundle_sha256="0",
        artifact_sha256=prediction.artifact_sha256,
        target=prediction.target,
        precision=prediction.precision,
        tasks=("derain",),
        device=DeviceFacts(profile="board", model="", system="", processor="", cores=1, memory_mib=None),
        runtime=RuntimeFacts(name="onnxruntime", version="1", provider="CPU"),
        versions={},
        latency=latency,
        memory_peak_mib=None,
        energy=None if energy_mj is None else Energy(source="rail", mj_per_picture=energy_mj, mean_w=1),
        accuracy=(),
    )


def test_measured_over_bound(prediction: Prediction) -> None:
    """The median and the fastest run of the time, and the energy."""
    bound = prediction.sizes[0]
    assert bound.latency_ms is not None
    assert bound.energy_mj is not None
    times = (2 * bound.latency_ms, 3 * bound.latency_ms, 4 * bound.latency_ms)
    found = over_bound(prediction, result_of(prediction, times, energy_mj=5 * bound.energy_mj))
    assert (found.best_ratio, found.latency_ratio) == (pytest.approx(2), pytest.approx(3))
    assert (found.energy_ratio, found.doubts) == (pytest.approx(5), ())
    text = over_bound_text(found)
    assert "measured / predicted bound" in text
    assert "3.00, the fastest run 2.00; energy: 5.00" in text


def test_a_run_below_its_bound_accuses_the_profile(prediction: Prediction) -> None:
    """It is told, not hidden."""
    bound_ms = prediction.sizes[0].latency_ms
    assert bound_ms is not None
    found = over_bound(prediction, result_of(prediction, (bound_ms / 2,)))
    assert found.doubts == ("a measured run is 0.50 of its bound: a figure in the profile board is too low",)


def test_a_bound_without_macs_says_so(artifact: Path, board: Board) -> None:
    """What memory alone bounds is far from what a device can take."""
    found = predict(artifact, board(peaks=[peak("CPU", "int8", 8.0)]))
    alone = found.model_copy(
        update={"sizes": (found.sizes[0].model_copy(update={"memory_ms": 1.0, "latency_ms": 1.0}),)}
    )
    assert over_bound(alone, result_of(alone, (2.0,))).doubts == ("the bound is that of memory alone",)
    assert "memory alone" in prediction_text(alone)


def test_doubts_of_the_measurement_stay_with_the_ratio(prediction: Prediction) -> None:
    """Throttling, and another device than the predicted one."""
    result = result_of(prediction, (1e6,))
    other = result.device.model_copy(update={"profile": "phone"})
    found = over_bound(prediction, result.model_copy(update={"invalid": ("throttled",), "device": other}))
    assert found.doubts == (
        "the measurement is invalid: throttled",
        "predicted for board, measured on phone",
    )


def test_another_artifact_or_size_does_not_compare(prediction: Prediction) -> None:
    """It says what to do."""
    result = result_of(prediction, (1e6,))
    with pytest.raises(InputError, match="of another artifact"):
        over_bound(prediction, result.model_copy(update={"artifact_sha256": "0"}))
    larger = result.latency.model_copy(update={"size": (128, 128)})
    with pytest.raises(InputError, match="nothing is predicted for 128x128"):
        over_bound(prediction, result.model_copy(update={"latency": larger}))
