"""What TensorRT asks of an ONNX graph beyond the standard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from moceir_edge.errors import MoceirEdgeError
from moceir_edge.targets.tensorrt_releases import DEQUANTIZE, QUANTIZE


def operator_counts(model: onnx.ModelProto) -> Counter[str]:
    """How many nodes of each type a graph has."""
    return Counter(node.op_type for node in model.graph.node)


def require_symmetric(model: onnx.ModelProto) -> None:
    """Refuse a graph whose 8 bits are not int8 or float8 with zero points 0.

    The parser refuses other zero points, and reads uint8 ones as int8 with nothing but a warning.
    """
    problems = tuple(_asymmetric(model))
    if problems:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        raise MoceirEdgeError(f"TensorRT needs symmetric int8: {problems[0]}{more}", "report this as a bug")


def _asymmetric(model: onnx.ModelProto) -> Iterator[str]:
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type not in (QUANTIZE, DEQUANTIZE):
            continue
        if len(node.input) < 3 or node.input[2] not in arrays:
            yield f"{node.name} has no constant zero point, which means uint8"
            continue
        if arrays[node.input[2]].data_type == onnx.TensorProto.FLOAT8E4M3FN:
            continue  # float8_zero is its only one
        zero = numpy_helper.to_array(arrays[node.input[2]])
        if zero.dtype != np.int8:
            yield f"{node.name} has zero points of type {zero.dtype}"
        elif zero.any():
            yield f"{node.name} has zero points other than 0"


def with_float_weights(model: onnx.ModelProto) -> None:
    """Quantize integer weights in the graph, in place, from the float32 values that they stand for.

    TensorRT 8 takes no weights in integers, only a quantizing layer over float32 ones ("Quantized Weights" in NVIDIA's
    developer guide of 8.5), and computes the same integers: (q * s) / s rounds back to q.
    """
    arrays = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    scales: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type == DEQUANTIZE and node.input[0] in arrays:
            stored, (scale, zero) = node.input[0], node.input[1:3]
            if stored not in scales:
                arrays[stored].CopyFrom(_dequantized(arrays[stored], arrays[scale], _axis(node)))
                quantizing = helper.make_node(
                    QUANTIZE, [stored, scale, zero], [f"{stored}.integer"], name=f"{stored}.Q"
                )
                quantizing.attribute.extend(node.attribute)
                nodes.append(quantizing)
                scales[stored] = scale
            assert scales[stored] == scale, f"{stored} is read with two scales"
            node.input[0] = f"{stored}.integer"
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    del model.graph.value_info[:]


def _axis(node: onnx.NodeProto) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == "axis"), 1)


def _dequantized(stored: onnx.TensorProto, scale: onnx.TensorProto, axis: int) -> onnx.TensorProto:
    integers, steps = numpy_helper.to_array(stored), numpy_helper.to_array(scale)
    if steps.ndim:
        steps = steps.reshape([-1 if place == axis else 1 for place in range(integers.ndim)])
    return numpy_helper.from_array(integers.astype(np.float32) * steps.astype(np.float32), stored.name)
