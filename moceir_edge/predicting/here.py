"""The model of cost put to the test: bounds from this machine's own peaks, beside what an artifact takes on it.

Clocks and neighbours change from second to second, so peaks and artifact are timed in the same rounds, and the best of
each counts: the bound that belongs to the best the machine did meanwhile, and the best run of the artifact.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from moceir_edge import processor
from moceir_edge.artifacts import Artifact, read_artifact
from moceir_edge.benchmarking.kernels import in_float32
from moceir_edge.benchmarking.peaks import call_of, memory_calls, shape_of
from moceir_edge.benchmarking.probes import PROBES, Probe
from moceir_edge.contention import busy_text, moment, others_share
from moceir_edge.errors import InputError
from moceir_edge.opening import by_itself
from moceir_edge.predicting.predict import prediction, read_work, served_sizes
from moceir_edge.predicting.rates import WIDER, Rate, Rates
from moceir_edge.predicting.result import Prediction
from moceir_edge.program.work import Work
from moceir_edge.records import Record
from moceir_edge.runner import torch_threads
from moceir_edge.targets.onnx_runtime import OnnxRunner
from moceir_edge.targets.target import target_of
from moceir_edge.terms import Precision, Progress, silent
from moceir_edge.timing import interleaved_ms

ROUNDS = 15
SIZES = ((64, 64), (128, 128), (256, 256))
"""Height and width for which an artifact of any size is timed."""

HERE = "this machine"
CPU = "CPUExecutionProvider"

Call = Callable[[], object]


class HeldAgainst(Record):
    """A picture of `size` (height, width) timed here: best and median of the rounds, and both over the bound."""

    size: tuple[int, int]
    bound_ms: float
    best_ms: float
    median_ms: float
    best_ratio: float
    median_ratio: float


class Here(Record):
    """A prediction from measured peaks, and what was measured beside it; busy: what others used, empty for little."""

    prediction: Prediction
    held: tuple[HeldAgainst, ...]
    rounds: int
    threads: int | None
    busy: str


def predict_here(
    artifact: Path,
    *,
    sizes: Sequence[tuple[int, int]] = (),
    threads: int | None = None,
    rounds: int = ROUNDS,
    probes: Iterable[Probe] = PROBES,
    progress: Progress = silent,
) -> Here:
    """Bounds of an artifact on this machine, with peaks of ONNX Runtime measured in the rounds that time the artifact.

    artifact, sizes: as for `predict`; without sizes, those of the artifact, or `SIZES`. threads: None leaves them to
    the runtime. Errors: InputError for an artifact that runs otherwise than in ONNX Runtime on the CPU.
    """
    found = read_artifact(artifact)
    asked = served_sizes(found, sizes or ((found.fixed_size,) if found.fixed_size else SIZES))
    runner = by_itself(_runner(found, artifact, threads), found)
    formats = {group.precision for group in read_work(artifact).groups}
    telling = _telling(probes, formats)
    peaks = {probe: call for probe in telling if (call := call_of(probe, threads)) is not None}
    start = moment()
    with torch_threads(threads):
        memory = memory_calls()
        times = interleaved_ms(
            {
                **peaks,
                **{f"memory {number}": call for number, (_, call) in enumerate(memory)},
                **{size: partial(runner.run, _noise(size)) for size in asked},
            },
            rounds=rounds,
            progress=progress,
        )
    bandwidth = max(moved / min(times[f"memory {number}"]) / 1e6 for number, (moved, _) in enumerate(memory))
    rates = Rates(
        rates=tuple(_rates({probe: min(times[probe]) for probe in peaks}, formats, rounds)),
        bandwidth_gb_per_s=bandwidth,
        bandwidth_source=f"measured, the best of {rounds}",
    )
    bounds = prediction(artifact, found, rates, device=HERE, title=processor.processor_name(), sizes=asked)
    return Here(
        prediction=bounds,
        held=tuple(_held(bounds, size, times[size]) for size in asked),
        rounds=rounds,
        threads=threads,
        busy=busy_text(others_share(start, moment())),
    )


def _runner(artifact: Artifact, folder: Path, threads: int | None) -> OnnxRunner:
    runner = target_of(artifact.target).runner(artifact, folder, threads=threads)
    problem = runner if isinstance(runner, str) else ""
    if isinstance(runner, OnnxRunner):
        if runner.provider == CPU and not runner.stands_in:
            return runner
        problem = runner.stands_in or f"it runs on {runner.provider}"
    raise InputError(
        f"this machine's peaks are those of ONNX Runtime on the CPU, and the {artifact.target} artifact runs otherwise"
        f"{f' ({problem})' if problem else ''}",
        "give an artifact for onnx, or predict for a device profile",
    )


def _telling(probes: Iterable[Probe], formats: Collection[Precision]) -> Iterable[Probe]:
    """Probes of what the artifact may be computed in that come near a peak: depthwise convolutions wait for memory."""
    wanted = {*formats, *(wider for each in formats for wider in WIDER[each])}
    return (probe for probe in probes if probe.precision in wanted and probe.work is not Work.DEPTHWISE)


def _noise(size: tuple[int, int]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).random((3, *size), np.float32)


def _rates(best_ms: Mapping[Probe, float], formats: Collection[Precision], rounds: int) -> Iterable[Rate]:
    """The best of each format; float16, where ONNX Runtime computes it in float32 here, has the rate of that."""
    half = Precision.FLOAT16 in formats and in_float32(Precision.FLOAT16)
    for precision in dict.fromkeys(probe.precision for probe in best_ms):
        speeds = {probe: probe.macs / best_ms[probe] / 1e6 for probe in best_ms if probe.precision is precision}
        fastest = max(speeds, key=lambda probe: speeds[probe])
        source = f"measured in ONNX Runtime, {fastest.work} {shape_of(fastest)}, the best of {rounds}"
        rate = Rate(precision=precision, gmacs_per_s=speeds[fastest], what="CPU", source=source)
        yield rate
        if precision is Precision.FLOAT32 and half:
            yield rate.model_copy(update={"precision": Precision.FLOAT16})


def _held(bounds: Prediction, size: tuple[int, int], times_ms: Sequence[float]) -> HeldAgainst:
    found = bounds.of(size)
    if found is None or found.latency_ms is None:
        reasons = "; ".join(f"{gap.what}: {gap.reason}" for gap in bounds.unbounded)
        raise InputError(f"nothing of this artifact has a bound here ({reasons})", "give one in float32 or int8")
    best, middle = min(times_ms), median(times_ms)
    return HeldAgainst(
        size=size,
        bound_ms=found.latency_ms,
        best_ms=best,
        median_ms=middle,
        best_ratio=best / found.latency_ms,
        median_ratio=middle / found.latency_ms,
    )
