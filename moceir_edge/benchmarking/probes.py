"""Small ONNX graphs of one operator each, in many shapes: what the peaks are measured on."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from moceir_edge.program.work import Work
from moceir_edge.terms import Precision


@dataclass(frozen=True)
class Probe:
    """One operator on shapes of this network's family.

    weight: (O, I/groups, k, k) for convolutions of an (I, side, side) picture; (K, N) for the product of (M, K), with
    M = side.
    """

    work: Work
    precision: Precision
    weight: tuple[int, ...]
    side: int

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one run."""
        positions = self.side if self.work is Work.MATMUL else self.side**2
        return prod(self.weight) * positions

    @property
    def input_shape(self) -> tuple[int, ...]:
        """What the operator reads."""
        if self.work is Work.MATMUL:
            return (self.side, self.weight[0])
        return (1, self.weight[0] if self.work is Work.DEPTHWISE else self.weight[1], self.side, self.side)

    def array(self) -> Any:
        """An input."""
        random = np.random.default_rng(0)
        if self.precision is Precision.INT8:
            return random.integers(0, 255, self.input_shape, np.uint8)
        return random.random(self.input_shape, np.float32)

    def model(self) -> bytes:
        """The graph, as ONNX."""
        return _model(self)


SHAPES: dict[Work, tuple[tuple[tuple[int, ...], int], ...]] = {
    Work.DENSE: (
        ((192, 32, 1, 1), 256),
        ((384, 64, 1, 1), 128),
        ((768, 128, 1, 1), 64),
        ((1536, 256, 1, 1), 32),
        ((256, 512, 1, 1), 32),
        ((64, 64, 3, 3), 128),
        ((256, 256, 3, 3), 32),
    ),
    Work.DEPTHWISE: (
        ((96, 1, 3, 3), 256),
        ((384, 1, 3, 3), 64),
        ((1024, 1, 3, 3), 32),
        ((64, 1, 7, 7), 128),
        ((256, 1, 7, 7), 64),
    ),
    Work.MATMUL: (((512, 512), 512), ((1024, 32), 4096), ((4096, 64), 64), ((32, 32), 16384)),
}

PROBES = tuple(
    Probe(work, precision, weight, side)
    for precision in (Precision.FLOAT32, Precision.INT8)
    for work, shapes in SHAPES.items()
    for weight, side in shapes
)


def _model(probe: Probe) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    convolution = probe.work is not Work.MATMUL
    if probe.precision is Precision.INT8:
        kind, name = TensorProto.UINT8, "QLinearConv" if convolution else "QLinearMatMul"
        weight = np.ones(probe.weight, np.int8)
        constants = {"s": np.float32(0.02), "z": np.uint8(128), "zw": np.int8(0), "w": weight}
        inputs = ["x", "s", "z", "w", "s", "zw", "s", "z"]
    else:
        kind, name = TensorProto.FLOAT, "Conv" if convolution else "MatMul"
        constants, inputs = {"w": np.full(probe.weight, 0.01, np.float32)}, ["x", "w"]
    k = probe.weight[-1]
    groups = probe.weight[0] if probe.work is Work.DEPTHWISE else 1
    attributes: dict[str, Any] = {"kernel_shape": [k, k], "pads": [k // 2] * 4, "group": groups} if convolution else {}
    graph = helper.make_graph(
        [helper.make_node(name, inputs, ["y"], **attributes)],
        "probe",
        [helper.make_tensor_value_info("x", kind, probe.input_shape)],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(np.asarray(array), key) for key, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
