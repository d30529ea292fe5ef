"""Replacing operations of a program, and who reads what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

from moceir_edge.program.program import Operation, Program

Rewrite = Callable[[Operation], Sequence[Operation] | None]
"""What stands in the place of an operation, the last one under its name; None leaves it as it is."""


def rewritten(program: Program, rewrite: Rewrite) -> Program:
    """The program with every operation replaced as `rewrite` says."""
    operations: list[Operation] = []
    for op in program.operations:
        found = rewrite(op)
        operations.extend((op,) if found is None else found)
    return replace(program, operations=tuple(operations))


def readers(program: Program) -> dict[str, list[Operation]]:
    """The operations that read each value."""
    found: dict[str, list[Operation]] = defaultdict(list)
    for op in program.operations:
        for name in op.inputs:
            found[name].append(op)
    return found
