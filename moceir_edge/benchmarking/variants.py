"""The variants of one model that are measured, and what each of them is."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from moceir_edge.errors import InputError


class Variant(StrEnum):
    """One way to run the model; the order is that of every table."""

    EAGER = "eager"
    COMPILE = "compile"
    STRAIGHTFORWARD = "straightforward"
    LOWERED = "lowered"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    INT8_DEFAULT = "int8-default"
    INT8 = "int8"
    LOWERED_OPENVINO = "lowered-openvino"
    BFLOAT16_OPENVINO = "bfloat16-openvino"
    INT8_OPENVINO = "int8-openvino"
    OPENVINO_FLOAT32 = "openvino-float32"
    OPENVINO_BFLOAT16 = "openvino-bfloat16"
    OPENVINO_INT8 = "openvino-int8"
    OPENVINO_INT8_ONNX = "openvino-int8-onnx"
    WHOLE = "whole"


BASELINES = (Variant.EAGER, Variant.STRAIGHTFORWARD, Variant.WHOLE)
"""What every variant is compared with."""

MEANINGS = {
    Variant.EAGER: "the full network in PyTorch, which chooses its experts itself",
    Variant.COMPILE: "the same under torch.compile",
    Variant.STRAIGHTFORWARD: "kept experts, windows as matrix products, torch.onnx.export, ONNX Runtime",
    Variant.LOWERED: "our float32 artifact, ONNX Runtime",
    Variant.FLOAT16: "our float16 artifact, ONNX Runtime",
    Variant.BFLOAT16: "our artifact in bfloat16, ONNX Runtime",
    Variant.INT8_DEFAULT: "the straightforward graph quantized by NNCF's defaults, ONNX Runtime",
    Variant.INT8: "our int8 artifact, ONNX Runtime",
    Variant.LOWERED_OPENVINO: "our float32 artifact, OpenVINO",
    Variant.BFLOAT16_OPENVINO: "our bfloat16 artifact, OpenVINO",
    Variant.INT8_OPENVINO: "our int8 artifact, OpenVINO, with bfloat16 in between where the CPU has it",
    Variant.OPENVINO_FLOAT32: "the straightforward graph, OpenVINO in float32",
    Variant.OPENVINO_BFLOAT16: "the straightforward graph, OpenVINO in bfloat16",
    Variant.OPENVINO_INT8: "the straightforward graph quantized by NNCF's defaults as an OpenVINO model",
    Variant.OPENVINO_INT8_ONNX: "int8-default's ONNX file, OpenVINO",
    Variant.WHOLE: "the model that this one was narrowed from: its float32 artifact, ONNX Runtime",
}


def variants_from_names(names: Iterable[str], *, narrowed: bool) -> tuple[Variant, ...]:
    """Variants in the order of `Variant`, all where none is named; an unknown name is an InputError.

    narrowed: whether the model that it was narrowed from is given; it is measured in any case then.
    """
    wanted = set(names)
    unknown = sorted(wanted - set(Variant))
    if unknown:
        raise InputError(f"unknown variant '{unknown[0]}'", f"use one of {', '.join(Variant)}")
    if Variant.WHOLE in wanted and not narrowed:
        raise InputError("whole is another model, and none is given", "name what it was narrowed from with --whole")
    return tuple(v for v in Variant if (narrowed if v is Variant.WHOLE else not wanted or v in wanted))
