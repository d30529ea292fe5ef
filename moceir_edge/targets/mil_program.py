"""From a program to Core ML's own language (MIL), operation by operation: no tracing, so nothing that was not meant.

Every shape is fixed. What runs in float16 and what in float32 is written as casts here, not left to coremltools.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from moceir_edge.compress.ranges import Ranges
from moceir_edge.program.execute import shapes
from moceir_edge.program.program import RESTORED, Program
from moceir_edge.recipe.schema import Size
from moceir_edge.targets.mil_emitter import Emitter, Value
from moceir_edge.targets.mil_operations import write


@dataclass(frozen=True)
class Emitted:
    """A MIL program (coremltools' Program), and the names it gave to the program's convolutions."""

    program: Any
    convolutions: Mapping[str, str]


def emit(
    program: Program,
    size: Size,
    *,
    half: bool,
    picture: bool,
    ios: int,
    integer: Mapping[str, Ranges] | None = None,
) -> Emitted:
    """Write a program for pictures of `size` (height, width), and iOS 17 or 18.

    half: float16 outside the islands. picture: `restored` is RGB in [0, 255], rounded, for an 8-bit picture. integer:
    convolutions in 8-bit integers.
    """
    import coremltools
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import Function
    from coremltools.converters.mil.mil import Program as Mil

    Builder.name_count.clear()  # names of constants would go on counting from what this process made before
    sizes = shapes(program, *size)
    placeholders = {name: Builder.placeholder(shape=sizes[name]) for name in program.inputs}
    with Function(placeholders, opset_version=getattr(coremltools.target, f"iOS{ios}")) as function:
        emitter = Emitter(Builder, sizes, function.inputs, half=half, ios=ios, integer=integer or {})
        for op in program.operations:
            write(emitter, op)
        outputs = program.outputs.items()
        function.set_outputs([_output(emitter, name, value, picture=picture) for name, value in outputs])
    mil = Mil()
    mil.add_function("main", function)
    return Emitted(mil, {name: result.name for name, result in emitter.convolutions.items()})


def _output(e: Emitter, name: str, value: str, *, picture: bool) -> Value:
    """An output in float32 under its name; a picture as round(clip(255 x)), whatever Core ML does to other numbers."""
    result = e.read(value, "fp32")
    if not (picture and name == RESTORED):
        return result if result.name == name else e.mb.identity(x=result, name=name)
    if result.name == name:
        result.op.name = result.name = e.name(f"{name}.unclipped")
    scaled = e.mb.mul(x=result, y=np.float32(255), name=e.name(f"{name}.scaled"))
    clipped = e.mb.clip(x=scaled, alpha=np.float32(0), beta=np.float32(255), name=e.name(f"{name}.clipped"))
    return e.mb.round(x=clipped, name=name)
