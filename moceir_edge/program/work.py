"""The kinds of work that have a peak of their own, and how much of each a program does."""

from __future__ import annotations

from enum import StrEnum
from math import prod

from moceir_edge.program.program import Kind, Operation

Shape = tuple[int, ...]

VIEWS = frozenset({Kind.RESHAPE, Kind.HEADS, Kind.PIXELS, Kind.INPUT})
"""Operations that give the same bytes another shape, so that nothing moves."""

SIZE_ONLY = frozenset({Kind.PIXELS, Kind.UNWINDOWS})
"""Operations whose last input gives a height and width alone."""


class Work(StrEnum):
    """Where multiplications happen; everything else only moves bytes."""

    DENSE = "dense convolution"
    DEPTHWISE = "depthwise convolution"
    MATMUL = "matrix product"


def work_of(op: Operation) -> Work | None:
    """The kind of work; None for what only moves bytes."""
    if op.kind is Kind.MATMUL:
        return Work.MATMUL
    if op.kind is not Kind.CONV:
        return None
    return Work.DENSE if op.attributes["groups"] == 1 else Work.DEPTHWISE


def values_of(op: Operation, shapes: dict[str, Shape]) -> int:
    """Numbers that an operation reads and writes: inputs, constants and result."""
    if op.kind in VIEWS:
        return 0
    given = op.inputs[:-1] if op.kind in SIZE_ONLY else op.inputs
    read = sum(prod(shapes[name]) for name in given) + sum(array.size for array in op.constants.values())
    return read + prod(shapes[op.name])


def label_of(op: Operation) -> str:
    """How the roofline calls an operation: convolutions by their kernel, the others by their kind."""
    if op.kind is not Kind.CONV:
        return op.kind.value
    side = op.constants["weight"].shape[-1]
    return f"conv {side}x{side}{'' if op.attributes['groups'] == 1 else ' depthwise'}"
