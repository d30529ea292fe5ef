"""A frontier as text for people."""

from __future__ import annotations

from collections.abc import Iterator

from moceir_edge.frontiers.result import Frontier, Point
from moceir_edge.predicting.result import LABEL


def frontier_text(result: Frontier) -> str:
    """What was measured, a row for each point, what was left out."""
    return "\n".join([*_head(result), "", *_rows(result), "", *_notes(result)])


def _head(result: Frontier) -> Iterator[str]:
    height, width = result.size
    threads = "the runtime's" if result.threads is None else str(result.threads)
    yield f"{result.model}: sha256 {result.model_sha256[:12]}, for {', '.join(result.tasks)}"
    yield f"{result.machine['processor']}, {result.machine['cores']} cores, threads: {threads}, {width}x{height}"
    if result.device is not None:
        yield f"compared by the {LABEL} on {result.device}; ms: measured here"
    plan = result.slimming.plan
    yield plan.text if plan else f"not slimmed: {result.slimming.reason}"


def _rows(result: Frontier) -> Iterator[str]:
    longest = max(len("point"), *(len(point.name) for point in result.points))
    bound = "" if result.device is None else f" {'bound ms':>9}"
    yield (
        f"{'point':<{longest}}{bound} {'ms':>8} {'of first':>8} {'loss dB':>8} {'worst':>7} {'judged':>8} {'worst':>7} "
        f"{'MiB':>7} {'memory':>6} {'parameters':>11} {'G MACs':>8}  "
    )
    for point in result.points:
        measured, judged = point.measured, point.judged
        bound = "" if point.bound_ms is None else f" {point.bound_ms:>9.3f}"
        yield (
            f"{point.name:<{longest}}{bound} {measured.latency_ms:>8.1f} {point.ratio:>8.3f} {measured.loss_db:>8.3f} "
            f"{point.loss.worst_db:>7.3f} {_number(judged.loss_db if judged else None, 8)} "
            f"{_number(judged.worst_db if judged else None, 7)} {measured.size_mib:>7.2f} "
            f"{_number(measured.memory_mib, 6, 0)} {point.parameters:>11,} {point.macs / 1e9:>8.3f}  "
            f"{_verdict(point, result)}"
        )


def _number(value: float | None, width: int, digits: int = 3) -> str:
    return f"{'-':>{width}}" if value is None else f"{value:>{width}.{digits}f}"


def _verdict(point: Point, result: Frontier) -> str:
    where = "frontier" if point.beaten_by is None else f"beaten by {point.beaten_by}"
    return f"{where}, picked" if point.name == result.picked else where


def _notes(result: Frontier) -> Iterator[str]:
    yield "loss: PSNR lost against the model given, mean of the tasks; on choosing pictures, which also calibrate and"
    yield "refit, and judged on others; worst: of a picture; memory: MiB at the peak of a process that runs it"
    if result.device is not None:
        yield f"bound: no run on {result.device} is faster; how much slower it is only the device tells, so a limit on"
        yield "latency sorts out what cannot meet it, and says of no point that it does"
    if result.picked is not None and result.ceiling is not None:
        yield f"picked within {result.ceiling.text}: {result.picked}"
    elif result.ceiling is not None:
        yield f"no point is within {result.ceiling.text}"
    yield from (f"skipped {item.what}: {item.reason}" for item in result.skipped)
    yield from (f"warning: {text}" for text in result.warnings)
