"""What groups cost in ONNX Runtime: the part that is cut out is the part that runs in the whole."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from moceir_edge.compress.crops import Crop
from moceir_edge.compress.groups import Choice, Group, groups_of
from moceir_edge.compress.ranges import measure_ranges
from moceir_edge.program.execute import StaticNetwork, shapes
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Operation, Program
from moceir_edge.targets.target import target_of
from moceir_edge.targets.to_onnx import TARGET
from moceir_edge.terms import TargetName, silent
from tests.targets.networks import SIZE, crops, picture, recipe, small_network

pytestmark = pytest.mark.skipif(TARGET.missing() is not None, reason=str(TARGET.missing()))


@pytest.fixture(scope="module")
def program() -> Program:
    """The small network, as it would be written."""
    return TARGET.prepare(lower(small_network()), recipe("onnx", "int8"))


@pytest.fixture(scope="module")
def whole(program: Program) -> onnx.ModelProto:
    """Its graph, with the shape of every value."""
    from moceir_edge.targets.onnx_graph import onnx_model

    return onnx.shape_inference.infer_shapes(onnx_model(program, size=SIZE), data_prop=True)


def values_of(program: Program) -> dict[str, NDArray[np.float32]]:
    """Every value of the program on a picture."""
    found = {"image": picture()[None]}

    def watch(op: Operation, inputs: tuple[Tensor, ...], result: Tensor) -> None:
        del inputs
        found[op.name] = result.numpy()

    with torch.inference_mode():
        StaticNetwork(program)(torch.from_numpy(picture()[None]), watch=watch)
    return found


def test_a_part_computes_what_it_does_in_the_whole(program: Program, whole: onnx.ModelProto) -> None:
    """Every group, fed with the values that the program has there."""
    import onnxruntime

    from moceir_edge.targets.onnx_costs import cut_out

    known = values_of(program)
    checked = 0
    for group in groups_of(program):
        part = cut_out(whole, group.name)
        onnx.checker.check_model(part, full_check=True)
        session = onnxruntime.InferenceSession(part.SerializeToString(), providers=["CPUExecutionProvider"])
        feed = {value.name: known[value.name] for value in session.get_inputs()}
        names = [value.name for value in session.get_outputs()]
        for name, array in zip(names, session.run(names, feed), strict=True):
            np.testing.assert_allclose(array, known[name], atol=1e-4, err_msg=f"{group.name}: {name}")
            checked += 1
    assert checked >= len(groups_of(program))


def test_equal_parts_are_alike_and_others_are_not(program: Program, whole: onnx.ModelProto) -> None:
    """By operations and shapes, whatever the names; another choice of convolutions is another part."""
    from moceir_edge.targets.onnx_costs import cut_out, signature

    groups = {group.name: group for group in groups_of(program)}
    ffns = [group for name, group in groups.items() if name.endswith(".ffn")]
    known = shapes(program, *SIZE)
    biased = {op.name for op in program.operations if "bias" in op.constants}
    by_shape: dict[object, set[str]] = {}
    for ffn in ffns:
        kind = (known[ffn.dense[0]], tuple(name in biased for name in ffn.convolutions))
        by_shape.setdefault(kind, set()).add(signature(cut_out(whole, ffn.name), ffn))
    assert 1 < len(by_shape) < len(ffns)
    assert all(len(found) == 1 for found in by_shape.values())
    assert len(set.union(*by_shape.values())) == len(by_shape)
    first = ffns[0]
    fewer = Group(first.name, first.dense, first.depthwise[:1])
    denser = Group(first.name, first.dense[:1], first.depthwise)
    part = cut_out(whole, first.name)
    assert len({signature(part, each) for each in (first, fewer, denser)}) == 3


@pytest.mark.parametrize("name", [TargetName.ONNX, TargetName.OPENVINO])
def test_every_choice_of_every_group_is_timed(name: TargetName, program: Program) -> None:
    """In milliseconds above 0, with the machine named."""
    target = target_of(name)
    if target.missing() is not None:
        pytest.skip(str(target.missing()))
    groups = groups_of(program)
    chosen = [next(g for g in groups if g.depthwise), next(g for g in groups if not g.depthwise)]
    ranges = measure_ranges(program, [Crop(crop) for crop in crops()], [1.0] * len(crops()))
    timer = target.timer(recipe(name, "int8"))
    assert not isinstance(timer, str)
    costs = timer(program, chosen, ranges, silent)
    assert "threads" in costs.what
    assert {name: tuple(found) for name, found in costs.by_group.items()} == {g.name: g.choices for g in chosen}
    assert all(0 < ms < 1000 for found in costs.by_group.values() for ms in found.values())
    assert Choice.CHAIN in costs.by_group[chosen[0].name]
