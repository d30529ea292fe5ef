"""How a bundle is run to be timed, in the words of its runner."""

from __future__ import annotations

import math
from dataclasses import dataclass

from moceir_edge.errors import InputError
from moceir_edge.runner import MOST_THREADS
from moceir_edge.terms import SIZE_MULTIPLE

MOST_RUNS = 1_000_000


@dataclass(frozen=True)
class Running:
    """So many timed runs, or for so many seconds; size: (height, width); None leaves it to the runner."""

    runs: int | None = None
    seconds: float | None = None
    size: tuple[int, int] | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.runs is not None and not 1 <= self.runs <= MOST_RUNS:
            raise InputError(f"{self.runs} runs are not possible", f"give a number from 1 to {MOST_RUNS}")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise InputError(f"{self.seconds} seconds are not possible", "give a number above 0")
        if self.threads is not None and not 1 <= self.threads <= MOST_THREADS:
            raise InputError(f"{self.threads} threads are not possible", f"give a number from 1 to {MOST_THREADS}")
        if self.size is not None and any(side < 1 or side % SIZE_MULTIPLE for side in self.size):
            raise InputError("{1}x{0} is no size of a picture".format(*self.size), "give multiples of 8, as in 640x480")

    def words(self) -> tuple[str, ...]:
        """As options of the runner, whose size is height x width."""
        size = None if self.size is None else "{}x{}".format(*self.size)
        named = {"--runs": self.runs, "--seconds": self.seconds, "--size": size, "--threads": self.threads}
        return tuple(str(word) for name, value in named.items() if value is not None for word in (name, value))
