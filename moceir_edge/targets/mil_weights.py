"""8-bit weights of a Core ML package: linear, symmetric, one scale per output channel.

A package stores q (int8) and a scale s, and decompresses to q * s in the number format of its convolution. The rounded
weights and the scale travel in the program, so that whatever runs the program sees what the package will compute with.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from moceir_edge.program.program import Constant, Kind, Operation, Program
from moceir_edge.records import Skipped

SCALE = "scale"
"""Constant (O,) float32 of a convolution whose weights are stored in 8 bits; `execute` does not read it."""

SMALLEST = 2048
"""Below so many values a weight is left alone: the default of coremltools' own weight quantization."""

_LARGEST = 127
_LEAST_SCALE = float(np.finfo(np.float16).smallest_subnormal)


def with_weights_in_8_bits(program: Program, *, half: bool) -> Program:
    """Round the weights of every convolution that `left_alone` does not name; `half`: they decompress to float16."""
    return replace(program, operations=tuple(_rounded(op, half=half) for op in program.operations))


def left_alone(op: Operation) -> str | None:
    """Why a convolution keeps its weights, or None."""
    if op.exact:
        return "float32 islands keep their weights"
    if op.attributes["groups"] > 1:
        return "depthwise: 9 or 49 values per channel save little and round worst"
    if op.constants["weight"].size < SMALLEST:
        return f"fewer than {SMALLEST} values"
    return None


def skipped(program: Program) -> tuple[Skipped, ...]:
    """The convolutions without 8-bit weights, by reason."""
    values: dict[str, list[int]] = {}
    for op in program.operations:
        if op.kind is Kind.CONV and (reason := left_alone(op)) is not None:
            values.setdefault(reason, []).append(op.constants["weight"].size)
    return tuple(
        Skipped(what=f"8-bit weights of {len(sizes)} convolutions, {sum(sizes)} values", reason=reason)
        for reason, sizes in values.items()
    )


def quantized(weight: Constant, scale: Constant) -> NDArray[np.int8]:
    """q of weights (O, I/groups, k, k) that are already rounded to multiples of their channel's scale (O,)."""
    steps: Constant = np.rint(weight / scale.reshape(-1, 1, 1, 1))
    return np.clip(steps, -_LARGEST, _LARGEST).astype(np.int8)


def _rounded(op: Operation, *, half: bool) -> Operation:
    if op.kind is not Kind.CONV or left_alone(op) is not None:
        return op
    weight = op.constants["weight"]
    scale = _scale(weight, half=half)
    restored = _as_stored(quantized(weight, scale) * scale.reshape(-1, 1, 1, 1), half=half)
    return replace(op, constants={**op.constants, "weight": restored, SCALE: scale})


def _scale(weight: Constant, *, half: bool) -> Constant:
    """(O,): rounded up, so that the largest weight of a channel is never beyond 127 steps."""
    wanted = np.maximum(np.abs(weight).max(axis=(1, 2, 3)) / np.float32(_LARGEST), _LEAST_SCALE)
    near = wanted.astype(np.float16 if half else np.float32)
    return np.where(near < wanted, np.nextafter(near, near.dtype.type(np.inf)), near).astype(np.float32)


def _as_stored(values: NDArray[np.floating], *, half: bool) -> Constant:
    return values.astype(np.float16 if half else np.float32).astype(np.float32)
