"""Time by kind of operator, from the profilers of ONNX Runtime, OpenVINO and PyTorch."""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch.profiler import ProfilerActivity, profile

from moceir_edge.benchmarking.jobs import Job, Library
from moceir_edge.benchmarking.libraries import open_job
from moceir_edge.records import Record
from moceir_edge.runner import Image, Runner
from moceir_edge.targets.onnx_runtime import OnnxRunner
from moceir_edge.targets.openvino_library import OpenVinoRunner

RUNS = 3


class OperatorTime(Record):
    """A kind of operator: time in one run of the model (mean of several), and how many of them run.

    Convolutions are told apart by their kernel: "Conv 1x1", "Conv 3x3 depthwise".
    """

    kind: str
    time_ms: float
    count: int


def measure_operators(job: Job, image: Image) -> tuple[OperatorTime, ...]:
    """The kinds by time, longest first; empty for libraries without a profiler here."""
    match job.library:
        case Library.ONNXRUNTIME:
            return _by_onnxruntime(job, image)
        case Library.OPENVINO:
            return _by_openvino(job, image)
        case Library.PYTORCH:
            return _by_pytorch(open_job(job), image)
        case _:
            return ()


def _by_pytorch(runner: Runner, image: Image) -> tuple[OperatorTime, ...]:
    runner.run(image)
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(RUNS):
            runner.run(image)
    events: Any = found.key_averages()
    rows = [(event.key.removeprefix("aten::"), event.self_cpu_time_total, event.count) for event in events]
    return _sorted(rows)


def _by_onnxruntime(job: Job, image: Image) -> tuple[OperatorTime, ...]:
    with tempfile.TemporaryDirectory() as scratch:
        prefix = Path(scratch) / "profile"
        runner = OnnxRunner(Path(job.file), size=job.size, threads=job.threads, profile=prefix)
        for _ in range(RUNS + 1):
            runner.run(image)
        events = json.loads(Path(runner.session.end_profiling()).read_text(encoding="utf-8"))
    kernels = [e for e in events if e.get("cat") == "Node" and e["name"].endswith("_kernel_time")]
    later = kernels[len(kernels) // (RUNS + 1) :]  # the first run allocates
    return _sorted((_kind(event["args"]), event["dur"], 1) for event in later)


def _by_openvino(job: Job, image: Image) -> tuple[OperatorTime, ...]:
    runner = OpenVinoRunner(Path(job.file), size=job.size, hint=job.precision_hint, threads=job.threads, profile=True)
    runner.run(image)  # the first run allocates
    return _sorted((kind, time_us, 1) for _ in range(RUNS) for kind, time_us in runner.kernel_times_us(image))


def _kind(facts: Mapping[str, Any]) -> str:
    """The operator's name, with the kernel's shape for convolutions."""
    name = str(facts["op_name"])
    if "Conv" not in name:
        return name
    shapes = [next(iter(entry.values())) for entry in facts.get("input_type_shape", ())]
    weights = [shape for shape in shapes[1:] if len(shape) == 4]
    if not weights:
        return name
    _, inputs, height, width = weights[0]
    return f"{name} {height}x{width}{' depthwise' if inputs == 1 and shapes[0][1] != 1 else ''}"


def _sorted(rows: Iterable[tuple[str, float, int]]) -> tuple[OperatorTime, ...]:
    """Sums by kind, of `RUNS` runs in microseconds."""
    times: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for kind, time_us, count in rows:
        times[kind] += time_us
        counts[kind] += count
    found = [OperatorTime(kind=k, time_ms=t / RUNS / 1e3, count=round(counts[k] / RUNS)) for k, t in times.items()]
    return tuple(sorted(found, key=lambda row: -row.time_ms))


def short_kind(kind: str) -> str:
    """Without template arguments and other detail that fills a line."""
    return re.sub(r"<.*>", "", kind)[:32]
