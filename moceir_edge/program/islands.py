"""Float32 islands where float16 would overflow: bounds in, a program out, and what changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from moceir_edge.program.program import Program

FLOAT16_LARGEST = 65504.0

SAFETY = 4.0
"""How far measured bounds stay below float16's largest: pictures that nobody measured may be somewhat worse."""

ISLAND_LIMIT = FLOAT16_LARGEST / SAFETY


@dataclass(frozen=True)
class Placed:
    """A program with its islands; added: the bounds of those that were not islands before."""

    program: Program
    added: Mapping[str, float]


def place_islands(program: Program, bounds: Mapping[str, float], *, limit: float = ISLAND_LIMIT) -> Placed:
    """Keep every operation whose bound (by name) is beyond the limit in float32; islands stay islands."""
    added = {op.name: bounds[op.name] for op in program.operations if not op.exact and bounds.get(op.name, 0) > limit}
    return Placed(with_islands(program, added), added)


def with_islands(program: Program, names: Collection[str]) -> Program:
    """The named operations, and those that are islands already, in float32; other names are passed over.

    (A program that takes its gates has operations which one that decides them lacks.)
    """
    chosen = frozenset(names)
    operations = (op if op.exact or op.name not in chosen else replace(op, exact=True) for op in program.operations)
    return replace(program, operations=tuple(operations))
