"""Interleaved timing: in every round each call runs once, and the order rotates."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from moceir_edge.terms import Progress, silent

Name = TypeVar("Name")

WARM_UP = 2
"""Runs of each call before the first round; the first one of all also allocates and compiles."""

SETTLE_S = 0.005
"""Pause before each run, in which the waiting threads of the library before fall asleep; long ones cool caches."""


def interleaved_ms(
    calls: Mapping[Name, Callable[[], object]], *, rounds: int, progress: Progress = silent
) -> dict[Name, tuple[float, ...]]:
    """Milliseconds of every call in every round, in order; entry i of each is round i."""
    for call in calls.values():
        for _ in range(WARM_UP):
            call()
    measured: dict[Name, list[float]] = {name: [] for name in calls}
    for number in progress(range(rounds), "rounds"):
        for name in rotated(list(calls), number):
            time.sleep(SETTLE_S)
            started = time.perf_counter()
            calls[name]()
            measured[name].append((time.perf_counter() - started) * 1e3)
    return {name: tuple(values) for name, values in measured.items()}


def rotated(names: Sequence[Name], number: int) -> list[Name]:
    """The order of a round: each name is first, and follows the same one, equally often."""
    start = number % len(names)
    return [*names[start:], *names[:start]]
