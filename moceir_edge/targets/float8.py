"""FP8 in an ONNX graph: planned convolutions between QuantizeLinear and DequantizeLinear of FLOAT8E4M3FN.

One scale for a tensor, weights too: what TensorRT's FP8 kernels take, and a floating format needs no more. A result is
quantized unless all its readers do that themselves, as in `quantize`; readers of one range share a pair. ONNX Runtime's
CPU computes the same values as the simulation in PyTorch, but for such a result: the simulation rounds it in its own
range and again in the readers', here the readers round it once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from moceir_edge.compress.ranges import Ranges
from moceir_edge.compress.rounding import LARGEST_FLOAT8
from moceir_edge.targets.quantize import readers_of

ZERO = "float8_zero"


def quantize_float8(model: onnx.ModelProto, planned: Mapping[str, Ranges]) -> None:
    """Put the `planned` convolutions of a float32 model into FP8, in place."""
    graph = model.graph
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    graph.initializer.append(helper.make_tensor(ZERO, TensorProto.FLOAT8E4M3FN, [], b"\0", raw=True))
    readers, nodes = readers_of(model), list[onnx.NodeProto]()
    pairs: dict[tuple[str, float], str] = {}
    for node in graph.node:
        if node.name not in planned:
            nodes.append(node)
            continue
        result, ranges = node.output[0], planned[node.name]
        open_end = any(reader.name not in planned or reader.input[0] != result for reader in readers[result])
        read = (node.input[0], ranges.input)
        if read not in pairs:
            nodes += _around(graph, f"{node.name}.input", *read)
            pairs[read] = f"{node.name}.input.float"
        nodes.append(_weights(graph, node.name, arrays[node.input[1]]))
        node.input[0], node.input[1] = pairs[read], f"{node.name}.weight.float"
        nodes.append(node)
        if open_end or not readers[result]:
            node.output[0] = f"{result}.raw"
            nodes += _around(graph, f"{node.name}.output", node.output[0], ranges.output, gives=result)
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    _drop_unread(model)
    onnx.checker.check_model(model)


def _around(
    graph: onnx.GraphProto, name: str, value: str, span: float, *, gives: str | None = None
) -> Iterator[onnx.NodeProto]:
    """The pair that takes a value to 8 bits and back."""
    graph.initializer.append(_scale(f"{name}.scale", span))
    step = [f"{name}.scale", ZERO]
    yield helper.make_node("QuantizeLinear", [value, *step], [f"{name}.float8"], name=f"{name}.Q")
    yield helper.make_node("DequantizeLinear", [f"{name}.float8", *step], [gives or f"{name}.float"], name=f"{name}.DQ")


def _weights(graph: onnx.GraphProto, name: str, weights: NDArray[np.float32]) -> onnx.NodeProto:
    """Weights in 8 bits, and the node that reads them."""
    span = max(float(np.abs(weights).max()), float(np.finfo(np.float32).tiny))
    step = torch.tensor(span / LARGEST_FLOAT8, dtype=torch.float32)
    bits = (torch.from_numpy(weights.copy()) / step).clamp(-LARGEST_FLOAT8, LARGEST_FLOAT8).to(torch.float8_e4m3fn)
    raw = bits.view(torch.uint8).numpy().tobytes()
    stored = helper.make_tensor(f"{name}.weight.float8", TensorProto.FLOAT8E4M3FN, weights.shape, raw, raw=True)
    graph.initializer.extend([stored, _scale(f"{name}.weight.scale", span)])
    inputs = [stored.name, f"{name}.weight.scale", ZERO]
    return helper.make_node("DequantizeLinear", inputs, [f"{name}.weight.float"], name=f"{name}.weight.DQ")


def _scale(name: str, span: float) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(span / LARGEST_FLOAT8, np.float32), name)


def _drop_unread(model: onnx.ModelProto) -> None:
    read = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
