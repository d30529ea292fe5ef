"""The benchmark: build every variant, time them side by side, and hold them against the machine's own limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moceir_edge.benchmarking.baseline import Baseline, baseline_name, check_baseline
from moceir_edge.benchmarking.building import PICTURE, STRAIGHTFORWARD, Workshop, recipe_of
from moceir_edge.benchmarking.collecting import Measured, benchmark_of
from moceir_edge.benchmarking.comparing import Quality, measure_parity, measure_quality
from moceir_edge.benchmarking.limits import macs_of, rooflines
from moceir_edge.benchmarking.machine import describe_machine, load
from moceir_edge.benchmarking.operators import measure_operators
from moceir_edge.benchmarking.peaks import measure_peaks
from moceir_edge.benchmarking.plot import write_plot
from moceir_edge.benchmarking.request import RESULT, BenchRequest, check_request
from moceir_edge.benchmarking.result import Benchmark
from moceir_edge.benchmarking.running import (
    Runners,
    Say,
    build_jobs,
    measure_memories,
    open_runners,
    require_some,
)
from moceir_edge.benchmarking.subject import Pictures, Subject, open_pictures, open_subject
from moceir_edge.benchmarking.table import bench_text
from moceir_edge.benchmarking.timing import measure_rounds
from moceir_edge.benchmarking.variants import Variant
from moceir_edge.contention import moment, others_share
from moceir_edge.exporting import require_target
from moceir_edge.network.architecture import size_name
from moceir_edge.parity.fit import fit
from moceir_edge.records import replacing_folder, scratch_folder
from moceir_edge.runner import NetworkRunner, torch_threads
from moceir_edge.terms import Precision, Progress, silent

TEXT, PLOT = "bench.txt", "latency.svg"


def bench(
    request: BenchRequest, *, force: bool = False, progress: Progress = silent, say: Say = lambda _: None
) -> Benchmark:
    """Measure the variants of a model; what cannot run here is in the result with its reason.

    Errors: InputError and its kinds; MissingBackendError without ONNX Runtime and its tools.
    """
    variants = check_request(request, force=force)
    subject = open_subject(
        request.model, experts=request.experts, routing=request.routing, tasks=request.tasks, whole=request.whole
    )
    pictures = open_pictures(request.data, request.tasks)
    require_target(recipe_of(Precision.FLOAT32, request.size))
    with scratch_folder() as folder, torch_threads(request.threads):
        measured = _Bench(request, subject, pictures, folder, progress, say).measured(variants)
    result = benchmark_of(request, subject, pictures, measured)
    if request.out is not None:
        write_benchmark(result, request.out)
    return result


def write_benchmark(result: Benchmark, out: Path) -> None:
    """The result as JSON, as text and as a plot, in a folder that appears as a whole."""
    with replacing_folder(out) as folder:
        result.write(folder / RESULT)
        (folder / TEXT).write_text(f"{bench_text(result)}\n", encoding="utf-8")
        write_plot(result, folder / PLOT)


@dataclass(frozen=True)
class _Bench:
    request: BenchRequest
    subject: Subject
    pictures: Pictures
    folder: Path
    progress: Progress
    say: Say

    def measured(self, variants: tuple[Variant, ...]) -> Measured:
        request, kept, load_before = self.request, self.subject.kept, load()
        image = fit(self.pictures.shown, request.size).image
        np.save(self.folder / PICTURE, image)
        built, unbuilt = build_jobs(self.workshop(), variants, say=self.say)
        runners, unopened = open_runners(built, image)
        require_some(runners, (*unbuilt, *unopened))
        jobs = {variant: built[variant] for variant in runners}
        start = moment()
        timings = measure_rounds(runners, image, rounds=request.rounds, progress=self.progress)
        machine = describe_machine(load_before, others_share(start, moment()))
        full, whole = NetworkRunner(self.subject.full.network), self.subject.whole
        others = {} if whole is None else {Variant.WHOLE: NetworkRunner(whole.network)}
        parity = measure_parity(runners, image, full=full, kept=NetworkRunner(kept.network), others=others)
        quality = self.quality(runners)
        memories, unmeasured = measure_memories(jobs.values(), self.folder, progress=self.progress)
        peaks = measure_peaks(request.threads, progress=self.progress)
        return Measured(
            jobs=jobs,
            timings=timings,
            parity=parity,
            quality=quality,
            memories=memories,
            operators={variant: measure_operators(job, image) for variant, job in jobs.items()},
            machine=machine,
            peaks=peaks,
            rooflines=rooflines(kept, request.size, peaks, jobs.values()),
            baseline=self.baseline(),
            whole_macs=None if whole is None else macs_of(whole, request.size),
            skipped=(*unbuilt, *unopened, *unmeasured),
        )

    def workshop(self) -> Workshop:
        return Workshop(
            self.subject.full,
            self.subject.kept,
            self.pictures.choosing,
            self.request.size,
            self.request.threads,
            self.folder,
            self.progress,
            self.subject.whole,
        )

    def quality(self, runners: Runners) -> dict[Variant, Quality]:
        if self.pictures.judging is None:
            return {}
        return measure_quality(runners, self.pictures.judging, self.request.size, progress=self.progress)

    def baseline(self) -> Baseline | None:
        graph = self.folder / STRAIGHTFORWARD
        if not graph.exists():
            return None
        name = size_name(self.subject.full.architecture)
        return check_baseline(graph, baseline_name(name, self.request.size, self.subject.experts))
