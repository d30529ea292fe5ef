"""What providers of ONNX Runtime that are not in this wheel would take of a graph: estimated, for nothing runs here.

NNAPI and Core ML: by the lists of operators and the search for partitions in onnxruntime.tools.mobile_helpers, which
looks at kinds and shapes alone, so that a device may take less. XNNPACK, which those tools leave out: by the rules of
its documentation (onnxruntime.ai, Execution Providers, XNNPACK) and of its source (providers/xnnpack, release 1.22).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from moceir_edge.artifacts import Estimate
from moceir_edge.targets.onnx_runtime import onnxruntime_tool

NAMES = {"nnapi": "NNAPI", "coreml": "Core ML", "xnnpack": "XNNPACK"}


def estimates(
    model: Path, providers: Iterable[str], macs: Mapping[str, int], *, fixed: bool = True
) -> tuple[Estimate, ...]:
    """What each of the providers would take of an ONNX file; those without rules are left out.

    macs: by operation of the program, whose names the nodes have. fixed: whether the file is of one size.
    """
    wanted = [name for name in NAMES if name in set(providers)]
    if not wanted:
        return ()
    graph = basic(model).graph
    return tuple(_estimate(name, graph, macs, fixed=fixed) for name in wanted)


def basic(model: Path) -> onnx.ModelProto:
    """The graph that providers are shown: constants folded, nothing fused, and a shape for every value."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as scratch:
        saved = Path(scratch) / "basic.onnx"
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(saved)
        options.add_session_config_entry("session.qdqisint8allowed", "1")
        onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        return onnx.shape_inference.infer_shapes(onnx.load(saved), data_prop=True)


def _estimate(name: str, graph: onnx.GraphProto, macs: Mapping[str, int], *, fixed: bool) -> Estimate:
    tools = onnxruntime_tool("mobile_helpers.usability_checker")
    if name == "xnnpack":
        found = tools.check_partitioning(graph, XnnpackRules(graph), fixed)
    else:
        checks: dict[str, Callable[[onnx.ModelProto], Any]] = {
            "nnapi": lambda model: tools.check_nnapi_partitions(model, fixed),
            "coreml": lambda model: tools.check_coreml_partitions(model, fixed, "coreml_supported_mlprogram_ops.md"),
        }
        found = checks[name](onnx.ModelProto(graph=graph))
    taken = {node.name for part in found.supported_groups for node in part}
    return Estimate(
        provider=NAMES[name],
        taken=found.num_supported_nodes,
        operations=found.num_nodes,
        parts=found.num_partitions,
        macs_share=sum(count for operation, count in macs.items() if operation in taken) / sum(macs.values()),
    )


class XnnpackRules:
    """Which nodes XNNPACK takes, in the form that ONNX Runtime's tool asks for them; its convolutions are a whole.

    In 8 bits it takes int8 alone, with one scale or one for each channel of the weights, not uint8 with int8 weights: a
    convolution counts where every DequantizeLinear before it does.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.makers = {name: node for node in graph.node for name in node.output}
        values = (*graph.input, *graph.output, *graph.value_info)
        self.ranks = {value.name: len(value.type.tensor_type.shape.dim) for value in values}

    def is_op_supported(self, node: onnx.NodeProto) -> bool:
        """Asked by `check_partitioning`."""
        match node.op_type:
            case "Conv":
                constant = self.ranks.get(node.input[0]) == 4 and all(map(self._constant, node.input[1:]))
                return constant and all(map(self.is_op_supported, self._dequantized(node)))
            case "QuantizeLinear" | "DequantizeLinear":
                return len(node.input) > 2 and self.constants[node.input[2]].data_type in _SIGNED
            case "Softmax":
                axis = next((helper.get_attribute_value(found) for found in node.attribute if found.name == "axis"), -1)
                return axis in (-1, self.ranks[node.input[0]] - 1)
            case "MatMul" | "Gemm":
                return self.ranks.get(node.input[0]) == 2 and self._constant(node.input[1])
            case _:
                return False

    def _dequantized(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        makers = (self.makers[name] for name in node.input if name in self.makers)
        return [maker for maker in makers if maker.op_type == "DequantizeLinear"]

    def _constant(self, name: str) -> bool:
        maker = self.makers.get(name)
        quantized = maker is not None and maker.op_type == "DequantizeLinear" and maker.input[0] in self.constants
        return name in self.constants or quantized


_SIGNED = (TensorProto.INT8, TensorProto.INT32)
