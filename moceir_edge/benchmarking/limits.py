"""Which roofline each variant is held against."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from moceir_edge.benchmarking.building import recipe_of
from moceir_edge.benchmarking.jobs import Job
from moceir_edge.benchmarking.peaks import Peaks
from moceir_edge.benchmarking.roofline import Roofline, every_integer, roofline
from moceir_edge.benchmarking.variants import Variant
from moceir_edge.exporting import require_target
from moceir_edge.network.checkpoint import LoadedModel
from moceir_edge.program.lower import lower
from moceir_edge.program.macs import macs
from moceir_edge.program.program import Program
from moceir_edge.terms import Precision

FLOAT32, PLANNED, EVERYWHERE = "float32", "int8 where we place it", "int8 everywhere"


def program_of(model: LoadedModel, precision: Precision, size: tuple[int, int]) -> Program:
    """The program as our artifact computes it."""
    recipe = recipe_of(precision, size)
    return require_target(recipe).prepare(lower(model.network, guard=recipe.guard), recipe)


def macs_of(model: LoadedModel, size: tuple[int, int]) -> int:
    """Of its float32 artifact for one picture."""
    return macs(program_of(model, Precision.FLOAT32, size), *size)


def roofline_name(variant: Variant) -> str | None:
    """The arithmetic a variant is bound by; None where its peak is not measured, or where it is another model."""
    match variant:
        case (
            Variant.EAGER
            | Variant.COMPILE
            | Variant.STRAIGHTFORWARD
            | Variant.LOWERED
            | Variant.LOWERED_OPENVINO
            | Variant.OPENVINO_FLOAT32
        ):
            return FLOAT32
        case Variant.INT8:
            return PLANNED
        case Variant.INT8_DEFAULT | Variant.OPENVINO_INT8 | Variant.OPENVINO_INT8_ONNX:
            return EVERYWHERE
        case (
            Variant.FLOAT16
            | Variant.BFLOAT16
            | Variant.BFLOAT16_OPENVINO
            | Variant.INT8_OPENVINO
            | Variant.OPENVINO_BFLOAT16
            | Variant.WHOLE
        ):
            return None
        case _:
            assert_never(variant)


def rooflines(model: LoadedModel, size: tuple[int, int], peaks: Peaks, jobs: Iterable[Job]) -> dict[str, Roofline]:
    """The rooflines that these variants need, by name; that of float32 in any case."""
    found = {FLOAT32: roofline(FLOAT32, program_of(model, Precision.FLOAT32, size), size, peaks)}
    for job in jobs:
        name = roofline_name(job.variant)
        if name is None or name in found:
            continue
        program = program_of(model, Precision.INT8, size)
        integer = every_integer(program) if job.integer is None else job.integer
        found[name] = roofline(name, program, size, peaks, integer=integer)
    return found
