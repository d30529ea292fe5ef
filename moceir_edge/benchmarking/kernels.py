"""Which number formats the runtimes really compute in on this machine: tried or asked, not assumed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from moceir_edge.errors import ArtifactError
from moceir_edge.targets.onnx_runtime import session
from moceir_edge.targets.openvino_library import capabilities

SIDE, CHANNELS = 8, 16


def onnxruntime_gap(format_name: str) -> str | None:
    """Why ONNX Runtime does not convolve in `float16` or `bfloat16` here; None where it does.

    A convolution is loaded and looked at in the graph the runtime saved: casts around it mean that it runs in float32.
    """
    try:
        kinds = _kernels(format_name)
    except ArtifactError as error:
        return f"ONNX Runtime has no {format_name} convolution here ({error.what.rpartition(' : ')[2]})"
    if "Cast" in kinds:
        return f"ONNX Runtime runs a {format_name} convolution in float32 here ({' -> '.join(kinds)})"
    return None


def in_float32(format_name: str) -> bool:
    """Whether ONNX Runtime convolves in `float16` or `bfloat16` here, but computes in float32."""
    try:
        return "Cast" in _kernels(format_name)
    except ArtifactError:
        return False


def _kernels(format_name: str) -> list[str]:
    """Kinds of the nodes that a convolution runs as; ArtifactError where it does not load."""
    import onnx

    with tempfile.TemporaryDirectory() as scratch:
        saved = Path(scratch) / "optimized.onnx"
        session(_convolution(format_name), optimized=saved)
        return [node.op_type for node in onnx.load(saved).graph.node]


def _convolution(format_name: str) -> bytes:
    from onnx import TensorProto, helper

    kind = {"float16": TensorProto.FLOAT16, "bfloat16": TensorProto.BFLOAT16}[format_name]
    weights = np.ones(CHANNELS * CHANNELS, np.float32)
    shape = [1, CHANNELS, SIDE, SIDE]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], name="convolution")],
        "probe",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
        [helper.make_tensor("w", kind, [CHANNELS, CHANNELS, 1, 1], weights)],
    )
    opset = helper.make_opsetid("", 22)  # the first whose Conv takes bfloat16
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString())


def openvino_gap(capability: str) -> str | None:
    """Why OpenVINO does not compute in `BF16` here, by its own account; None where it does."""
    has = capabilities()
    return None if capability in has else f"OpenVINO's CPU offers {', '.join(has)}, and no {capability}"
