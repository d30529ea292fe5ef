"""FP8 in an ONNX graph: the same values as in simulation, and nothing that TensorRT does not take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto

from moceir_edge.compress.crops import Crop
from moceir_edge.compress.precision import PrecisionPlan
from moceir_edge.compress.ranges import Ranges, measure_ranges
from moceir_edge.compress.rounding import LARGEST_FLOAT8, Floats8, rounded_float8
from moceir_edge.compress.simulation import QuantizedNetwork
from moceir_edge.metrics import psnr_db
from moceir_edge.program.lower import lower
from moceir_edge.program.program import Program
from moceir_edge.runner import ProgramRunner
from moceir_edge.targets.float8 import quantize_float8
from moceir_edge.targets.onnx_graph import onnx_model
from moceir_edge.targets.onnx_runtime import OnnxRunner
from moceir_edge.targets.to_onnx import PLAN_FILE
from moceir_edge.targets.to_tensorrt import TARGET
from moceir_edge.terms import GateState
from tests.targets.networks import SIZE, UNHEARD, artifact_of, crops, expected, picture, recipe, small_network


@pytest.fixture(scope="module")
def program() -> Program:
    """A network of one level as a program."""
    return lower(small_network())


@pytest.fixture(scope="module")
def planned(program: Program) -> dict[str, Ranges]:
    """Every candidate with the ranges of two crops."""
    given = [Crop(crop) for crop in crops()]
    return measure_ranges(program, given, [1.0] * len(given), rounding=Floats8())


@pytest.fixture(scope="module")
def model(program: Program, planned: Mapping[str, Ranges]) -> onnx.ModelProto:
    """The graph in FP8."""
    graph = onnx_model(program, size=SIZE, opset=19)
    quantize_float8(graph, planned)
    return graph


def test_rounding_keeps_what_the_format_holds() -> None:
    """Three bits of mantissa at every size, the largest number at the end of the range, saturation beyond."""
    span = 7.0
    step = span / LARGEST_FLOAT8
    given = torch.tensor([0.0, 448.0, 416.0, 1.0, 1.125, -2.25, 1000.0, -1000.0]) * step
    wanted = torch.tensor([0.0, 448.0, 416.0, 1.0, 1.125, -2.25, 448.0, -448.0]) * step
    assert torch.allclose(rounded_float8(given, span), wanted, rtol=1e-6)
    values = torch.linspace(0.5, 7, 1000)
    assert ((rounded_float8(values, span) - values).abs() <= values / 16 + 1e-6).all()


@pytest.mark.parametrize("name", ["patch_embed.proj", "enc.0.0.layers.0.mixer.qkv.v", "output"])
def test_one_convolution_gives_what_the_simulation_gives(
    name: str, program: Program, planned: Mapping[str, Ranges], tmp_path: Path
) -> None:
    """ONNX Runtime's CPU reads, weighs and writes the same FP8 values; a tie may fall to the other side."""
    one = {name: planned[name]}
    graph = onnx_model(program, size=SIZE, opset=19)
    quantize_float8(graph, one)
    onnx.save(graph, tmp_path / "model.onnx")
    simulated = ProgramRunner(QuantizedNetwork(program, one, rounding=Floats8())).run(picture()).restored
    restored = OnnxRunner(tmp_path / "model.onnx", size=SIZE).run(picture()).restored
    exact = expected(program, picture()).restored
    assert psnr_db(simulated, restored) > psnr_db(exact, restored) + 20


def test_all_convolutions_are_near_the_simulation(
    program: Program, planned: Mapping[str, Ranges], model: onnx.ModelProto, tmp_path: Path
) -> None:
    """A result whose readers quantize it is rounded once less than in simulation."""
    onnx.save(model, tmp_path / "model.onnx")
    simulated = ProgramRunner(QuantizedNetwork(program, planned, rounding=Floats8())).run(picture()).restored
    restored = OnnxRunner(tmp_path / "model.onnx", size=SIZE).run(picture()).restored
    exact = expected(program, picture()).restored
    assert psnr_db(simulated, restored) > psnr_db(exact, restored) > 30


def test_every_scale_is_one_number(model: onnx.ModelProto, planned: Mapping[str, Ranges]) -> None:
    """Weights too; they are stored in 8 bits, and nothing of 32 bits is left of them."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    pairs = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert all(not stored[node.input[1]].dims for node in pairs)
    assert {stored[node.input[2]].data_type for node in pairs} == {TensorProto.FLOAT8E4M3FN}
    weights = [tensor for name, tensor in stored.items() if name.endswith(".weight.float8")]
    assert len(weights) == len(planned)
    assert all(len(tensor.raw_data) == np.prod(tensor.dims) for tensor in weights)
    read = {name for node in model.graph.node for name in node.input}
    assert stored.keys() <= read


def test_target_delivers_fp8(program: Program, planned: dict[str, Ranges], tmp_path: Path) -> None:
    """Parsed by NVIDIA with every planned convolution between FP8 layers; only boards with FP8 are promised."""
    missing = TARGET.missing()
    if missing is not None:
        pytest.skip(f"not here: {missing}")
    PrecisionPlan(integer=planned, skipped=(), integer_share=1.0, simulated=UNHEARD).write(tmp_path / PLAN_FILE)
    given = recipe("tensorrt", "fp8", opset=20)
    exported = TARGET.export(program, given, crops(), tmp_path)
    assert exported.proofs.parsed.state is GateState.PASSED
    assert f"{len(planned)} of {len(planned)} planned fp8 convolutions" in exported.proofs.parsed.reason
    assert exported.integer_share is None
    build = (tmp_path / "build.json").read_text(encoding="utf-8")
    assert '"a GPU with FP8 (compute capability 8.9 or later)"' in build
    assert '"7.0, 7.1"' in build
    assert '"6.1, 6.2"' not in build
    runner = TARGET.runner(artifact_of(program, given, exported), tmp_path)
    assert not isinstance(runner, str)
    assert psnr_db(expected(program, picture()).restored, runner.run(picture()).restored) > 25
