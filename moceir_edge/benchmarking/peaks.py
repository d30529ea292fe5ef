"""What this machine reaches at best: operators in ONNX Runtime in their best shape, and memory bandwidth."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch

from moceir_edge.benchmarking.probes import PROBES, Probe
from moceir_edge.errors import ArtifactError
from moceir_edge.program.work import Work
from moceir_edge.records import Record
from moceir_edge.runner import torch_threads
from moceir_edge.targets.onnx_runtime import session
from moceir_edge.terms import Precision, Progress, silent

RUNS = 12
"""Of each probe; the fastest counts, for a peak is what nothing disturbed."""

BANDWIDTH_VALUES = 1 << 25
"""float32 values in each array of the bandwidth probe: 128 MiB, more than caches hold."""


class Peak(Record):
    """Best rate of a kind of work in a precision, the shape that reached it, and the rates of all shapes."""

    work: Work
    precision: Precision
    gmacs_per_s: float
    shape: str
    all_gmacs_per_s: dict[str, float]


class Peaks(Record):
    """The machine's limits on `threads` threads."""

    threads: int
    peaks: tuple[Peak, ...]
    gigabytes_per_s: float

    def rate(self, work: Work, precision: Precision) -> float | None:
        """MACs per second; None where the runtime has no such operator."""
        for peak in self.peaks:
            if (peak.work, peak.precision) == (work, precision):
                return peak.gmacs_per_s * 1e9
        return None


def measure_peaks(threads: int, *, probes: Sequence[Probe] = PROBES, progress: Progress = silent) -> Peaks:
    """Run all probes; those the runtime refuses are left out."""
    rates: dict[tuple[Work, Precision], dict[str, float]] = {}
    for probe in progress(probes, "measuring peaks"):
        rate = _rate(probe, threads)
        if rate is not None:
            rates.setdefault((probe.work, probe.precision), {})[shape_of(probe)] = rate
    return Peaks(
        threads=threads,
        peaks=tuple(_peak(work, precision, found) for (work, precision), found in rates.items()),
        gigabytes_per_s=bandwidth(threads),
    )


def _peak(work: Work, precision: Precision, rates: dict[str, float]) -> Peak:
    shape = max(rates, key=lambda name: rates[name])
    return Peak(work=work, precision=precision, gmacs_per_s=rates[shape], shape=shape, all_gmacs_per_s=rates)


def shape_of(probe: Probe) -> str:
    """For people."""
    return f"{'x'.join(map(str, probe.weight))} on {'x'.join(map(str, probe.input_shape))}"


def call_of(probe: Probe, threads: int | None) -> Callable[[], object] | None:
    """What runs a probe once; None where the runtime refuses it. threads: None leaves them to it."""
    try:
        opened = session(probe.model(), threads=threads)
    except ArtifactError:
        return None
    array = probe.array()
    return lambda: opened.run(None, {"x": array})


def _rate(probe: Probe, threads: int) -> float | None:
    call = call_of(probe, threads)
    return None if call is None else probe.macs / _fastest_s(call) / 1e9


def bandwidth(threads: int, *, values: int = BANDWIDTH_VALUES) -> float:
    """GB/s of a large copy or sum, whichever moves more; a written value counts once."""
    with torch_threads(threads):
        return max(moved / _fastest_s(call) for moved, call in memory_calls(values)) / 1e9


def memory_calls(values: int = BANDWIDTH_VALUES) -> tuple[tuple[int, Callable[[], object]], ...]:
    """A copy and a sum of so many float32 values: bytes that one run moves, and what runs it."""
    a, b, c = (torch.full((values,), float(index)) for index in range(3))
    return (2 * 4 * values, lambda: c.copy_(a)), (3 * 4 * values, lambda: torch.add(a, b, out=c))


def _fastest_s(action: Callable[[], object]) -> float:
    action()
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)
