"""Convolutions in 8-bit integers (W8A8): between quantize and dequantize in MIL, and found again in a package.

Core ML takes a convolution to integer kernels where its input comes out of a dequantize, its weights out of 8-bit
steps, and its result goes into a quantize: symmetric steps, one scale for an activation. The Neural Engine has such
kernels from A17 Pro and M4 on (https://apple.github.io/coremltools/docs-guides/source/opt-whats-new.html); before them
it computes the same in float16.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from moceir_edge.compress.ranges import Ranges
from moceir_edge.compress.rounding import LEVELS, half_span
from moceir_edge.compress.stored_weights import with_steps
from moceir_edge.program.program import Operation, Program
from moceir_edge.targets.mil_emitter import Emitter, Value
from moceir_edge.targets.mlpackage import Package


def with_half_steps(integer: Mapping[str, Ranges]) -> dict[str, Ranges]:
    """Ranges, a little larger, whose steps are numbers of float16."""
    return {
        name: Ranges(input=half_span(found.input), output=half_span(found.output)) for name, found in integer.items()
    }


def as_stored(program: Program, integer: Mapping[str, Ranges], *, half: bool) -> tuple[Program, dict[str, Ranges]]:
    """A program with its weights, and the ranges of its convolutions, as a package has them in 8-bit steps."""
    return with_steps(program, integer, half=half), with_half_steps(integer)


def on_steps(e: Emitter, op: Operation, x: Value, *, span: float, part: str) -> Value:
    """`x` rounded to the 8-bit steps of a range; what is on these steps already stays as it is."""
    scale = e.scalar(op, span / LEVELS)
    if e.steps.get(x.name) == scale:
        return x
    if (x.name, scale) not in e.stepped:
        name = e.name(f"{op.name}.{part}")
        integers = e.mb.quantize(input=x, scale=scale, output_dtype="int8", name=e.name(f"{op.name}.{part}.steps"))
        e.stepped[x.name, scale] = e.mb.dequantize(input=integers, scale=scale, name=name)
        e.steps[name] = scale
    return e.stepped[x.name, scale]


def in_integers(package: Package) -> frozenset[str]:
    """Results of the convolutions that Core ML can take to integer kernels, by their names in the package."""
    makers = {op.outputs[0].name: op for op in (*package.operations, *package.constants.values())}
    readers: dict[str, list[Any]] = defaultdict(list)
    for op in package.operations:
        for value in op.inputs.values():
            for one in value if isinstance(value, list | tuple) else (value,):
                readers[one.name].append(op)

    def whole(op: Any) -> bool:
        x, weight = makers.get(op.inputs["x"].name), makers.get(op.inputs["weight"].name)
        results = readers[op.outputs[0].name]
        return (
            x is not None
            and x.op_type == "dequantize"
            and weight is not None
            and weight.op_type == "constexpr_affine_dequantize"
            and weight.quantized_data.val.dtype == np.int8
            and bool(results)
            and all(reader.op_type == "quantize" for reader in results)
        )

    return frozenset(op.outputs[0].name for op in package.operations if op.op_type == "conv" and whole(op))
