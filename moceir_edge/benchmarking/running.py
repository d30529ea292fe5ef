"""From jobs to what was measured of them; what another library cannot run is left out with its reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from moceir_edge.benchmarking.building import Workshop
from moceir_edge.benchmarking.foreign import ForeignError, foreign_tool
from moceir_edge.benchmarking.jobs import Job, Library
from moceir_edge.benchmarking.libraries import open_job
from moceir_edge.benchmarking.memory import PeakMemory, measure_memory
from moceir_edge.benchmarking.variants import Variant
from moceir_edge.errors import InputError
from moceir_edge.records import Skipped
from moceir_edge.runner import Image, Runner
from moceir_edge.terms import Progress

Say = Callable[[str], None]
Runners = dict[Variant, Runner]


def build_jobs(
    shop: Workshop, variants: Iterable[Variant], *, say: Say
) -> tuple[dict[Variant, Job], tuple[Skipped, ...]]:
    """The variants that could be built, and the others."""
    jobs, skipped = {}, []
    for variant in variants:
        say(f"{variant}: running")
        built = shop.build(variant)
        if isinstance(built, Skipped):
            skipped.append(built)
        else:
            jobs[variant] = built
    return jobs, tuple(skipped)


def open_runners(jobs: Mapping[Variant, Job], image: Image) -> tuple[Runners, tuple[Skipped, ...]]:
    """Everything that loads and runs once."""
    runners, skipped = {}, []
    for variant, job in jobs.items():
        try:
            runners[variant] = _opened(job, image)
        except ForeignError as error:
            skipped.append(Skipped(what=variant, reason=str(error)))
    return runners, tuple(skipped)


def _opened(job: Job, image: Image) -> Runner:
    if job.library in (Library.PYTORCH, Library.ONNXRUNTIME):
        return open_job(job)
    with foreign_tool(job.library):
        runner = open_job(job)
        runner.run(image)
    return runner


def require_some(runners: Runners, skipped: Iterable[Skipped]) -> None:
    """InputError where nothing that was asked for can run here."""
    if not runners:
        reasons = "; ".join(f"{item.what}: {item.reason}" for item in skipped)
        raise InputError(f"no variant can run here ({reasons})", "name others with --variant")


def measure_memories(
    jobs: Iterable[Job], folder: Path, *, progress: Progress
) -> tuple[dict[Variant, PeakMemory], tuple[Skipped, ...]]:
    """Peak memory of each job, in a process of its own."""
    found, skipped = {}, []
    for job in progress(list(jobs), "measuring memory"):
        memory = measure_memory(job, folder)
        if isinstance(memory, Skipped):
            skipped.append(memory)
        else:
            found[job.variant] = memory
    return found, tuple(skipped)
