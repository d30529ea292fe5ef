"""What TensorRT asks of an ONNX graph beyond the standard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from moceir_edge.errors import MoceirEdgeError
from moceir_edge.targets.tensorrt_recipe import DEQUANTIZE, QUANTIZE


def operator_counts(model: onnx.ModelProto) -> Counter[str]:
    """How many nodes of each type a graph has."""
    return Counter(node.op_type for node in model.graph.node)


def require_symmetric(model: onnx.ModelProto) -> None:
    """Refuse a graph whose integers are not int8 with zero points 0.

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
        zero = numpy_helper.to_array(arrays[node.input[2]])
        if zero.dtype != np.int8:
            yield f"{node.name} has zero points of type {zero.dtype}"
        elif zero.any():
            yield f"{node.name} has zero points other than 0"
