"""What the choices of a group cost in a runtime on this processor: its part of the ONNX graph, cut out and timed.

The boundaries count: a part reads and writes floats, as it does in the whole graph. Parts of equal operations on
equal shapes are timed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from moceir_edge.compress.group_costs import GroupCosts
from moceir_edge.compress.groups import Choice, Group
from moceir_edge.compress.ranges import Ranges
from moceir_edge.contention import busy_text, moment, others_share
from moceir_edge.processor import cores, processor_name
from moceir_edge.program.program import Program
from moceir_edge.records import sha256_of_value
from moceir_edge.targets.onnx_graph import onnx_model
from moceir_edge.targets.quantize import quantize, unsigned_activations
from moceir_edge.terms import Progress, silent
from moceir_edge.timing import interleaved_ms

ROUNDS = 11
"""Runs of each choice of a part, in turn."""


class Runtime(NamedTuple):
    """What runs the parts. load: a model, with activations as uint8, as a call with its inputs by name."""

    name: str
    load: Callable[[bytes], Callable[[dict[str, NDArray[np.float32]]], object]]


def measure_costs(
    program: Program,
    groups: Sequence[Group],
    ranges: Mapping[str, Ranges],
    progress: Progress = silent,
    *,
    runtime: Runtime,
    size: tuple[int, int],
    reduced_range: bool,
) -> GroupCosts:
    """Milliseconds of every choice of every group for a picture of `size` (height, width), with a thread per core."""
    whole = onnx.shape_inference.infer_shapes(onnx_model(program, size=size), data_prop=True)
    timed: dict[str, dict[Choice, float]] = {}
    found: dict[str, dict[Choice, float]] = {}
    start = moment()
    for group in progress(groups, "timing groups in float32 and int8"):
        part = cut_out(whole, group.name)
        alike = signature(part, group)
        if alike not in timed:
            timed[alike] = _timed(part, group, ranges, runtime, reduced_range=reduced_range)
        found[group.name] = timed[alike]
    what = f"milliseconds at {size[1]}x{size[0]} in {runtime.name} on {processor_name()} with {cores()} threads"
    return GroupCosts(what=what, by_group=found, busy=busy_text(others_share(start, moment())))


def cut_out(whole: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The nodes of a module, or the one operation of this name, as a model; `whole` has shapes for all values."""
    graph = whole.graph
    nodes = [node for node in graph.node if node.name == name or node.name.startswith(f"{name}.")]
    made = {value for node in nodes for value in node.output}
    read = {value for node in nodes for value in node.input}
    used = {value for node in graph.node if node not in nodes for value in node.input}
    used |= {value.name for value in graph.output}
    initializers = [tensor for tensor in graph.initializer if tensor.name in read]
    given = read - made - {tensor.name for tensor in initializers} - {""}
    known = {value.name: value for value in (*graph.value_info, *graph.input, *graph.output)}
    inputs = [known[value] for value in sorted(given)]
    outputs = [known[value] for value in sorted(made & used)]
    inner = [known[value] for value in sorted(made - used) if value in known]
    part = helper.make_graph(nodes, "part", inputs, outputs, initializers, value_info=inner)
    return helper.make_model(part, opset_imports=whole.opset_import, ir_version=whole.ir_version)


def signature(part: onnx.ModelProto, group: Group) -> str:
    """Equal for parts that take equally long: operations, attributes, shapes and choices, but no names or values."""
    graph = part.graph
    numbers: dict[str, int] = {}

    def number(value: str) -> int:
        return numbers.setdefault(value, len(numbers))

    shapes = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    shapes |= {value.name: shape_of(value) for value in (*graph.input, *graph.output)}
    members = {**dict.fromkeys(group.dense, 1), **dict.fromkeys(group.depthwise, 2)}
    return sha256_of_value(
        [
            [
                node.op_type,
                members.get(node.name, 0),
                sorted(str(attribute) for attribute in node.attribute),
                [[number(value), shapes.get(value)] for value in (*node.input, *node.output)],
            ]
            for node in graph.node
        ]
    )


def shape_of(value: onnx.ValueInfoProto) -> list[int]:
    """Of a value of fixed shape."""
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]


def _timed(
    part: onnx.ModelProto, group: Group, ranges: Mapping[str, Ranges], runtime: Runtime, *, reduced_range: bool
) -> dict[Choice, float]:
    """Medians; those of int8 are the median ratio to float, round by round, times float's."""
    random = np.random.default_rng(0)
    feed = {value.name: random.standard_normal(shape_of(value), np.float32) for value in part.graph.input}

    def call(choice: Choice) -> Callable[[], object]:
        model = part
        if choice is not Choice.FLOAT:
            chosen = {name: ranges[name] for name in group.integer(choice)}
            model = quantize(part, chosen, [feed], reduced_range=reduced_range, bars=False)
            unsigned_activations(model)
        run = runtime.load(model.SerializeToString())
        return lambda: run(feed)

    calls = {choice: call(choice) for choice in group.choices}
    rounds = {choice: np.asarray(ms) for choice, ms in interleaved_ms(calls, rounds=ROUNDS).items()}
    floats = rounds[Choice.FLOAT]
    return {choice: float(np.median(ms / floats) * np.median(floats)) for choice, ms in rounds.items()}
