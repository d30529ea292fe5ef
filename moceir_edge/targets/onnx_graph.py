"""From a program to an ONNX graph: standard operators only, none of them control flow, opset 17 and later.

Spatial sizes are numbers where the size is fixed; else they are computed once per level from the picture's own shape.
Outside the float32 islands a float16 graph computes in float16, with casts where values cross over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from moceir_edge.program.execute import shapes
from moceir_edge.program.program import AGREEMENT, CHOSEN, GATES, IMAGE, RESTORED, SCORES, Kind, Operation, Program
from moceir_edge.terms import SIZE_MULTIPLE

IR_VERSION = 8
"""What opset 17 came with, so that runtimes of its time read the file."""

Array = NDArray[np.generic]
_SIMPLE = {
    Kind.ADD: "Add",
    Kind.SUB: "Sub",
    Kind.MUL: "Mul",
    Kind.DIV: "Div",
    Kind.MAXIMUM: "Max",
    Kind.MATMUL: "MatMul",
    Kind.SQRT: "Sqrt",
    Kind.SIGMOID: "Sigmoid",
}


def onnx_model(
    program: Program,
    *,
    size: tuple[int, int] | None,
    opset: int = 17,
    half: bool = False,
    native_norms: bool = False,
) -> onnx.ModelProto:
    """The program as a checked ONNX model, float32 in and out.

    size: fixed (height, width), or None for any multiple of 8. half: float16 outside the islands.
    native_norms: layer normalizations as one operator between two transpositions, instead of their steps.
    """
    graph = _Graph(program, size, opset=opset, half=half, native_norms=native_norms)
    return graph.model()


class _Graph:
    def __init__(
        self, program: Program, size: tuple[int, int] | None, *, opset: int, half: bool, native_norms: bool
    ) -> None:
        self.program, self.size, self.opset, self.half = program, size, opset, half
        self.native_norms = native_norms
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self.initializers: list[onnx.TensorProto] = []
        self.level: dict[str, int] = {}
        self.halved: dict[str, bool] = {}
        self.shapes = shapes(program, 64, 64)
        self.channels = {name: shape[1] if len(shape) > 1 else 1 for name, shape in self.shapes.items()}
        self.values: dict[object, str] = {}

    def model(self) -> onnx.ModelProto:
        for op in self.program.operations:
            if op.kind is not Kind.INPUT:
                self.operation(op)
            else:
                self.level[op.name], self.halved[op.name] = 0, False
        graph = helper.make_graph(self.nodes, "moceir_edge", self.inputs(), self.outputs(), self.initializers)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset)],
            ir_version=IR_VERSION
            if self.opset == 17
            else helper.find_min_ir_version_for([helper.make_opsetid("", self.opset)]),
            producer_name="moceir-edge",
            producer_version=version("moceir-edge"),
        )
        onnx.checker.check_model(model)
        return model

    def inputs(self) -> list[onnx.ValueInfoProto]:
        height, width = self.size or ("height", "width")
        known = {
            IMAGE: (1, 3, height, width),
            GATES: (1, len(self.program.layers), self.program.experts),
        }
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, known[n]) for n in self.program.inputs]

    def outputs(self) -> list[onnx.ValueInfoProto]:
        height, width = self.size or ("height", "width")
        known = {
            RESTORED: (1, 3, height, width),
            AGREEMENT: (1,),
            SCORES: (1, len(self.program.layers), self.program.experts),
            CHOSEN: (1, len(self.program.layers), self.program.experts),
        }
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, known[n]) for n in self.program.outputs]

    # pieces

    def node(self, kind: str, name: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node with one output of the same name."""
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, array: Array, *, half: bool = False) -> str:
        """An initializer, shared between equal arrays."""
        array = array.astype(np.float16) if half else array
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self.constants:
            name = f"constant.{len(self.constants)}"
            self.constants[key] = name
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name))
        return self.constants[key]

    def integers(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def once(self, key: object, make: Callable[[], str]) -> str:
        """A value that is emitted the first time it is needed."""
        if key not in self.values:
            self.values[key] = make()
        return self.values[key]

    def cast(self, name: str, *, half: bool) -> str:
        """A value in the format that the reading operation wants."""
        if self.halved[name] == half:
            return name
        to, suffix = (TensorProto.FLOAT16, "half") if half else (TensorProto.FLOAT, "float")
        return self.once((name, half), lambda: self.node("Cast", f"{name}.{suffix}", [name], to=to))

    # sizes

    def spatial(self, level: int) -> str:
        """int64 (2,): height and width at a level of an open size."""

        def make() -> str:
            if level == 0:
                shape = self.node("Shape", "size.shape", [IMAGE])
                return self.node("Slice", "size.0", [shape, self.integers(2), self.integers(4), self.integers(0)])
            halves = self.integers(1 << level, 1 << level)
            return self.node("Div", f"size.{level}", [self.spatial(0), halves])

        return self.once(("spatial", level), make)

    def picture_shape(self, level: int, *, steps: int = 1) -> str:
        """Reshape target [1, -1, H, W]."""
        if self.size is not None:
            height, width = (side // steps >> level for side in self.size)
            return self.integers(1, -1, height, width)
        name = f"size.{level}.picture"
        return self.once(name, lambda: self.node("Concat", name, [self.integers(1, -1), self.spatial(level)], axis=0))

    def blocks(self, level: int, side: int) -> str:
        """int64 (2,): how many blocks of side x side cover a level of an open size."""

        def make() -> str:
            step = self.integers(side, side)
            rounded = self.node(
                "Add", f"size.{level}.{side}.up", [self.spatial(level), self.integers(side - 1, side - 1)]
            )
            return self.node("Div", f"size.{level}.{side}.blocks", [rounded, step])

        return self.once(("blocks", level, side), make)

    def blocks_shape(self, level: int, side: int) -> str:
        """Reshape target [-1, rows, side, columns, side]: without the batch of 1, as some chips take 5 axes at most."""
        if self.size is not None:
            rows, columns = (-(-(length >> level) // side) for length in self.size)
            return self.integers(-1, rows, side, columns, side)
        blocks = self.blocks(level, side)

        def make() -> str:
            rows = self.node("Slice", f"size.{level}.{side}.rows", [blocks, self.integers(0), self.integers(1)])
            columns = self.node("Slice", f"size.{level}.{side}.columns", [blocks, self.integers(1), self.integers(2)])
            parts = [self.integers(-1), rows, self.integers(side), columns, self.integers(side)]
            return self.node("Concat", f"size.{level}.{side}.shape", parts, axis=0)

        return self.once(("blocks_shape", level, side), make)

    def windows_shape(self, level: int, side: int) -> str:
        """Reshape target [-1, rows, columns, side, side]."""
        if self.size is not None:
            return self.integers(-1, *(-(-(length >> level) // side) for length in self.size), side, side)
        name = f"size.{level}.{side}.windows"
        parts = [self.integers(-1), self.blocks(level, side), self.integers(side, side)]
        return self.once(name, lambda: self.node("Concat", name, parts, axis=0))

    def covers(self, level: int, side: int) -> bool:
        """Whether blocks of side x side always fit a level without padding."""
        if self.size is not None:
            return all((length >> level) % side == 0 for length in self.size)
        return (SIZE_MULTIPLE >> level) % side == 0

    def padded(self, level: int, side: int) -> str:
        """int64 (2,): height and width of the whole blocks, for an open size."""
        step = self.integers(side, side)
        name = f"size.{level}.{side}.padded"
        return self.once(name, lambda: self.node("Mul", name, [self.blocks(level, side), step]))

    def pads(self, level: int, side: int) -> str:
        """Pad amounts to whole blocks, right and below."""
        if self.size is not None:
            below, right = (-(length >> level) % side for length in self.size)
            return self.integers(0, 0, 0, 0, 0, 0, below, right)

        def make() -> str:
            padded = self.padded(level, side)
            missing = self.node("Sub", f"size.{level}.{side}.missing", [padded, self.spatial(level)])
            return self.node("Concat", f"size.{level}.{side}.pads", [self.integers(*[0] * 6), missing], axis=0)

        return self.once(("pads", level, side), make)

    # operations

    def operation(self, op: Operation) -> None:
        half = self.half and not op.exact
        spatial_only = op.kind in (Kind.PIXELS, Kind.UNWINDOWS)
        given = op.inputs[:1] if spatial_only else op.inputs
        inputs = [self.cast(name, half=half) for name in given]
        self.level[op.name] = self.level[op.inputs[-1] if spatial_only else op.inputs[0]]
        self.halved[op.name] = half
        if op.kind in _SIMPLE:
            self.node(_SIMPLE[op.kind], op.name, self.sides(op, inputs, half=half))
        else:
            getattr(self, f"emit_{op.kind.value}")(op, inputs[0] if len(inputs) == 1 else inputs, half)

    def sides(self, op: Operation, inputs: list[str], *, half: bool) -> list[str]:
        if "left" in op.constants:
            return [self.constant(self.ranked(op, "left"), half=half), *inputs]
        if "right" in op.constants:
            return [*inputs, self.constant(self.ranked(op, "right"), half=half)]
        return inputs

    def ranked(self, op: Operation, side: str) -> Array:
        """A constant operand; that of a product in the rank of the other one, as some chips want it."""
        array = op.constants[side]
        missing = len(self.shapes[op.inputs[0]]) - array.ndim if op.kind is Kind.MATMUL else 0
        return array.reshape((1,) * missing + array.shape)

    def emit_conv(self, op: Operation, x: str, half: bool) -> None:
        names = ("weight", "bias") if "bias" in op.constants else ("weight",)
        arrays = [self.constant(op.constants[name], half=half) for name in names]
        side = op.constants["weight"].shape[-1]
        self.node(
            "Conv",
            op.name,
            [x, *arrays],
            kernel_shape=[side, side],
            pads=[side // 2] * 4,
            strides=[1, 1],
            dilations=[1, 1],
            group=op.attributes["groups"],
        )

    def emit_gelu(self, op: Operation, x: str, half: bool) -> None:
        if self.opset >= 20:
            self.node("Gelu", op.name, [x])
            return
        scaled = self.node("Div", f"{op.name}.scaled", [x, self.scalar(2**0.5, half=half)])
        erf = self.node("Erf", f"{op.name}.erf", [scaled])
        share = self.node("Add", f"{op.name}.share", [erf, self.scalar(1.0, half=half)])
        product = self.node("Mul", f"{op.name}.product", [x, share])
        self.node("Mul", op.name, [product, self.scalar(0.5, half=half)])

    def scalar(self, value: float, *, half: bool = False) -> str:
        return self.constant(np.array(value, np.float32), half=half)

    def emit_floor(self, op: Operation, x: str, half: bool) -> None:
        self.node("Max", op.name, [x, self.scalar(op.attributes["value"], half=half)])

    def emit_at_least(self, op: Operation, inputs: list[str], half: bool) -> None:
        chosen = self.node("GreaterOrEqual", f"{op.name}.truth", inputs)
        self.node("Cast", op.name, [chosen], to=TensorProto.FLOAT16 if half else TensorProto.FLOAT)

    def emit_norm(self, op: Operation, x: str, half: bool) -> None:
        if self.native_norms:
            self.emit_native_norm(op, x, half)
            return
        count, average = self.channels[op.name], self.average(op.inputs[0], half=half)
        weight, bias = (
            self.constant(op.constants[name].reshape(1, count, 1, 1), half=half) for name in ("weight", "bias")
        )
        mean = self.node("Conv", f"{op.name}.mean", [x, average], kernel_shape=[1, 1])
        centred = self.node("Sub", f"{op.name}.centred", [x, mean])
        squares = self.node("Mul", f"{op.name}.squares", [centred, centred])
        variance = self.node("Conv", f"{op.name}.variance", [squares, average], kernel_shape=[1, 1])
        epsilon = self.scalar(op.attributes["epsilon"], half=half)
        raised = self.node("Add", f"{op.name}.raised", [variance, epsilon])
        deviation = self.node("Sqrt", f"{op.name}.deviation", [raised])
        scaled = self.node("Div", f"{op.name}.scaled", [centred, deviation])
        weighed = self.node("Mul", f"{op.name}.weighed", [scaled, weight])
        self.node("Add", op.name, [weighed, bias])

    def emit_native_norm(self, op: Operation, x: str, half: bool) -> None:
        last = self.node("Transpose", f"{op.name}.last", [x], perm=[0, 2, 3, 1])
        weights = [self.constant(op.constants[name], half=half) for name in ("weight", "bias")]
        epsilon = op.attributes["epsilon"]
        normed = self.node("LayerNormalization", f"{op.name}.normed", [last, *weights], axis=-1, epsilon=epsilon)
        self.node("Transpose", op.name, [normed], perm=[0, 3, 1, 2])

    def average(self, name: str, *, half: bool) -> str:
        """Weights of the mean over channels as a 1x1 convolution: much faster than ReduceMean in ONNX Runtime."""
        count = self.channels[name]
        return self.constant(np.full((1, count, 1, 1), 1 / count, np.float32), half=half)

    def emit_mean(self, op: Operation, x: str, half: bool) -> None:
        axes = list(op.attributes["axes"])
        if axes == [2, 3]:
            self.node("GlobalAveragePool", op.name, [x])
        elif axes == [1] and self.shapes[op.name][2:] != (1, 1):
            self.node("Conv", op.name, [x, self.average(op.inputs[0], half=half)], kernel_shape=[1, 1])
        elif self.opset >= 18:
            self.node("ReduceMean", op.name, [x, self.integers(*axes)], keepdims=1)
        else:
            self.node("ReduceMean", op.name, [x], axes=axes, keepdims=1)

    def emit_energy(self, op: Operation, x: str, half: bool) -> None:
        """Squares and their sum: ReduceSumSquare is slower in ONNX Runtime, 1.02 ms against 0.8 for 32 x 65,536."""
        squares = self.node("Mul", f"{op.name}.squares", [x, x])
        self.node("ReduceSum", op.name, [squares, self.integers(*op.attributes["axes"])], keepdims=1)

    def emit_softmax(self, op: Operation, x: str, half: bool) -> None:
        self.node("Softmax", op.name, [x], axis=op.attributes["axis"])

    def emit_concat(self, op: Operation, inputs: list[str], half: bool) -> None:
        self.node("Concat", op.name, inputs, axis=op.attributes["axis"])

    def emit_slice(self, op: Operation, x: str, half: bool) -> None:
        bounds = [self.integers(op.attributes[key]) for key in ("start", "stop", "axis")]
        self.node("Slice", op.name, [x, *bounds])

    def emit_transpose(self, op: Operation, x: str, half: bool) -> None:
        self.node("Transpose", op.name, [x], perm=[0, 1, 3, 2])

    def emit_reshape(self, op: Operation, x: str, half: bool) -> None:
        self.node("Reshape", op.name, [x, self.integers(*op.attributes["shape"])])

    def emit_heads(self, op: Operation, x: str, half: bool) -> None:
        heads = op.attributes["heads"]
        self.node("Reshape", op.name, [x, self.integers(1, heads, self.channels[op.inputs[0]] // heads, -1)])

    def emit_pixels(self, op: Operation, x: str, half: bool) -> None:
        self.node("Reshape", op.name, [x, self.picture_shape(self.level[op.name])])

    def emit_windows(self, op: Operation, x: str, half: bool) -> None:
        level, side = self.level[op.name], op.attributes["window"]
        if not self.covers(level, side):
            x = self.node("Pad", f"{op.name}.padded", [x, self.pads(level, side)])
        x = self.node("Reshape", f"{op.name}.blocks", [x, self.blocks_shape(level, side)])
        x = self.node("Transpose", f"{op.name}.turned", [x], perm=[0, 1, 3, 2, 4])
        self.node("Reshape", op.name, [x, self.integers(self.channels[op.inputs[0]], -1, side, side)])

    def emit_unwindows(self, op: Operation, x: str, half: bool) -> None:
        level, side = self.level[op.name], op.attributes["window"]
        x = self.node("Reshape", f"{op.name}.blocks", [x, self.windows_shape(level, side)])
        x = self.node("Transpose", f"{op.name}.turned", [x], perm=[0, 1, 3, 2, 4])
        if self.covers(level, side):
            self.node("Reshape", op.name, [x, self.picture_shape(level)])
            return
        x = self.node("Reshape", f"{op.name}.whole", [x, self.whole_shape(level, side)])
        end = self.spatial(level) if self.size is None else self.integers(*(length >> level for length in self.size))
        self.node("Slice", op.name, [x, self.integers(0, 0), end, self.integers(2, 3)])

    def whole_shape(self, level: int, side: int) -> str:
        """Reshape target [1, -1, rows * side, columns * side]."""
        if self.size is not None:
            return self.integers(1, -1, *(-(-(length >> level) // side) * side for length in self.size))
        name = f"size.{level}.{side}.whole"
        parts = [self.integers(1, -1), self.padded(level, side)]
        return self.once(name, lambda: self.node("Concat", name, parts, axis=0))

    def emit_unshuffle(self, op: Operation, x: str, half: bool) -> None:
        level = self.level[op.name]
        blocked = self.node("Reshape", f"{op.name}.blocks", [x, self.blocks_shape(level, 2)])
        turned = self.node("Transpose", f"{op.name}.turned", [blocked], perm=[0, 2, 4, 1, 3])
        self.level[op.name] = level + 1
        self.node("Reshape", op.name, [turned, self.picture_shape(level + 1)])

    def emit_shuffle(self, op: Operation, x: str, half: bool) -> None:
        self.level[op.name] -= 1
        self.node("DepthToSpace", op.name, [x], blocksize=2, mode="CRD")
