"""Multiply-accumulate operations: the one function that counts them everywhere."""

from __future__ import annotations

from math import prod

from moceir_edge.program.execute import shapes
from moceir_edge.program.program import Kind, Program


def macs_by_operation(program: Program, height: int, width: int) -> dict[str, int]:
    """MACs of every convolution (linear layers are 1x1 ones) and matrix product, for a picture of height x width.

    Attention products and window transforms (as separable products) are matrix products of the program.
    """
    sizes = shapes(program, height, width)
    counts: dict[str, int] = {}
    for op in program.operations:
        result = sizes[op.name] if op.kind is not Kind.INPUT else ()
        if op.kind is Kind.CONV:
            counts[op.name] = prod(result) * prod(op.constants["weight"].shape[1:])
        elif op.kind is Kind.MATMUL:
            inner = op.constants["left"].shape[-1] if "left" in op.constants else sizes[op.inputs[0]][-1]
            counts[op.name] = prod(result) * inner
    return counts


def macs(program: Program, height: int, width: int) -> int:
    """All MACs of a program for a picture of height x width."""
    return sum(macs_by_operation(program, height, width).values())
