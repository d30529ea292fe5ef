"""How each kind of operation is written in MIL (operations: coremltools 9.0, `converters/mil/mil/ops/defs`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from moceir_edge.program.program import Kind, Operation
from moceir_edge.targets.mil_emitter import Array, Emitter, Value
from moceir_edge.targets.mil_integer import on_steps
from moceir_edge.targets.mil_weights import write_weight

Write = Callable[[Emitter, Operation], Value]


def write(e: Emitter, op: Operation) -> None:
    """Write an operation; its result is in the emitter's values under its name."""
    if op.kind is not Kind.INPUT:
        e.values[op.name] = _WRITE[op.kind](e, op)


def _unary(kind: str, **fixed: Any) -> Write:
    return lambda e, op: getattr(e.mb, kind)(x=e.first(op), name=e.name(op.name), **fixed)


def _binary(kind: str) -> Write:
    def write_binary(e: Emitter, op: Operation) -> Value:
        left, right = e.sides(op)
        return getattr(e.mb, kind)(x=left, y=right, name=e.name(op.name))

    return write_binary


def _reduced(kind: str) -> Write:
    def write_reduced(e: Emitter, op: Operation) -> Value:
        axes = list(op.attributes["axes"])
        return getattr(e.mb, kind)(x=e.first(op), axes=axes, keep_dims=True, name=e.name(op.name))

    return write_reduced


def _conv(e: Emitter, op: Operation) -> Value:
    side, bias, ranges = op.constants["weight"].shape[-1] // 2, op.constants.get("bias"), e.integer.get(op.name)
    x = e.first(op)
    result = e.mb.conv(
        x=x if ranges is None else on_steps(e, op, x, span=ranges.input, part="input"),
        weight=write_weight(e, op),
        bias=None if bias is None else e.constant(op, bias),
        pad_type="custom",
        pad=[side] * 4,
        groups=op.attributes["groups"],
        name=e.name(op.name),
    )
    e.convolutions[op.name] = result
    return result if ranges is None else on_steps(e, op, result, span=ranges.output, part="output")


def _matmul(e: Emitter, op: Operation) -> Value:
    """A matrix product; a transposed right side is read as it was."""
    turned = e.turned.get(op.inputs[-1]) if len(op.inputs) == 2 else None
    left, right = e.sides(op) if turned is None else (e.first(op), e.read(turned, e.format(op)))
    return e.mb.matmul(x=left, y=right, transpose_y=turned is not None, name=e.name(op.name))


def _transpose(e: Emitter, op: Operation) -> Value:
    """The last two axes; what only matrix products would read is removed later as unused."""
    e.turned[op.name] = op.inputs[0]
    x = e.first(op)
    return e.mb.transpose(x=x, perm=[*range(x.rank - 2), x.rank - 1, x.rank - 2], name=e.name(op.name))


def _norm(e: Emitter, op: Operation) -> Value:
    """Layer normalization over channels: means over axis 1 keep the layout (1, C, H, W) that Core ML computes in."""
    mb, x = e.mb, e.first(op)

    def column(key: str) -> Array:
        return e.constant(op, op.constants[key]).reshape(1, -1, 1, 1)

    def name(part: str) -> str:
        return e.name(f"{op.name}.{part}")

    mean = mb.reduce_mean(x=x, axes=[1], keep_dims=True, name=name("mean"))
    centred = mb.sub(x=x, y=mean, name=name("centred"))
    squares = mb.mul(x=centred, y=centred, name=name("squares"))
    variance = mb.reduce_mean(x=squares, axes=[1], keep_dims=True, name=name("variance"))
    inverse = mb.rsqrt(x=variance, epsilon=e.scalar(op, op.attributes["epsilon"]), name=name("inverse"))
    normed = mb.mul(x=centred, y=inverse, name=name("normed"))
    weighed = mb.mul(x=normed, y=column("weight"), name=name("weighed"))
    return mb.add(x=weighed, y=column("bias"), name=e.name(op.name))


def _at_least(e: Emitter, op: Operation) -> Value:
    left, right = e.sides(op)
    truth = e.mb.greater_equal(x=left, y=right, name=e.name(f"{op.name}.truth"))
    return e.mb.cast(x=truth, dtype=e.format(op), name=e.name(op.name))


def _floor(e: Emitter, op: Operation) -> Value:
    return e.mb.maximum(x=e.first(op), y=e.scalar(op, op.attributes["value"]), name=e.name(op.name))


def _softmax(e: Emitter, op: Operation) -> Value:
    return e.mb.softmax(x=e.first(op), axis=op.attributes["axis"], name=e.name(op.name))


def _concat(e: Emitter, op: Operation) -> Value:
    return e.mb.concat(values=e.inputs(op), axis=op.attributes["axis"], name=e.name(op.name))


def _slice(e: Emitter, op: Operation) -> Value:
    x, axis = e.first(op), op.attributes["axis"]
    begin, end = [0] * x.rank, list(e.sizes[op.inputs[0]])
    begin[axis], end[axis] = op.attributes["start"], op.attributes["stop"]
    return e.mb.slice_by_index(x=x, begin=begin, end=end, name=e.name(op.name))


def _reshape(e: Emitter, op: Operation) -> Value:
    return e.mb.reshape(x=e.first(op), shape=e.sizes[op.name], name=e.name(op.name))


def _windows(e: Emitter, op: Operation) -> Value:
    """(1, C, H, W), padded with zeros -> (C, rows columns, p, p)."""
    x, window = e.first(op), op.attributes["window"]
    _, channels, height, width = x.shape
    rows, columns = -(-height // window), -(-width // window)
    below, right = -x.shape[2] % window, -x.shape[3] % window
    if below or right:
        padding, zero = [0, 0, 0, 0, 0, below, 0, right], e.scalar(op, 0.0)
        x = e.mb.pad(x=x, pad=padding, mode="constant", constant_val=zero, name=e.name(f"{op.name}.padded"))
    x = _turned(e, op, x, grid=(channels, rows, window, columns, window))
    return e.mb.reshape(x=x, shape=e.sizes[op.name], name=e.name(op.name))


def _unwindows(e: Emitter, op: Operation) -> Value:
    """(C, rows columns, p, p) -> (1, C, H, W), cropped."""
    window = op.attributes["window"]
    _, channels, height, width = e.sizes[op.name]
    rows, columns = -(-height // window), -(-width // window)
    x = _turned(e, op, e.first(op), grid=(channels, rows, columns, window, window))
    whole, wanted = (1, channels, rows * window, columns * window), e.sizes[op.name]
    if whole == wanted:
        return e.mb.reshape(x=x, shape=whole, name=e.name(op.name))
    x = e.mb.reshape(x=x, shape=whole, name=e.name(f"{op.name}.whole"))
    return e.mb.slice_by_index(x=x, begin=[0] * 4, end=list(wanted), name=e.name(op.name))


def _turned(e: Emitter, op: Operation, x: Value, *, grid: tuple[int, ...]) -> Value:
    """`x` as a grid of rank 5, with its two middle axes exchanged."""
    x = e.mb.reshape(x=x, shape=grid, name=e.name(f"{op.name}.grid"))
    return e.mb.transpose(x=x, perm=[0, 1, 3, 2, 4], name=e.name(f"{op.name}.turned"))


_WRITE: dict[Kind, Write] = {
    Kind.CONV: _conv,
    Kind.MATMUL: _matmul,
    Kind.ADD: _binary("add"),
    Kind.SUB: _binary("sub"),
    Kind.MUL: _binary("mul"),
    Kind.DIV: _binary("real_div"),
    Kind.SQRT: _unary("sqrt"),
    Kind.GELU: _unary("gelu", mode="EXACT"),
    Kind.SIGMOID: _unary("sigmoid"),
    Kind.FLOOR: _floor,
    Kind.MAXIMUM: _binary("maximum"),
    Kind.AT_LEAST: _at_least,
    Kind.NORM: _norm,
    Kind.MEAN: _reduced("reduce_mean"),
    Kind.ENERGY: _reduced("reduce_sum_square"),
    Kind.SOFTMAX: _softmax,
    Kind.CONCAT: _concat,
    Kind.SLICE: _slice,
    Kind.TRANSPOSE: _transpose,
    Kind.HEADS: _reshape,
    Kind.PIXELS: _reshape,
    Kind.WINDOWS: _windows,
    Kind.UNWINDOWS: _unwindows,
    Kind.UNSHUFFLE: _unary("pixel_unshuffle", downscale_factor=np.uint32(2)),
    Kind.SHUFFLE: _unary("pixel_shuffle", upscale_factor=2),
    Kind.RESHAPE: _reshape,
}
