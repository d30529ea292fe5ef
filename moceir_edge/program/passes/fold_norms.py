"""Layer normalization into the 1x1 convolutions that read it: weight, bias and the subtraction of the mean go.

A convolution of (x - mean) / sigma * w + b is one of x / sigma: its weights times w, their mean over the input channels
taken away, and its bias with the old weights times b. What stays is the variance, mean(x^2) - mean(x)^2, and one
division for each pixel: three passes over all channels fewer. In ONNX Runtime S at 256x256 ran 1.04 times as fast
(median of 15 interleaved pairs, 2 cores with AVX2). Float32 loses digits where the mean is far larger than sigma, so
the gate on rewriting, 80 dB on real pictures, judges every export.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from moceir_edge.program.passes.edit import readers, rewritten
from moceir_edge.program.program import Kind, Operation, Program


def fold_norms(program: Program) -> Program:
    """Fold every normalization that only dense 1x1 convolutions read."""
    reading = readers(program)
    outputs = set(program.outputs.values())
    folded = {
        op.name: op
        for op in program.operations
        if op.kind is Kind.NORM and op.name not in outputs and all(map(_is_pointwise, reading[op.name]))
    }

    def rewrite(op: Operation) -> list[Operation] | None:
        if op.name in folded:
            return _divided_by_deviation(op)
        norm = folded.get(op.inputs[0]) if op.inputs else None
        return [_folded(op, norm)] if norm is not None else None

    return rewritten(program, rewrite)


def _is_pointwise(op: Operation) -> bool:
    return op.kind is Kind.CONV and op.attributes["groups"] == 1 and op.constants["weight"].shape[2:] == (1, 1)


def _folded(conv: Operation, norm: Operation) -> Operation:
    weight = conv.constants["weight"].astype(np.float64)
    scaled = weight * norm.constants["weight"].astype(np.float64)[:, None, None]
    bias = np.einsum("oi,i->o", weight[:, :, 0, 0], norm.constants["bias"].astype(np.float64))
    constants = {
        "weight": (scaled - scaled.mean(1, keepdims=True)).astype(np.float32),
        "bias": (bias + conv.constants.get("bias", np.float32(0))).astype(np.float32),
    }
    return replace(conv, constants={**conv.constants, **constants})


def _divided_by_deviation(norm: Operation) -> list[Operation]:
    """x / sqrt(mean(x^2) - mean(x)^2 + epsilon), the moments over channels."""
    [x], steps = norm.inputs, []

    def add(kind: Kind, part: str, *inputs: str, **more: object) -> str:
        steps.append(Operation(f"{norm.name}.{part}", kind, inputs, exact=norm.exact, **more))  # type: ignore[arg-type]
        return steps[-1].name

    mean = add(Kind.MEAN, "mean", x, attributes={"axes": (1,)})
    square = add(Kind.MEAN, "square", add(Kind.MUL, "squares", x, x), attributes={"axes": (1,)})
    variance = add(Kind.SUB, "variance", square, add(Kind.MUL, "mean.squared", mean, mean))
    positive = add(Kind.FLOOR, "positive", variance, attributes={"value": 0.0})
    epsilon = np.array(norm.attributes["epsilon"], np.float32)
    deviation = add(Kind.SQRT, "deviation", add(Kind.ADD, "raised", positive, constants={"right": epsilon}))
    steps.append(Operation(norm.name, Kind.DIV, (x, deviation), exact=norm.exact))
    return steps
