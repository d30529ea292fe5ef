"""A program for hardware that computes floats in float16 only: everything its islands held in float32 is made to fit.

Queries and keys are shrunk by a power of 2, which is exact and which their normalization takes away again, so that sums
over all pixels stay small, and so are the queries of the frequency windows; floors and epsilons are raised to numbers
that float16 has; means over a picture are taken along one side after the other.
"""

from __future__ import annotations

from dataclasses import replace
from math import log2

from moceir_edge.program.execute import shapes
from moceir_edge.program.passes.edit import rewritten
from moceir_edge.program.program import Kind, Operation, Program

SMALLEST_NORMAL = 2.0**-14
"""Of float16."""

SMALLEST = 2.0**-24
"""Of float16, with one significant bit."""

ROOM = 2
"""Bits that a vector's length over all pixels may have beside its mean: sums of squares are 16 times their mean."""

OF_WINDOWS = 2.0**-3
"""What windows' queries are multiplied by: squares of what comes out of them reached 350,000 on a stress picture."""


def without_islands(program: Program, size: tuple[int, int]) -> Program:
    """The program for pictures of `size` (height, width) without a float32 island."""
    shrunk = _shrinking(program, size)
    mixed = {op.name for op in program.operations if op.kind is Kind.UNWINDOWS}

    def rewrite(op: Operation) -> list[Operation]:
        op = replace(op, exact=False)
        if op.name in shrunk:
            constants = {name: array * shrunk[op.name] for name, array in op.constants.items()}
            return [replace(op, constants=constants)]
        if op.kind is Kind.FLOOR:
            return [_at_least(op, "value", SMALLEST_NORMAL)]
        if op.kind is Kind.NORM:
            shrinking = OF_WINDOWS if op.inputs[0] in mixed else 1.0
            attributes = {**op.attributes, "epsilon": op.attributes["epsilon"] * shrinking**2}
            return [_at_least(replace(op, attributes=attributes), "epsilon", SMALLEST)]
        if op.kind is Kind.MEAN and op.attributes["axes"] == (2, 3):
            rows = replace(op, name=f"{op.name}.rows", attributes={"axes": (3,)})
            return [rows, replace(op, inputs=(rows.name,), attributes={"axes": (2,)})]
        return [op]

    return rewritten(program, rewrite)


def _shrinking(program: Program, size: tuple[int, int]) -> dict[str, float]:
    """Of each convolution that makes queries, or keys of attention: the power of 2 its weights are multiplied by."""
    sizes, makers = shapes(program, *size), {op.name: op for op in program.operations}
    found = {}
    for op in program.operations:
        if op.kind is Kind.ENERGY:
            conv = makers[makers[op.inputs[0]].inputs[0]]
            assert conv.kind is Kind.CONV
            pixels = sizes[conv.name][2] * sizes[conv.name][3]
            found[conv.name] = 2.0 ** -max(0, round(log2(pixels) / 2) - ROOM)
        elif op.kind is Kind.UNWINDOWS:
            found[op.inputs[1]] = OF_WINDOWS
    return found


def _at_least(op: Operation, attribute: str, smallest: float) -> Operation:
    value = max(op.attributes[attribute], smallest)
    return replace(op, attributes={**op.attributes, attribute: value})
