"""Results of two artifacts on one device, held against each other; what cannot be compared is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from moceir_edge.device_result import ProfileResult, read_result
from moceir_edge.errors import InputError
from moceir_edge.profiling.deciding import (
    Comparison,
    Decision,
    Sample,
    compare_runs,
    compare_turns,
    of_processor,
    of_times,
    of_turns,
)
from moceir_edge.records import Record

WALL, PROCESSOR = "wall-clock time", "processor time"
OTHERS = "others at work"
"""How the reason begins for which wall-clock time says less of the model than of the company it had."""


class Compared(Record):
    """B against A, by the one of `comparisons` whose interval is narrowest; undecided where two of them contradict.

    runs: results on each side. in_turns: the runs were made in turns. artifacts: sha256 of each side. disturbed: others
    were at work, so wall-clock time was asked only of runs in turns. warnings: why this may say little.
    """

    decision: Decision
    by: str
    runs: tuple[int, int]
    in_turns: bool
    artifacts: tuple[str, str]
    disturbed: bool
    comparisons: tuple[Comparison, ...]
    warnings: tuple[str, ...]


def read_side(path: Path) -> tuple[ProfileResult, ...]:
    """A result, or every result in a folder; InputError for a folder without one, and for results of two artifacts."""
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    results = tuple(read_result(file) for file in files)
    if not results:
        raise InputError(f"{path}: no result is in this folder", "give a result.json, or a folder of them")
    if len({result.artifact_sha256 for result in results}) > 1:
        raise InputError(f"{path}: holds results of several artifacts", "give a folder for each artifact")
    return results


def compare(a: Sequence[ProfileResult], b: Sequence[ProfileResult]) -> Compared:
    """Of results that were made one after the other; InputError where they are of two devices, sizes or runtimes.

    InputError, too, for a result that is given twice: it would be equal to itself, and surer than it is.
    """
    require_alike([*a, *b])
    _refuse_twice([*a, *b])
    disturbed = _disturbed([*a, *b])
    wall = None if disturbed else compare_runs(WALL, _by_wall(a), _by_wall(b))
    processor = compare_runs(PROCESSOR, _by_processor(a), _by_processor(b))
    return _compared(a, b, [wall, processor], in_turns=False)


def compare_pairs(pairs: Sequence[tuple[ProfileResult, ProfileResult]]) -> Compared:
    """Of results whose runs were made in turns: the two of each session."""
    a, b = zip(*pairs, strict=True)
    require_alike([*a, *b])
    times = [(one.latency, two.latency) for one, two in pairs]
    wall = compare_turns(WALL, [of_turns(one.runs_ms, two.runs_ms) for one, two in times])
    processor = compare_turns(PROCESSOR, [of_turns(one.cpu_ms, two.cpu_ms) for one, two in times])
    return _compared(a, b, [wall, processor], in_turns=True)


def require_alike(results: Sequence[ProfileResult]) -> None:
    """InputError for results between which more differs than the artifact."""
    first = results[0]
    for other in results[1:]:
        for what, one, two in (
            ("devices", _device(first), _device(other)),
            ("sizes", _size(first), _size(other)),
            ("runtimes", _runtime(first), _runtime(other)),
            ("runners", first.runner.value, other.runner.value),
        ):
            if one != two:
                raise InputError(f"the results are of two {what}: {one} and {two}", "compare like with like")


def _refuse_twice(results: Sequence[ProfileResult]) -> None:
    seen = set[object]()
    for result in results:
        run = (result.started_utc, result.bundle_sha256, result.artifact_sha256, result.latency.runs_ms)
        if run in seen:
            raise InputError(f"the result of {result.started_utc} is given twice", "give each result once")
        seen.add(run)


def _device(result: ProfileResult) -> str:
    device = result.device
    serial = f", serial {device.serial_sha256[:8]}" if device.serial_sha256 else ""
    return f"{device.model} ({device.processor}, {device.cores} cores{serial})"


def _size(result: ProfileResult) -> str:
    height, width = result.latency.size
    return f"{width}x{height}"


def _runtime(result: ProfileResult) -> str:
    runtime = result.runtime
    threads = "" if runtime.threads is None else f", {runtime.threads} threads"
    return f"{runtime.name} {runtime.version} ({runtime.provider}{threads})"


def _disturbed(results: Sequence[ProfileResult]) -> bool:
    return any(reason.startswith(OTHERS) for result in results for reason in result.invalid)


def _by_wall(results: Sequence[ProfileResult]) -> list[Sample | None]:
    return [of_times(result.latency.runs_ms) for result in results]


def _by_processor(results: Sequence[ProfileResult]) -> list[Sample | None]:
    times = [(result.latency, _disturbed([result])) for result in results]
    return [of_processor(time.cpu_ms, time.yardstick_ms, disturbed=disturbed) for time, disturbed in times]


def _compared(
    a: Sequence[ProfileResult],
    b: Sequence[ProfileResult],
    asked: Sequence[Comparison | None],
    *,
    in_turns: bool,
) -> Compared:
    comparisons = tuple(comparison for comparison in asked if comparison is not None)
    if not comparisons:
        raise InputError("too few runs to compare, or times of 0", "profile both for longer, with --seconds")
    deciding = min(comparisons, key=lambda comparison: comparison.ratio.high / comparison.ratio.low)
    torn = contradict(comparisons)
    return Compared(
        decision=Decision.UNDECIDED if torn else deciding.decision,
        by=" and ".join(one.by for one in comparisons) if torn else deciding.by,
        runs=(len(a), len(b)),
        in_turns=in_turns,
        artifacts=(a[0].artifact_sha256, b[0].artifact_sha256),
        disturbed=_disturbed([*a, *b]),
        comparisons=comparisons,
        warnings=(*_disagreement(comparisons, deciding), *_warnings(a, b)),
    )


def contradict(comparisons: Sequence[Comparison]) -> bool:
    """Whether two intervals have nothing in common, so that one kind of time cannot speak for the other."""
    return any(one.ratio.low > other.ratio.high for one in comparisons for other in comparisons)


def _disagreement(comparisons: Sequence[Comparison], deciding: Comparison) -> list[str]:
    others = [one for one in comparisons if one.decision not in (deciding.decision, Decision.UNDECIDED)]
    return [
        f"by {one.by} B is {one.decision}: it waits more or less than A, or others were in its way" for one in others
    ]


def _warnings(a: Sequence[ProfileResult], b: Sequence[ProfileResult]) -> list[str]:
    reasons = [(name, reason) for name, side in (("A", a), ("B", b)) for result in side for reason in result.invalid]
    return [f"{name} is invalid: {reason}" for name, reason in dict.fromkeys(reasons)]
