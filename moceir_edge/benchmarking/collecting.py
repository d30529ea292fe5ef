"""From what was measured to the one result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from moceir_edge.benchmarking.baseline import Baseline
from moceir_edge.benchmarking.comparing import Parity, Quality
from moceir_edge.benchmarking.jobs import Job
from moceir_edge.benchmarking.limits import FLOAT32, roofline_name
from moceir_edge.benchmarking.machine import Machine
from moceir_edge.benchmarking.memory import PeakMemory
from moceir_edge.benchmarking.operators import OperatorTime
from moceir_edge.benchmarking.peaks import Peaks
from moceir_edge.benchmarking.ratios import ratios
from moceir_edge.benchmarking.request import BenchRequest
from moceir_edge.benchmarking.result import Benchmark, VariantResult
from moceir_edge.benchmarking.roofline import Roofline
from moceir_edge.benchmarking.subject import Pictures, Subject
from moceir_edge.benchmarking.timing import Timing
from moceir_edge.benchmarking.variants import MEANINGS, Variant
from moceir_edge.network.architecture import size_name
from moceir_edge.records import Skipped
from moceir_edge.versions import versions


@dataclass(frozen=True)
class Measured:
    """Everything by variant, and what belongs to all of them."""

    jobs: Mapping[Variant, Job]
    timings: Mapping[Variant, Timing]
    parity: Mapping[Variant, Parity]
    quality: Mapping[Variant, Quality]
    memories: Mapping[Variant, PeakMemory]
    operators: Mapping[Variant, tuple[OperatorTime, ...]]
    machine: Machine
    peaks: Peaks
    rooflines: Mapping[str, Roofline]
    baseline: Baseline | None
    whole_macs: int | None
    skipped: tuple[Skipped, ...]


def benchmark_of(request: BenchRequest, subject: Subject, pictures: Pictures, measured: Measured) -> Benchmark:
    """The result of a request."""
    drifted = measured.baseline is not None and measured.baseline.drifted
    judging = pictures.judging
    return Benchmark(
        model=request.model,
        name=size_name(subject.full.architecture),
        model_sha256=subject.full.sha256,
        kept_sha256=subject.kept.sha256,
        experts={name: block.kept for name, block in subject.kept.architecture.routed()},
        size=request.size,
        threads=request.threads,
        rounds=request.rounds,
        picture=pictures.shown.name,
        calibration_sha256=pictures.choosing.sha256,
        judging_sha256=None if judging is None else judging.sha256,
        machine=measured.machine,
        versions={**versions(), **_versions_of_others()},
        whole_macs=measured.whole_macs,
        macs=sum(kind.macs for kind in measured.rooflines[FLOAT32].kinds),
        baseline=measured.baseline,
        variants=tuple(_row(variant, measured) for variant in measured.timings),
        ratios=ratios(measured.timings),
        peaks=measured.peaks,
        rooflines=tuple(measured.rooflines.values()),
        skipped=measured.skipped,
        warnings=(*measured.machine.warnings, *([measured.baseline.text] if drifted and measured.baseline else [])),
    )


def _row(variant: Variant, measured: Measured) -> VariantResult:
    job, timing, bound = measured.jobs[variant], measured.timings[variant], roofline_name(variant)
    return VariantResult(
        variant=variant,
        meaning=MEANINGS[variant],
        size_bytes=job.size_bytes,
        integer_share=job.integer_share,
        timing=timing,
        parity=measured.parity[variant],
        memory=measured.memories.get(variant),
        quality=measured.quality.get(variant),
        operators=measured.operators[variant],
        roofline=bound,
        over_roofline=timing.median_ms / measured.rooflines[bound].total_ms if bound else None,
    )


def _versions_of_others() -> dict[str, str]:
    found = {}
    for name in ("onnxscript", "openvino"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
