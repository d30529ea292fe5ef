"""What providers that are not here would take: counted on graphs that can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from moceir_edge.parity.verify import unproven
from moceir_edge.program.lower import lower
from moceir_edge.targets.provider_estimates import XnnpackRules, estimates
from moceir_edge.targets.to_onnx import TARGET
from tests.targets.networks import exported, recipe, small_network

SHAPE = [1, 4, 8, 8]


@pytest.fixture(autouse=True, scope="module")
def installed() -> None:
    """Without ONNX Runtime nothing here can be shown."""
    missing = TARGET.missing()
    if missing is not None:
        pytest.skip(missing)


def constant(name: str, *shape: int, kind: type[np.generic] = np.float32) -> TensorProto:
    """An initializer of ones."""
    return numpy_helper.from_array(np.ones(shape, kind), name)


def graph(nodes: list[onnx.NodeProto], constants: list[TensorProto], output: str) -> onnx.ModelProto:
    """From `image` to `output`, shapes inferred."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, SHAPE)
    result = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    made = helper.make_graph(nodes, "graph", [image], [result], constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


def test_parts_are_counted_between_what_is_not_known(tmp_path: Path) -> None:
    """Two convolutions with an Erf between them: NNAPI and XNNPACK have no Erf, Core ML does."""
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["a"], name="first"),
        helper.make_node("Erf", ["a"], ["b"], name="between"),
        helper.make_node("Conv", ["b", "w"], ["c"], name="second"),
    ]
    onnx.save(graph(nodes, [constant("w", 4, 4, 1, 1)], "c"), tmp_path / "m.onnx")
    macs = {"first": 30, "second": 50, "elsewhere": 20}
    found = estimates(tmp_path / "m.onnx", ("cpu", "xnnpack", "nnapi", "coreml"), macs)
    counted = {item.provider: (item.taken, item.operations, item.parts, item.macs_share) for item in found}
    assert counted == {"NNAPI": (2, 3, 2, 0.8), "XNNPACK": (2, 3, 2, 0.8), "Core ML": (3, 3, 1, 0.8)}
    assert estimates(tmp_path / "m.onnx", ("cpu", "cuda"), macs) == ()


@pytest.mark.parametrize(
    ("node", "taken"),
    [
        (helper.make_node("Conv", ["image", "w"], ["out"]), True),
        (helper.make_node("Conv", ["image", "w", "bias"], ["out"]), True),
        (helper.make_node("Conv", ["image", "image"], ["out"]), False),
        (helper.make_node("Softmax", ["image"], ["out"], axis=-1), True),
        (helper.make_node("Softmax", ["image"], ["out"], axis=3), True),
        (helper.make_node("Softmax", ["image"], ["out"], axis=1), False),
        (helper.make_node("MatMul", ["image", "square"], ["out"]), False),
        (helper.make_node("Mul", ["image", "image"], ["out"]), False),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else "",
)
def test_xnnpack_takes_what_its_rules_say(node: onnx.NodeProto, taken: bool) -> None:
    """Constant weights, the last axis, two dimensions."""
    constants = [constant("w", 4, 4, 1, 1), constant("bias", 4), constant("square", 8, 8)]
    model = graph([node], constants, "out")
    assert XnnpackRules(model.graph).is_op_supported(model.graph.node[0]) is taken


@pytest.mark.parametrize(("kind", "taken"), [(np.int8, True), (np.uint8, False)])
def test_xnnpack_takes_int8_alone(kind: type[np.generic], taken: bool) -> None:
    """It has no kernel for uint8 pictures with int8 weights."""
    constants = [constant("s"), constant("z", kind=kind), constant("w", 4, 4, 1, 1, kind=np.int8)]
    zero = constant("wz", kind=np.int8)
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["x"]),
        helper.make_node("DequantizeLinear", ["w", "s", "wz"], ["v"]),
        helper.make_node("Conv", ["x", "v"], ["out"]),
    ]
    model = graph(nodes, [*constants, zero], "out")
    rules = XnnpackRules(model.graph)
    assert [rules.is_op_supported(node) for node in model.graph.node] == [taken, taken, True, taken]


def test_an_artifact_says_that_it_is_an_estimate(tmp_path: Path) -> None:
    """For phones both of Android's, else those that the recipe names; beside what was not proven."""
    program = lower(small_network())
    phone = exported(TARGET, program, recipe("onnx", onnx={"format": "ort"}), tmp_path / "phone")
    assert [item.provider for item in phone.estimates] == ["NNAPI", "XNNPACK"]
    assert all(0 < item.taken < item.operations and item.parts > 1 for item in phone.estimates)
    said = [text for text in unproven(phone) if "NNAPI" in text]
    assert len(said) == 1
    assert said[0].startswith("estimated, not run: NNAPI would take ")
    mac = exported(TARGET, program, recipe("onnx", onnx={"providers": ["coreml"]}), tmp_path / "mac")
    assert [item.provider for item in mac.estimates] == ["Core ML"]
    assert exported(TARGET, program, recipe("onnx"), tmp_path / "plain").estimates == ()


@pytest.mark.parametrize(("providers", "named"), [(["xnnpack", "cpu"], "xnnpack"), (["cpu", "nnapi"], "nnapi")])
def test_what_is_not_timed_here_is_named(providers: list[str], named: str) -> None:
    """Wherever it stands in the list."""
    timer = TARGET.timer(recipe("onnx", "int8", onnx={"providers": providers}))
    assert timer == f"only the CPU is timed here, not {named}"


def test_int8_for_arm_is_not_timed_on_x86() -> None:
    """Its kernels are others; the plan then goes by a model of costs, which says so."""
    timer = TARGET.timer(recipe("onnx", "int8", onnx={"activations": "int8"}))
    assert timer == "int8 activations are for Arm, and this machine is none"
