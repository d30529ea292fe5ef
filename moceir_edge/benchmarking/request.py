"""What a benchmark is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moceir_edge.benchmarking.variants import Variant, variants_from_names
from moceir_edge.errors import InputError
from moceir_edge.network.golden import PREFIX
from moceir_edge.records import refuse_existing, refuse_inside
from moceir_edge.terms import SIZE_MULTIPLE, Task

RESULT = "bench.json"
"""The file that makes an output folder one of ours."""


@dataclass(frozen=True)
class BenchRequest:
    """What a benchmark is asked for.

    model: a MODEL's path, or golden:S, golden:base, golden:tiny. side: of the square picture. experts: see
    `experts_from_text`; routing: chooses for `tasks` instead. whole: what the model was narrowed from, timed
    beside it. variants: names, all where there are none.
    """

    model: str
    side: int = 256
    experts: str | None = None
    whole: Path | None = None
    routing: Path | None = None
    tasks: tuple[Task, ...] = ()
    data: Path | None = None
    variants: tuple[str, ...] = ()
    rounds: int = 15
    threads: int = 2
    out: Path | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.side, self.side

    @property
    def inputs(self) -> list[Path]:
        """The files and folders that are read."""
        model = None if self.model.startswith(PREFIX) else Path(self.model)
        return [path for path in (model, self.whole, self.data, self.routing) if path is not None]


def check_request(request: BenchRequest, *, force: bool) -> tuple[Variant, ...]:
    """The variants asked for; InputError, or OutputError for a result that is there and not to be replaced."""
    variants = variants_from_names(request.variants, narrowed=request.whole is not None)
    if request.side < SIZE_MULTIPLE or request.side % SIZE_MULTIPLE:
        raise InputError(f"size {request.side} is not possible", f"give a multiple of {SIZE_MULTIPLE}")
    for name, value in (("rounds", request.rounds), ("threads", request.threads)):
        if value < 1:
            raise InputError(f"{value} {name} are too few", "give 1 or more")
    if request.out is not None:
        refuse_existing(request.out, force=force, mark=RESULT)
        refuse_inside(request.out, request.inputs)
    return variants
