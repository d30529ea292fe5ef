"""Int8 as it is written and as the runtime takes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from moceir_edge.compress.groups import candidates
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.compress.rounding import LEVELS, REDUCED_LEVELS, Integers
from moceir_edge.compress.simulation import QuantizedNetwork
from moceir_edge.metrics import psnr_db
from moceir_edge.program.lower import lower
from moceir_edge.program.macs import macs_by_operation
from moceir_edge.program.program import Program
from moceir_edge.runner import ProgramRunner
from moceir_edge.targets.to_onnx import MODEL_FILE, PLAN_FILE, TARGET, measured_integer_share
from tests.targets.networks import SIZE, crops, expected, exported, full_plan, picture, recipe, small_network

pytestmark = pytest.mark.skipif(TARGET.missing() is not None, reason=str(TARGET.missing()))


@pytest.fixture(scope="module")
def program() -> Program:
    """The small network."""
    return lower(small_network())


@pytest.fixture(scope="module")
def plan(program: Program) -> PrecisionPlan:
    """Every candidate."""
    return full_plan(program)


@pytest.fixture(scope="module")
def signed(program: Program, plan: PrecisionPlan) -> onnx.ModelProto:
    """The graph with signed steps, as TensorRT wants it, in 7-bit weights that no x86 saturates."""
    from moceir_edge.targets.onnx_graph import onnx_model
    from moceir_edge.targets.quantize import quantize

    return quantize(onnx_model(program, size=SIZE), plan.integer, feeds(), reduced_range=True)


def feeds() -> list[dict[str, NDArray[np.float32]]]:
    """The crops as inputs of the graph."""
    return [{"image": crop} for crop in crops()]


def outputs(model: onnx.ModelProto) -> dict[str, NDArray[np.float32]]:
    """What ONNX Runtime gives without any optimization: every step in float."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": picture()[None]}), strict=True))


def arrays(model: onnx.ModelProto) -> dict[str, NDArray[Any]]:
    """Initializers by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph that may be changed."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def test_every_planned_convolution_stands_between_integers(signed: onnx.ModelProto, plan: PrecisionPlan) -> None:
    """It reads dequantized values, has dequantized weights, and its result is quantized; no other one does."""
    makers = {node.output[0]: node for node in signed.graph.node}
    readers = [(name, node) for node in signed.graph.node for name in node.input]
    for node in signed.graph.node:
        if node.op_type != "Conv":
            continue
        kinds = [makers[name].op_type for name in node.input[:2] if name in makers]
        assert (kinds == ["DequantizeLinear", "DequantizeLinear"]) is (node.name in plan.integer), node.name
        if node.name in plan.integer:
            assert {reader.op_type for name, reader in readers if name == node.output[0]} == {"QuantizeLinear"}


def test_steps_are_those_of_the_plan(signed: onnx.ModelProto, plan: PrecisionPlan) -> None:
    """What a planned convolution reads and writes has the plan's ranges, whatever NNCF measured."""
    makers = {node.output[0]: node for node in signed.graph.node}
    readers = {name: node for node in signed.graph.node for name in node.input}
    steps = arrays(signed)
    for name, ranges in plan.integer.items():
        node = next(node for node in signed.graph.node if node.name == name)
        assert steps[makers[node.input[0]].input[1]] == pytest.approx(ranges.input / LEVELS)
        assert steps[readers[node.output[0]].input[1]] == pytest.approx(ranges.output / LEVELS)


def test_zero_points_are_zero(signed: onnx.ModelProto) -> None:
    """Symmetric and signed, for activations and weights: what TensorRT asks for."""
    values = arrays(signed)
    zeros = {node.input[2] for node in signed.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")}
    assert len(zeros) > 5
    assert {values[name].dtype.name for name in zeros} <= {"int8", "int32"}
    assert not any(values[name].any() for name in zeros)


def test_reduced_weights_have_7_bits(signed: onnx.ModelProto, program: Program, plan: PrecisionPlan) -> None:
    """Pairs of products then fit into 16 bits; the whole range is used otherwise, and by depthwise convolutions."""
    from moceir_edge.targets.onnx_graph import onnx_model
    from moceir_edge.targets.quantize import quantize

    def largest(model: onnx.ModelProto) -> int:
        return max(
            int(np.abs(a.astype(int)).max())
            for a in arrays(model).values()
            if a.dtype == np.int8 and a.ndim == 4 and a.shape[1] > 1
        )

    assert largest(signed) <= 64
    assert largest(quantize(onnx_model(program, size=SIZE), plan.integer, feeds())) > 100


def test_unsigned_steps_are_the_same_values(signed: onnx.ModelProto) -> None:
    """128 more in the step and in its zero point; the outputs do not change at all."""
    from moceir_edge.targets.quantize import unsigned_activations

    shifted = copied(signed)
    unsigned_activations(shifted)
    values = arrays(shifted)
    activations = {node.input[2] for node in shifted.graph.node if node.op_type == "QuantizeLinear"}
    assert {values[name].dtype.name for name in activations} == {"uint8"}
    assert all((values[name] == 128).all() for name in activations)
    before, after = outputs(signed), outputs(shifted)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_graph_is_close_to_its_simulation(signed: onnx.ModelProto, program: Program, plan: PrecisionPlan) -> None:
    """NNCF rounds weights to other steps and moves biases; both stay as near to float as 8 bits allow."""
    network = QuantizedNetwork(program, plan.integer, rounding=Integers(dense_levels=REDUCED_LEVELS))
    simulated = ProgramRunner(network).run(picture()).restored
    exact = expected(program, picture()).restored
    assert psnr_db(simulated, outputs(signed)["restored"][0]) > 40
    assert psnr_db(exact, outputs(signed)["restored"][0]) > 44


def test_share_is_counted_in_the_optimized_graph(program: Program, tmp_path: Path) -> None:
    """All candidates planned: their whole share runs in integer kernels of this runtime."""
    artifact = exported(TARGET, program, recipe("onnx", "int8"), tmp_path)
    counts = macs_by_operation(program, *SIZE)
    planned = sum(counts[op.name] for op in candidates(program)) / sum(counts.values())
    assert artifact.counts.integer_share is not None
    assert planned - 0.02 <= artifact.counts.integer_share < 1  # products of attention that follow a chain are counted


def test_what_is_not_planned_is_not_counted(program: Program, plan: PrecisionPlan, tmp_path: Path) -> None:
    """One convolution of many."""
    counts = macs_by_operation(program, *SIZE)
    name = "refinement.layers.0.ffn.project_out"
    few = plan.model_copy(update={"integer": {name: plan.integer[name]}})
    few.write(tmp_path / PLAN_FILE)
    found = TARGET.export(program, recipe("onnx", "int8"), crops(), tmp_path)
    assert found.integer_share == pytest.approx(counts[name] / sum(counts.values()), abs=1e-6)
    assert found.integer_share == measured_integer_share(program, tmp_path / MODEL_FILE, SIZE)


def test_an_empty_plan_is_a_float_graph(program: Program, plan: PrecisionPlan, tmp_path: Path) -> None:
    """Nothing is called int8 that is none."""
    plan.model_copy(update={"integer": {}}).write(tmp_path / PLAN_FILE)
    found = TARGET.export(program, recipe("onnx", "int8"), crops(), tmp_path)
    assert found.integer_share == 0.0
    assert "QuantizeLinear" not in {node.op_type for node in onnx.load(tmp_path / MODEL_FILE).graph.node}
