"""Results and comparisons as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from moceir_edge.device_result import Confident, Energy, ProfileResult
from moceir_edge.predicting.table import over_bound_text, prediction_text
from moceir_edge.profiling.comparing import Compared, contradict
from moceir_edge.profiling.deciding import LEAST_EFFECT, RESOLUTION, Comparison, Decision
from moceir_edge.profiling.profile import Paired, Predicted, Profiled

OPERATORS = 6
"""So many kinds of operators are shown; result.json has them all."""


def profiled_text(found: Profiled) -> str:
    """Every result, then what failed."""
    lines = []
    for place, result in found.results.items():
        lines += [f"{place}:", *(f"  {line}" for line in result_text(result).splitlines())]
        if place in found.bounds:
            lines += [f"  {line}" for line in over_bound_text(found.bounds[place]).splitlines()]
    lines += [f"{place}: failed: {failure.what}; {failure.remedy}" for place, failure in found.failures.items()]
    return "\n".join([*lines, *(f"wrote {path}" for path in found.written.values())])


def predictions_text(found: Predicted, source: Path) -> str:
    """Every prediction, and how to learn what the device really takes."""
    lines = []
    for name, prediction in found.predictions.items():
        lines += [prediction_text(prediction), ""]
        lines += [
            f"to measure it: moceir-edge bundle {source} --device {name} --out {name}.tar.gz; copy that to the device,",
            "unpack it there, ./run.sh profile, and bring result.json back: moceir-edge profile --import result.json",
            "",
        ]
    return "\n".join(lines[:-1])


def result_text(result: ProfileResult) -> str:
    """One result."""
    return "\n".join([*_head(result), *_times(result), *_rest(result), *_doubts(result)])


def _head(result: ProfileResult) -> Iterator[str]:
    device, runtime = result.device, result.runtime
    emulated = ", emulated" if device.emulated else ""
    yield f"{device.model}{emulated}: {device.processor}, {device.cores} cores; {device.system}"
    threads = "" if runtime.threads is None else f", {runtime.threads} threads"
    height, width = result.latency.size
    yield (
        f"{runtime.name} {runtime.version} ({runtime.provider}{threads}), {result.target} {result.precision} for "
        f"{', '.join(result.tasks)}, picture {width}x{height}, {result.started_utc}"
    )


def _times(result: ProfileResult) -> Iterator[str]:
    latency = result.latency
    build = "" if latency.build_ms is None else f"engine built in {latency.build_ms / 1e3:.1f} s, "
    steady = f"steady after {len(latency.warm_up_ms)} more" if latency.steady else "never steady"
    yield f"{build}loaded in {latency.load_ms:.1f} ms, first run {latency.first_ms:.1f} ms, {steady}"
    yield f"{'':<4} {'ms':>9}   95 % interval     ({len(latency.runs_ms)} runs, {latency.per_second:.2f} pictures/s)"
    for name in ("p50", "p90", "p95", "p99"):
        found: Confident = getattr(latency.percentiles, name)
        yield f"{name:<4} {found.value:>9.2f}   {found.low:.2f} to {found.high:.2f}"


def _rest(result: ProfileResult) -> Iterator[str]:
    if result.memory_peak_mib is not None:
        before = "" if result.memory_base_mib is None else f", {result.memory_base_mib:.0f} before the model was opened"
        yield f"memory peak {result.memory_peak_mib:.0f} MiB{before}"
    yield "energy: nothing on this device tells its power" if result.energy is None else _energy(result.energy)
    for name, values in (
        ("clock MHz", [reading.clock_mhz for reading in result.readings]),
        ("GPU clock MHz", [reading.gpu_clock_mhz for reading in result.readings]),
        ("temperature C", [reading.temperature_c for reading in result.readings]),
    ):
        known = [value for value in values if value is not None]
        if known:
            yield f"{name}: {min(known):.0f} to {max(known):.0f}, at last {known[-1]:.0f}"
    for golden in result.accuracy:
        psnr = "equal" if golden.psnr_db is None else f"{golden.psnr_db:.2f} dB"
        said = f"{psnr} to the full model" if golden.finite else "NaN or infinity"
        agreement = "" if golden.agreement is None else f", agreement {golden.agreement:.2f}"
        yield f"{golden.name}: {said}{agreement}{'' if golden.passed else '  FAILED'}"
    total = sum(row.time_ms for row in result.operators)
    slowest = sorted(result.operators, key=lambda row: -row.time_ms)[:OPERATORS]
    if total:
        yield "operators: " + ", ".join(f"{row.kind} {row.time_ms / total:.0%} ({row.count})" for row in slowest)


def _energy(energy: Energy) -> str:
    above = "" if energy.above_idle_mj is None else f", {energy.above_idle_mj:.1f} of it above idle"
    idle = "" if energy.idle_w is None else f", idle {energy.idle_w:.2f} W"
    return f"energy {energy.mj_per_picture:.1f} mJ a picture{above} ({energy.source}: {energy.mean_w:.2f} W{idle})"


def _doubts(result: ProfileResult) -> Iterator[str]:
    yield from (f"THESE TIMES DO NOT COUNT: {reason}" for reason in result.invalid)
    yield from (f"note: {note}" for note in result.notes)


_SAID = {
    Decision.EQUAL: f"B is equal to A: no difference of {LEAST_EFFECT:.0%} or more is real",
    Decision.SLOWER: "B is slower than A",
    Decision.FASTER: "B is faster than A",
    Decision.UNDECIDED: f"undecided: B may be equal to A, or differ by {RESOLUTION:.0%}",
}

_LONGER = "measure longer (--seconds), give folders of several results, or use --against to run both in turns"


def compared_text(found: Compared) -> str:
    """The decision, every kind of time, warnings."""
    how = "runs in turns" if found.in_turns else f"{found.runs[0]} and {found.runs[1]} results, one after the other"
    said = "undecided: they contradict each other" if contradict(found.comparisons) else _SAID[found.decision]
    lines = [f"{said}, at 95 % confidence, by {found.by} ({how})"]
    lines += [_comparison(comparison) for comparison in found.comparisons]
    if found.disturbed and not found.in_turns:
        lines.append("others were at work, so wall-clock times say more of them than of the model: not compared")
    if found.decision is Decision.UNDECIDED:
        lines.append(_LONGER)
    return "\n".join([*lines, *(f"warning: {warning}" for warning in found.warnings)])


def _comparison(comparison: Comparison) -> str:
    ratio = comparison.ratio
    return f"  {comparison.by}: B / A = {ratio.value:.3f}, {ratio.low:.3f} to {ratio.high:.3f}: {comparison.decision}"


def paired_text(found: Paired) -> str:
    """The comparison, with the medians of both."""
    middles = [_middles("A", found.a), _middles("B", found.b)]
    written = [f"wrote {path}" for path in found.written.values()]
    return "\n".join([compared_text(found.compared), *middles, *written])


def _middles(name: str, results: Sequence[ProfileResult]) -> str:
    values = ", ".join(f"{result.latency.percentiles.p50.value:.2f}" for result in results)
    return f"{name}: median of each session {values} ms, {sum(len(r.latency.runs_ms) for r in results)} runs in all"
